"""Tables of offsets: where the elements of a factor, an addend or the result lie, by row, by k and by column.

The offset of an element in memory is the sum of one number for its row (or k) and one for its column. Columns are taken a vector at a
time. Most vectors are one run of neighbouring elements, or two (where a line of the image ends); the table says which, so that the kernel
loads and stores whole vectors. A panel can also be packed from several runs, one after the other.

An entry has four words: its kind, the first byte, the elements of the first run, and the byte at which the vector would start if the second
run were a part of it (which is never before the first element). In entries of kind `SINGLE` the first word behind the kind is the place of
the offsets of the elements in the record. In those of kind `RUNS` it is the place of a list of pairs, first byte as above and number of the
first element, and the next word says how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpukernel.sim.jit.ir import I32, I64, Function, Type, Value

__all__ = [
    "ENTRY_BYTES",
    "ColumnTable",
    "Vectors",
    "column_table",
    "gather_loop",
    "load_vectors",
    "store_vector",
]

RUN, TWO_RUNS, SINGLE, RUNS = range(4)
ENTRY_WORDS = 4
MOST_RUNS = 6
"""Of more runs single elements are faster."""
ENTRY_BYTES = 8 * ENTRY_WORDS

Offsets = NDArray[np.int64]


@dataclass(frozen=True)
class ColumnTable:
    """A table of columns, whose offsets of single elements are counted from its own start.

    Attributes:
        words: the entries, and behind them the offsets of single elements and the runs.
        singles: positions in `words` of places in the record, to which the place of the table has to be added.
    """

    words: list[int]
    singles: list[int]


def column_table(offsets: Offsets, itemsize: int, lanes: int, vectors: int, *, stored: bool = False, packed: bool = False) -> ColumnTable:
    """The table of columns at these offsets.

    Args:
        offsets: bytes of each column.
        itemsize: bytes of an element.
        lanes: elements of a vector.
        vectors: vectors of a panel, to whole ones of which the table is filled up with the last columns.
        stored: the elements are stored: what is not one whole run goes one by one.
        packed: the elements are packed into panels, so that several runs may be named.
    """
    count = -(-offsets.size // (lanes * vectors)) * vectors
    filled = np.concatenate([offsets, np.repeat(offsets[-1:], count * lanes - offsets.size)]).reshape(count, lanes)
    live = -(-offsets.size // lanes)
    filled[live:] = filled[live - 1]
    steps = np.diff(filled, axis=1) != itemsize
    breaks = steps.sum(axis=1)
    split = np.where(breaks == 1, steps.argmax(axis=1) + 1, lanes)
    second = filled[:, -1] - (lanes - 1) * itemsize
    kind = np.where(breaks == 0, RUN, np.where((breaks == 1) & (second >= filled[:, 0]), TWO_RUNS, SINGLE))
    if stored:
        kind = np.where(kind == TWO_RUNS, SINGLE, kind)
        if offsets.size % lanes:
            kind[live - 1] = SINGLE
    entries = np.stack([kind, filled[:, 0], split, second], axis=1)
    lists: list[int] = []
    places: list[int] = []
    for number in np.flatnonzero(kind == SINGLE).tolist():
        places.append(ENTRY_WORDS * number + 1)
        entries[number, 1] = 8 * (ENTRY_WORDS * count + len(lists))
        runs = _runs(filled[number], steps[number], itemsize) if packed else None
        if runs is not None:
            entries[number, 0], entries[number, 2] = RUNS, len(runs)
            lists += runs.reshape(-1).tolist()
        else:
            lists += filled[number].tolist()
    return ColumnTable([*entries.reshape(-1).tolist(), *lists], places)


def _runs(offsets: Offsets, steps: NDArray[np.bool_], itemsize: int) -> Offsets | None:
    """The runs of a vector, (first byte if the vector began where the run says, first element); None where there are too many, or a vector
    that is loaded for a run would leave the stretch from the first element to the last one.
    """
    first = np.concatenate([[0], np.flatnonzero(steps) + 1])
    starts = offsets[first] - first * itemsize
    ends = starts + (offsets.size - 1) * itemsize
    if first.size > MOST_RUNS or starts.min() < offsets[0] or ends.max() > offsets[-1]:
        return None
    return np.stack([starts, first], axis=1)


# ---------------------------------------------------------------------------- in the kernel


@dataclass(frozen=True)
class Vectors:
    """One entry in the kernel, of which vectors are loaded or stored.

    Attributes:
        record: the record.
        entry: pointer to the entry.
    """

    record: Value
    entry: Value

    def word(self, number: int) -> Value:
        return self.entry.offset(8 * number).load(I64, 8)

    def second_run(self, lanes: int) -> Value:
        """Which elements belong to the second run."""
        return self.elements_from(self.word(2), lanes)

    def elements_from(self, first: Value, lanes: int) -> Value:
        """Which elements have this number or a higher one."""
        function = self.record.function
        numbers = ", ".join(f"i32 {lane}" for lane in range(lanes))
        lane = Value(function, Type("i32", lanes), f"<{numbers}>")
        return lane.compare("sge", first.trunc(I32).splat(lanes))

    def single(self, lane: Value) -> Value:
        """The offset of an element that is reached on its own."""
        return self.record.offset(self.word(1)).offset(lane << 3).load(I64, 8)


def load_vectors(function: Function, vectors: Vectors, pointer: Value, element: Type, lanes: int, buffer: Value) -> Value:
    """A vector of a row at `pointer`, in the way of its entry; `buffer` holds a vector."""
    vector = Type(element.element, lanes)
    run, two, single, end = (function.label(name) for name in ("run", "two", "single", "end"))
    kind = vectors.word(0)
    several = function.label("several")
    function.branch_if(kind.compare("eq", RUN), run, several)
    function.block(run)
    whole = pointer.offset(vectors.word(1)).load(vector)
    function.branch(end)
    function.block(several)
    function.branch_if(kind.compare("eq", TWO_RUNS), two, single)
    function.block(two)
    first, second = pointer.offset(vectors.word(1)).load(vector), pointer.offset(vectors.word(3)).load(vector)
    merged = vectors.second_run(lanes).choose(second, first)
    function.branch(end)
    function.block(single)
    with function.loop(0, lanes) as loop:
        found = pointer.offset(vectors.single(loop.index)).load(element)
        buffer.offset(loop.index * (element.bits // 8)).store(found)
    gathered, after = buffer.load(vector), function.here
    function.branch(end)
    function.block(end)
    return function.phi([(whole, run), (merged, two), (gathered, after)])


def store_vector(function: Function, vectors: Vectors, pointer: Value, value: Value, count: Value, buffer: Value) -> None:
    """Store a vector of a row at `pointer`; of what is no run the first `count` elements."""
    element = Type(value.type.element)
    run, single, end = (function.label(name) for name in ("run", "single", "end"))
    function.branch_if(vectors.word(0).compare("eq", RUN), run, single)
    function.block(run)
    pointer.offset(vectors.word(1)).store(value)
    function.branch(end)
    function.block(single)
    buffer.store(value)
    with function.loop(0, count) as loop:
        found = buffer.offset(loop.index * (element.bits // 8)).load(element)
        pointer.offset(vectors.single(loop.index)).store(found)
    function.branch(end)
    function.block(end)


Combine = Callable[[Sequence[Value]], Value]


def gather_loop(
    function: Function,
    vectors: Vectors,
    pointer: Value,
    k_table: Value,
    first: Value,
    count: Value,
    element: Type,
    lanes: int,
    per_step: int,
    combine: Combine,
    panel: Value,
    panel_size: int,
    row_bytes: int,
) -> None:
    """For `count` steps from step `first` on: load `per_step` rows of the right factor in the way of an entry, combine, put into the panel.

    Args:
        pointer: the factor.
        k_table: offsets of the rows.
        combine: from vectors (or single elements) of the rows to what the panel holds.
        panel: where the vector of the first step goes, with `panel_size` bytes for each column; `row_bytes` farther that of the next one.
    """
    vector = Type(element.element, lanes)
    run, several, two, more, runs, single, end = (
        function.label(name) for name in ("run", "several", "two", "more", "runs", "single", "end")
    )
    rows = k_table.offset(first * (8 * per_step))
    kind = vectors.word(0)

    def steps(load: Callable[[Value], Value]) -> None:
        with function.loop(0, count, carried=[rows, panel]) as loop:
            row, to = loop.values
            found = [load(row.offset(8 * number).load(I64, 8)) for number in range(per_step)]
            to.store(combine(found))
            loop.next = [row.offset(8 * per_step), to.offset(row_bytes)]

    function.branch_if(kind.compare("eq", RUN), run, several)
    function.block(run)
    start = pointer.offset(vectors.word(1))
    steps(lambda row: start.offset(row).load(vector))
    function.branch(end)

    function.block(several)
    function.branch_if(kind.compare("eq", TWO_RUNS), two, more)
    function.block(two)
    low, high, mask = pointer.offset(vectors.word(1)), pointer.offset(vectors.word(3)), vectors.second_run(lanes)
    steps(lambda row: mask.choose(high.offset(row).load(vector), low.offset(row).load(vector)))
    function.branch(end)

    function.block(more)
    function.branch_if(kind.compare("eq", RUNS), runs, single)
    function.block(runs)
    with function.loop(0, vectors.word(2), carried=[vectors.record.offset(vectors.word(1))]) as each:
        begin, mask = pointer.offset(each.values[0].load(I64, 8)), vectors.elements_from(each.values[0].offset(8).load(I64, 8), lanes)
        with function.loop(0, count, carried=[rows, panel]) as loop:
            row, to = loop.values
            found = combine([begin.offset(row.offset(8 * number).load(I64, 8)).load(vector) for number in range(per_step)])
            to.store(mask.choose(found, to.load(found.type, panel_size)), panel_size)
            loop.next = [row.offset(8 * per_step), to.offset(row_bytes)]
        each.next = [each.values[0].offset(16)]
    function.branch(end)

    function.block(single)
    with function.loop(0, lanes) as lane:
        place = pointer.offset(vectors.single(lane.index))
        with function.loop(0, count, carried=[rows, panel.offset(lane.index * panel_size)]) as loop:
            row, to = loop.values
            found = [place.offset(row.offset(8 * number).load(I64, 8)).load(element) for number in range(per_step)]
            to.store(combine(found))
            loop.next = [row.offset(8 * per_step), to.offset(row_bytes)]
    function.branch(end)
    function.block(end)
