"""The kernel template of everything that computes element by element.

The loops around are those of a `Nest`, with sizes, strides and pointers at run time. The innermost one takes a vector of elements at a
time. What is shorter, or does not lie together, goes through a small buffer on the stack, so that the computation appears once in the
code, whatever the layouts are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from tpukernel.sim.jit.access import Place, conflicts, same_elements
from tpukernel.sim.jit.ir import I1, I64, PTR, Function, Value, integer
from tpukernel.sim.jit.kernel import ARGUMENTS, Call
from tpukernel.sim.jit.llvm import ENTRY, Target
from tpukernel.sim.jit.nest import DIMS, Form, Nest, nest_of, nests_of

__all__ = ["Body", "Elementwise", "Inner", "NestKernel", "Strided", "loop_call", "nest_calls", "operands_of", "unchecked_nest_calls"]

Body = Callable[[Sequence[Value]], Sequence[Value]]
"""From vectors of the sources' bits to vectors of the results' bits: integers as wide as the elements."""


class Inner(Enum):
    """How an operand lies along the innermost loop."""

    RUN = "r"
    """Elements follow each other."""
    SAME = "s"
    """One element for the whole loop."""
    FIXED = "f"
    """One element for all loops."""
    APART = "a"
    """A stride that is known at run time."""


@dataclass(frozen=True)
class Elementwise:
    """An operation on elements.

    Attributes:
        key: its name with everything that the body depends on: types, modes, steps.
        results: bytes of the elements of each result.
        sources: bytes of the elements of each source.
        body: emits the computation.
        width: bits of the widest number in it, which decides how many elements a vector has.
        ieee: see `Kernel.ieee`.
        tables: sources (by number) of which the body gets no vector but a pointer, to read elements itself; so these are the same along the
            innermost loop.
        table_bytes: bytes that are read from the start of a table on.
        nanoseconds: time for an element, about.
        vectors: vectors that are worked on at a time: several where one would mostly wait for its own last result.
    """

    key: str
    results: tuple[int, ...]
    sources: tuple[int, ...]
    body: Body = field(compare=False, repr=False)
    width: int = 32
    ieee: bool = False
    tables: frozenset[int] = frozenset()
    table_bytes: int = 0
    nanoseconds: float = 0.3
    vectors: int = 2


DEPTHS = (2, 3, DIMS)
"""Kernels exist for these numbers of loops. Most commands need two: over the lanes, and over a run in each of them."""

_MOST_LANES = 64
"""Elements in a turn of the innermost loop: a mask of them is made from one word."""

_HEAD = DIMS + 1
"""Words of a record before the operands: the sizes and `Nest.last`."""
_WORDS = DIMS + 1
"""Words of an operand: its pointer and its strides."""


@dataclass(frozen=True)
class NestKernel:
    """An operation with the way in which each operand lies, results first, and the number of loops."""

    operation: Elementwise
    inner: tuple[Inner, ...]
    depth: int

    @property
    def key(self) -> str:
        return f"{self.operation.key}:{''.join(inner.value for inner in self.inner)}{self.depth}"

    @property
    def ieee(self) -> bool:
        return self.operation.ieee

    def emit(self, target: Target) -> str:
        return str(_Emitter(self, target).function)


# ---------------------------------------------------------------------------- the code


class _Emitter:
    def __init__(self, kernel: NestKernel, target: Target) -> None:
        operation = kernel.operation
        self.kernel = kernel
        self.bytes = (*operation.results, *operation.sources)
        self.results = len(operation.results)
        self.lanes = min(_MOST_LANES, operation.vectors * max(8, 8 * target.vector_bytes // operation.width))
        self.function = function = Function(ENTRY, [PTR, I64, I64], I64, target)
        record, first, last = function.arguments
        words = [record.offset(8 * k).load(I64, 8) for k in range(_HEAD)]
        self.sizes, self.last = words[:DIMS], words[DIMS]
        starts = [8 * (_HEAD + k * _WORDS) for k in range(len(self.bytes))]
        pointers = [record.offset(start).load(PTR, 8) for start in starts]
        fixed = [k for k, kind in enumerate(kernel.inner) if kind is Inner.FIXED and k >= self.results]
        self.fixed = {k: self._vector(k, pointers[k]) for k in fixed}
        self.carried = [k for k in range(len(self.bytes)) if k not in self.fixed]
        dims = (0, *range(DIMS + 1 - kernel.depth, DIMS))
        self.strides = {k: {d: record.offset(starts[k] + 8 * (1 + d)).load(I64, 8) for d in dims} for k in self.carried}
        buffered = [k for k in self.carried if k < self.results or kernel.inner[k] is not Inner.SAME]
        self.buffers = {k: function.alloca(self.bytes[k] * self.lanes) for k in buffered}
        begin = [pointers[k].offset(first * self.strides[k][0]) for k in self.carried]
        with function.loop(first, last, carried=begin, maybe_none=True) as loop:
            is_last = loop.index.compare("eq", self.sizes[0] - 1)
            self._outer(DIMS + 1 - kernel.depth, loop.values, is_last.choose(self.last, self.sizes[DIMS - 1]))
            loop.next = self._advanced(loop.values, 0)
        function.ret(0)

    def _advanced(self, pointers: Sequence[Value], dim: int) -> list[Value]:
        return [pointer.offset(self.strides[k][dim]) for pointer, k in zip(pointers, self.carried, strict=True)]

    def _outer(self, dim: int, pointers: Sequence[Value], count: Value) -> None:
        if dim == DIMS - 1:
            self._inner(dict(zip(self.carried, pointers, strict=True)), count)
            return
        with self.function.loop(0, self.sizes[dim], carried=pointers) as loop:
            self._outer(dim + 1, loop.values, count)
            loop.next = self._advanced(loop.values, dim)

    def _inner(self, pointers: Mapping[int, Value], count: Value) -> None:
        """The innermost loop: vectors, and at the end a part of one."""
        function, kinds, lanes = self.function, self.kernel.inner, self.lanes
        tables = {self.results + number for number in self.kernel.operation.tables}
        same = self.fixed | {
            k: pointers[k] if k in tables else self._vector(k, pointers[k])
            for k, kind in enumerate(kinds)
            if kind is Inner.SAME and k >= self.results
        }
        moving = [k for k in range(len(kinds)) if k not in same]
        with function.loop(0, count, lanes, [pointers[k] for k in moving]) as loop:
            at = dict(zip(moving, loop.values, strict=True))
            left = count - loop.index
            full = left.compare("sge", lanes)
            some = left.smin(lanes)
            for k in moving:
                if kinds[k] is Inner.APART and k >= self.results:
                    self._copy(self.buffers[k], at[k], some, k, gather=True)
            runs = [k for k in moving if kinds[k] is Inner.RUN]
            whole = function.label("whole")
            before = function.here
            if runs:
                partly = function.label("part")
                function.branch_if(full, whole, partly)
                function.block(partly)
                for k in runs:
                    if k >= self.results:
                        self._load_part(k, at[k], some)
                after = function.here
                function.branch(whole)
            else:
                after = ""
                function.branch(whole)
            function.block(whole)
            where = {k: function.phi([(at[k], before), (self.buffers[k], after)]) for k in runs}
            for k in moving:
                where.setdefault(k, self.buffers[k])
            sources = [
                same[k] if k in same else where[k].load(integer(8 * self.bytes[k], lanes)) for k in range(self.results, len(self.bytes))
            ]
            found = self.kernel.operation.body(sources)
            for k, value in enumerate(found):
                where[k].store(value)
                if kinds[k] is not Inner.RUN:
                    self._copy(at[k], self.buffers[k], some, k, gather=False)
            stored_parts = [k for k in range(self.results) if kinds[k] is Inner.RUN]
            if stored_parts:
                with function.when(full ^ function.constant(I1, 1)):
                    for k in stored_parts:
                        self._store_part(k, at[k], some)
            loop.next = [at[k].offset(self.strides[k][DIMS - 1] * lanes) for k in moving]

    def _vector(self, k: int, pointer: Value) -> Value:
        return pointer.load(integer(8 * self.bytes[k])).splat(self.lanes)

    def _load_part(self, k: int, pointer: Value, count: Value) -> None:
        """Put the first elements of a run into its buffer."""
        if not self.function.target.masks(self.bytes[k]):
            self._copy(self.buffers[k], pointer, count, k, gather=True)
            return
        vector = integer(8 * self.bytes[k], self.lanes)
        self.buffers[k].store(pointer.load_masked(vector, self._mask(count)))

    def _store_part(self, k: int, pointer: Value, count: Value) -> None:
        """Put the first elements of a buffer where they belong."""
        if not self.function.target.masks(self.bytes[k]):
            self._copy(pointer, self.buffers[k], count, k, gather=False)
            return
        vector = integer(8 * self.bytes[k], self.lanes)
        pointer.store_masked(self.buffers[k].load(vector), self._mask(count))

    def _mask(self, count: Value) -> Value:
        """One bit for each of the first elements of a vector."""
        bits = (self.function.constant(I64, -1)).lshr(count.like(64) - count)
        word = bits.trunc(integer(self.lanes))
        return self.function.emit(I1.vector(self.lanes), f"bitcast {word} to {I1.vector(self.lanes)}")

    def _copy(self, to: Value, source: Value, count: Value, k: int, *, gather: bool) -> None:
        """Single elements: from an operand into its buffer, or back."""
        element, size, stride = integer(8 * self.bytes[k]), self.bytes[k], self.strides[k][DIMS - 1]
        steps = (stride, size) if gather else (size, stride)
        with self.function.loop(0, count, carried=[source, to]) as loop:
            read, write = loop.values
            write.store(read.load(element))
            loop.next = [read.offset(steps[0]), write.offset(steps[1])]


# ---------------------------------------------------------------------------- calls of it


def nest_calls(operation: Elementwise, results: Sequence[Place], sources: Sequence[Place]) -> list[Call] | None:
    """The calls that compute elements from elements.

    Args:
        operation: what is computed.
        results: places of the results, all of one shape.
        sources: places of the sources; dimensions of size 1 are repeated.

    Returns:
        None where the order in which elements are written could be seen, because elements of a result lie on each other or on other
        elements of a source.
    """
    if not all(result.injective for result in results):
        return None
    for number, result in enumerate(results):
        for other in (*sources, *results[number + 1 :]):
            if conflicts(result, other) and not same_elements(result, other):
                return None
    return unchecked_nest_calls(operation, [*results, *sources])


def unchecked_nest_calls(operation: Elementwise, places: Sequence[Place]) -> list[Call] | None:
    """The calls, for places of which it is known that nobody can see the order."""
    found = _drafts(operation, tuple([(place.space, place.form) for place in places]))
    return None if found is None else [draft.call(places) for draft in found]


@dataclass(frozen=True, slots=True)
class Strided:
    """Where the elements of an operand lie along the loops of a call.

    Attributes:
        space: the memory, or `ARGUMENTS`.
        offset: bytes from the start of the memory to the first element.
        itemsize: bytes of an element.
        strides: bytes from one turn of each loop to the next.
        bits: of a constant, its bits.
    """

    space: str
    offset: int
    itemsize: int
    strides: tuple[int, ...]
    bits: int = 0


def operands_of(call: Call) -> tuple[tuple[int, ...], list[Strided]]:
    """The sizes of the loops of a call of a `NestKernel`, and its operands."""
    kernel, record = call.kernel, call.record
    assert isinstance(kernel, NestKernel)  # noqa: S101 - said in the docstring
    sizes, last = record[:DIMS], record[DIMS]
    chunked = last != sizes[-1]  # the outermost loop goes over pieces of the innermost one
    if chunked:
        sizes = [1] * (DIMS - 1) + [(sizes[0] - 1) * sizes[-1] + last]
    operands: list[Strided] = []
    for number, itemsize in enumerate((*kernel.operation.results, *kernel.operation.sources)):
        start = _HEAD + number * _WORDS
        word, space = call.pointers[number]
        assert word == start  # noqa: S101 - `_draft` makes them so
        offset, strides = record[start], tuple(record[start + 1 : start + _WORDS])
        constant = space == ARGUMENTS
        operands.append(Strided(space, 0 if constant else offset, itemsize, strides, record[offset // 8] if constant else 0))
    return tuple(sizes), operands


def loop_call(operation: Elementwise, sizes: Sequence[int], operands: Sequence[Strided], lane_stride: int) -> Call | None:
    """The call with these loops (see `operands_of`), `DIMS` of them at most; None where a table changes along the innermost one.

    Args:
        lane_stride: bytes from one lane to the next in the computer.
    """
    results = len(operation.results)
    nest = nest_of(sizes, [operand.offset for operand in operands], [operand.strides for operand in operands])
    if any(nest.strides[results + number][-1] for number in operation.tables):
        return None
    draft = _draft(operation, [operand.space for operand in operands], nest)
    lane_strides = [lane_stride if operand.space == "lmem" else 0 for operand in operands]
    return draft.complete(list(draft.record), [operand.bits for operand in operands], lane_strides)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A call whose pointers are still missing.

    Attributes:
        record: the words, pointers as offsets from the bases of their operands.
        bases: by operand that lies in a memory: (word of its pointer, number of the operand).
        constants: numbers of the operands that are constants.
    """

    kernel: NestKernel
    record: tuple[int, ...]
    bases: tuple[tuple[int, int], ...]
    constants: tuple[int, ...]
    pointers: tuple[tuple[int, str], ...]
    units: int
    cost: float
    by_lane: tuple[frozenset[str], frozenset[str]]

    def call(self, places: Sequence[Place]) -> Call:
        record = list(self.record)
        for word, number in self.bases:
            record[word] += places[number].host.base
        return self.complete(record, [place.bits for place in places], [place.lane_stride for place in places])

    def complete(self, record: list[int], bits: Sequence[int], lane_strides: Sequence[int]) -> Call:
        """The call whose record has all pointers already; by operand: bits of constants, and bytes from lane to lane in local memory."""
        by_lane = self.by_lane if self._goes_by_lane(record, lane_strides) else None
        record += [bits[number] for number in self.constants]
        return Call(self.kernel, record, self.pointers, units=self.units, cost=self.cost, by_lane=by_lane)

    def _goes_by_lane(self, record: Sequence[int], lane_strides: Sequence[int]) -> bool:
        """Whether the outermost loop goes over the lanes from the first one on, and no other one leaves the lane."""
        for word, number in self.bases:
            lane_stride = lane_strides[number]
            if lane_stride:
                first, *others = record[word + 1 : word + _WORDS]
                if first != lane_stride or max(others) >= lane_stride or record[word] >= lane_stride:
                    return False
        return True


