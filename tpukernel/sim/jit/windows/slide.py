"""A window slides over a plane: vectors of neighbouring results of a row, several of them at a time.

Columns that a stride visits lie together in the plane (`spread`), so that results that are neighbours have neighbouring elements under each
tap. Where the last vector or row would not be full, it covers some results again that are already there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tpukernel.sim.jit.ir import Function, Value
from tpukernel.sim.jit.windows.arithmetic import Arithmetic, Sums
from tpukernel.sim.jit.windows.lines import Lines

__all__ = ["SLIDE_WORDS", "Sliding", "Unrolled"]

SLIDE_WORDS = (
    *("kh", "kw", "oh", "ow", "row_bytes", "tap_row_bytes", "out_row_bytes", "weight_bytes", "shift", "odd_taps"),
    *("plane_row_bytes", "step_bytes", "wrapped_step_bytes", "phase_step", "phases"),
)
"""Run-time numbers: kernel, size of the result; bytes from the elements of a result's row to those of the next one, from a row of taps to
the next one, from a row of results, and from a factor; the shift; whether there is an odd number of taps; bytes of a row of the plane. From
a tap to the one on its right there are `step_bytes`, and `phase_step` more groups of columns; where that goes beyond the number `phases` of
groups, `wrapped_step_bytes`."""


@dataclass(frozen=True)
class Unrolled:
    """A window whose taps are all in the code; rows that are done together share the elements they have in common.

    Attributes:
        kernel: (kh, kw).
        stride: of rows.
        dilation: of rows.
    """

    kernel: tuple[int, int]
    stride: int
    dilation: int

    @property
    def key(self) -> str:
        return f"{self.kernel[0]}x{self.kernel[1]}.{self.stride}.{self.dilation}"


@dataclass(frozen=True)
class Sliding:
    """How a window slides.

    Attributes:
        arithmetic: what is done with the elements.
        columns: a power of two, not more than the columns of the result.
        vectors: vectors of a row that are done together, where the taps are a loop.
        rows: rows of the result that are done together; not more than there are.
        phased: whether columns lie in several planes.
        unrolled: the window, if its taps are all in the code.
    """

    arithmetic: Arithmetic
    columns: int
    vectors: int
    rows: int
    phased: bool
    unrolled: Unrolled | None

    @property
    def key(self) -> str:
        taps = "loop" if self.unrolled is None else self.unrolled.key
        return f"{self.arithmetic.key}:{self.columns}.{self.vectors}x{self.rows}.{self.phased:d}.{taps}"

    def emit(self, lines: Lines, plane: Value) -> None:
        """The code of one line, whose elements are in `plane`."""
        _Slide(self, lines, plane).emit()


Block = Callable[[Value, Value, Sequence[Value]], "list[Value | None]"]
"""Emits the code of a block of results: from where their elements begin, where they go and the first columns of the vectors; which ones are
in doubt."""


class _Slide:
    def __init__(self, sliding: Sliding, lines: Lines, plane: Value) -> None:
        self.sliding = sliding
        self.function: Function = lines.function
        self.words: Mapping[str, Value] = lines.words
        self.operands = lines.members[0]
        self.plane = plane
        self.lanes = min(sliding.columns, 8 * lines.function.target.vector_bytes // sliding.arithmetic.width)

    def emit(self) -> None:
        function, words, sliding, arithmetic = self.function, self.words, self.sliding, self.sliding.arithmetic
        scale = arithmetic.factor(self.operands["weight"], self.lanes) if arithmetic.scaled else None
        block = self._loops(scale) if sliding.unrolled is None else self._straight(sliding.unrolled, scale)
        with function.loop(0, words["oh"], sliding.rows) as row_loop:
            row = row_loop.index.smin(words["oh"] - sliding.rows)
            source, target = self.plane.offset(row * words["row_bytes"]), self.operands["dst"].offset(row * words["out_row_bytes"])
            with function.loop(0, words["ow"], self.lanes * sliding.vectors) as column:
                firsts = self._firsts(column.index, sliding.vectors)
                self._again(block(source, target, firsts), source, target, column.index)

    def _firsts(self, column: Value, count: int) -> list[Value]:
        """First columns of vectors, which all lie within the row."""
        most = self.words["ow"] - self.lanes
        return [(column + k * self.lanes).smin(most) for k in range(count)]

    def _rows(self, first: Value, distance: str, count: int) -> list[Value]:
        """Pointers to that many rows."""
        found = [first]
        while len(found) < count:
            found.append(found[-1].offset(self.words[distance]))
        return found

    def _again(self, doubts: Sequence[Value | None], source: Value, target: Value, column: Value) -> None:
        """Compute a block again, vector by vector carefully, if one of its elements is in doubt."""
        careful = self.sliding.arithmetic.careful()
        known = [doubt for doubt in doubts if doubt is not None]
        if careful is None or not known:
            return
        function, words, lanes = self.function, self.words, self.lanes
        some = known[0]
        for doubt in known[1:]:
            some = some | doubt
        with function.when(some.any(), rare=True):
            scale = careful.factor(self.operands["weight"], lanes) if careful.scaled else None
            with function.loop(0, self.sliding.rows, carried=[source, target]) as row:
                with function.loop(0, self.sliding.vectors) as vector:
                    firsts = self._firsts(column + vector.index * lanes, 1)
                    self._vectors(careful, [row.values[0]], [row.values[1]], firsts, scale)
                row.next = [row.values[0].offset(words["row_bytes"]), row.values[1].offset(words["out_row_bytes"])]

    # ------------------------------------------------------------------ the taps as loops

    def _loops(self, scale: Value | None) -> Block:
        def block(source: Value, target: Value, firsts: Sequence[Value]) -> list[Value | None]:
            count = self.sliding.rows
            sources, targets = self._rows(source, "row_bytes", count), self._rows(target, "out_row_bytes", count)
            return self._vectors(self.sliding.arithmetic, sources, targets, firsts, scale)

        return block

    def _vectors(
        self,
        arithmetic: Arithmetic,
        sources: Sequence[Value],
        targets: Sequence[Value],
        firsts: Sequence[Value],
        scale: Value | None,
    ) -> list[Value | None]:
        """Compute vectors of some rows, and store them; which of their elements are in doubt."""
        function, words, lanes = self.function, self.words, self.lanes
        pointers = [source.offset(first * arithmetic.dtype.itemsize) for source in sources for first in firsts]
        starts = [arithmetic.starts(function, self.operands["bias"], lanes) for _ in pointers]
        parts = len(starts[0])
        begin = [function.i64(0), self.operands["weight"], *(value for sums in starts for value in sums)]
        with function.loop(0, words["kh"], carried=begin) as rows:
            inner = [rows.values[0], function.i64(0), *rows.values[1:]]
            with function.loop(0, words["kw"], carried=inner) as taps:
                offset, phase, weight, *values = taps.values
                factor = arithmetic.factor(weight, lanes) if arithmetic.weighted else None
                following: Sums = []
                for k, pointer in enumerate(pointers):
                    tap = arithmetic.tap(pointer.offset(offset), lanes, scale)
                    following += arithmetic.step(values[parts * k : parts * (k + 1)], tap, factor)
                taps.next = [*self._right(offset, phase), weight.offset(words["weight_bytes"]), *following]
            rows.next = [rows.values[0] + words["tap_row_bytes"], *taps.values[2:]]
        found = rows.values[2:]
        results = [target.offset(first * arithmetic.result_bytes) for target in targets for first in firsts]
        doubts: list[Value | None] = []
        for k, result in enumerate(results):
            sums = found[parts * k : parts * (k + 1)]
            if arithmetic.alternates:
                odd = words["odd_taps"].compare("ne", 0)
                sums[:2] = [odd.choose(sums[1], sums[0]), odd.choose(sums[0], sums[1])]
            bits, doubt = arithmetic.finish(sums, scale, words["shift"])
            result.store(bits)
            doubts.append(doubt)
        return doubts

    def _right(self, offset: Value, phase: Value) -> tuple[Value, Value]:
        """Offset and plane of the tap on the right."""
        words = self.words
        if not self.sliding.phased:
            return offset + words["step_bytes"], phase
        following = phase + words["phase_step"]
        wraps = following.compare("sge", words["phases"])
        return (
            offset + wraps.choose(words["wrapped_step_bytes"], words["step_bytes"]),
            wraps.choose(following - words["phases"], following),
        )

    # ------------------------------------------------------------------ the taps in the code

    def _straight(self, window: Unrolled, scale: Value | None) -> Block:
        function, words, lanes, arithmetic = self.function, self.words, self.lanes, self.sliding.arithmetic
        (kh, kw), rows = window.kernel, self.sliding.rows
        factors = self._factors(kh * kw)
        columns = [(function.i64(0), function.i64(0))]
        while len(columns) < kw:
            columns.append(self._right(*columns[-1]))
        places = sorted({r * window.stride + y * window.dilation for r in range(rows) for y in range(kh)})
        offsets = [words["plane_row_bytes"] * place for place in places]

        def block(source: Value, target: Value, firsts: Sequence[Value]) -> list[Value | None]:
            (first,) = firsts
            pointer = source.offset(first * arithmetic.dtype.itemsize)
            sums = [arithmetic.starts(function, self.operands["bias"], lanes) for _ in range(rows)]
            for place, row in zip(places, offsets, strict=True):
                for x, (column, _) in enumerate(columns):
                    tap = arithmetic.tap(pointer.offset(row).offset(column), lanes, scale)
                    for r in range(rows):
                        y, apart = divmod(place - r * window.stride, window.dilation)
                        if apart == 0 and 0 <= y < kh:
                            sums[r] = arithmetic.step(sums[r], tap, factors[y * kw + x])
            doubts: list[Value | None] = []
            for found, to in zip(sums, self._rows(target, "out_row_bytes", rows), strict=True):
                if arithmetic.alternates and kh * kw % 2:
                    found[:2] = [found[1], found[0]]
                bits, doubt = arithmetic.finish(found, scale, words["shift"])
                to.offset(first * arithmetic.result_bytes).store(bits)
                doubts.append(doubt)
            return doubts

        return block

    def _factors(self, count: int) -> list[Value | None]:
        """The factors of all taps."""
        arithmetic = self.sliding.arithmetic
        if not arithmetic.weighted:
            return [None] * count
        found: list[Value | None] = []
        pointer = self.operands["weight"]
        for _ in range(count):
            found.append(arithmetic.factor(pointer, self.lanes))
            pointer = pointer.offset(self.words["weight_bytes"])
        return found