@lru_cache(maxsize=4096)
def _drafts(operation: Elementwise, operands: tuple[tuple[str, Form], ...]) -> tuple[_Draft, ...] | None:
    found = nests_of(tuple(form for _, form in operands))
    tables = [len(operation.results) + number for number in operation.tables]
    if found is None:
        return None
    sizes = [0 if k in tables else size for k, size in enumerate((*operation.results, *operation.sources))]
    known = [nest if not any(nest.strides[k][-1] for k in tables) else nest.with_single_elements(sizes) for nest in found]
    found = [nest for nest in known if nest is not None]
    if len(found) < len(known):
        return None
    return tuple(_draft(operation, [space for space, _ in operands], nest) for nest in found)


def _draft(operation: Elementwise, spaces: Sequence[str], nest: Nest) -> _Draft:
    sizes, results = (*operation.results, *operation.sources), len(operation.results)
    fixable = [k - results not in operation.tables and k >= results for k in range(len(sizes))]
    inner = tuple(map(_inner_class, sizes, nest.strides, fixable))
    record, bases, constants = [*nest.sizes, nest.last], list[tuple[int, int]](), list[int]()
    end = _HEAD + len(spaces) * _WORDS
    pointers: list[tuple[int, str]] = []
    for number, (space, offset, strides) in enumerate(zip(spaces, nest.offsets, nest.strides, strict=True)):
        pointers.append((len(record), space))
        if space == ARGUMENTS:
            offset = 8 * (end + len(constants))
            constants.append(number)
        else:
            bases.append((len(record), number))
        record += [offset, *strides]
    return _Draft(
        kernel=NestKernel(operation, inner, depth=next(depth for depth in DEPTHS if depth >= nest.depth)),
        record=tuple(record),
        bases=tuple(bases),
        constants=tuple(constants),
        pointers=tuple(pointers),
        units=nest.sizes[0],
        cost=20 + operation.nanoseconds * nest.elements,
        by_lane=(
            frozenset(space for space in spaces[results:] if space not in ("lmem", ARGUMENTS)),
            frozenset(space for space in spaces[:results] if space != "lmem"),
        ),
    )


def _inner_class(size: int, strides: Sequence[int], fixable: bool) -> Inner:
    if fixable and not any(strides):
        return Inner.FIXED
    return Inner.RUN if strides[-1] == size else Inner.SAME if strides[-1] == 0 else Inner.APART
