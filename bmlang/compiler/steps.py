"""The steps of a group: what is loaded, computed and stored, piece by piece.

A group is a list of nodes whose results in between stay in local memory. It is cut into slices of its last result; from the box of a slice
follows, backwards, which box of every tensor is needed. Within a slice each node is a step (several, where a node takes its work in
pieces). Loads of a step are issued while the step before it is computed, and its stores behind the computation of the next one, so that
both engines work at one time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import lcm
from typing import TypeAlias

from bmlang.compiler.arena import Buffer, Life
from bmlang.graph.graph import Array, Node
from bmlang.layers.base import Call, LocalForm, Packed
from bmlang.layers.region import Region, pieces
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import Dtype, dtype_of

__all__ = ["Compute", "Event", "Group", "Load", "Step", "Steps", "Store", "Work", "build", "lives_of"]

AXES = "nchw"


@dataclass(frozen=True)
class Coefficient:
    """Packed coefficients of a piece.

    Attributes:
        key: what they depend on.
        array: (1, c, 1, m), one row for each lane.
        shape, dtype: those of the array.
    """

    key: object
    array: Array
    shape: Dim4
    dtype: Dtype


@dataclass(frozen=True)
class Portion:
    """What one call of a layer's `tile` computes.

    Attributes:
        region: the box of the first result.
        regions: the box of each fed input, by its number.
        packed: the coefficients.
        scratch: bytes of a lane that it uses besides.
    """

    region: Region
    regions: Mapping[int, Region]
    packed: tuple[Coefficient, ...]
    scratch: int


@dataclass(frozen=True)
class Work:
    """A node with its local form. What follows from a box of its result is kept, as many ways to cut a group have the same ones."""

    node: Node
    call: Call
    form: LocalForm
    _fed: dict[Region, Mapping[int, Region]] = field(default_factory=dict[Region, Mapping[int, Region]], repr=False, compare=False)
    _portions: dict[Region, tuple[Portion, ...]] = field(default_factory=dict[Region, "tuple[Portion, ...]"], repr=False, compare=False)

    def fed(self, region: Region) -> Mapping[int, Region]:
        """The box of each fed input for a box of the first result."""
        if region not in self._fed:
            self._fed[region] = {index: feed.region(region) for index, feed in self.form.feeds.items()}
        return self._fed[region]

    def portions(self, wanted: Region) -> tuple[Portion, ...]:
        """The calls of `tile` that compute a box of the first result."""
        if wanted not in self._portions:
            self._portions[wanted] = tuple(self._cut(wanted))
        return self._portions[wanted]

    def _cut(self, wanted: Region) -> Iterator[Portion]:
        sizes = [limit or size for limit, size in zip(self.form.at_once, wanted.size, strict=True)]
        for piece in pieces(wanted.size, (sizes[0], sizes[1], sizes[2], sizes[3])):
            starts = tuple(one + other for one, other in zip(piece.start, wanted.start, strict=True))
            region = Region((starts[0], starts[1], starts[2], starts[3]), piece.size)
            packed = tuple(self._coefficient(number, each, region) for number, each in enumerate(self.form.packed))
            yield Portion(region, self.fed(region), packed, self.form.scratch(region))

    def _coefficient(self, number: int, packed: Packed, region: Region) -> Coefficient:
        spans = tuple((region.start[AXES.index(axis)], region.size[AXES.index(axis)]) for axis in packed.axes)
        array = packed.packed(spans, region)
        n, c, h, w = array.shape
        return Coefficient((self.node.name, number, spans), array, (n, c, h, w), dtype_of(array.dtype))

    def shapes(self) -> Iterator[tuple[str, Dim4]]:
        """The results with their shapes (n, c, h, w)."""
        yield self.node.outputs[0], self.form.out
        yield from zip(self.node.outputs[1:], (shape for shape, _ in self.form.others), strict=True)

    def boxes(self, region: Region) -> Iterator[tuple[str, Region]]:
        """The boxes of all results for a box of the first one."""
        yield self.node.outputs[0], region
        yield from zip(self.node.outputs[1:], (box(region) for _, box in self.form.others), strict=True)


@dataclass(frozen=True)
class Group:
    """Nodes that run together.

    Attributes:
        works: the nodes, each behind those whose results it takes.
        stored: results that are needed outside.
        offsets: first element of tensors that the group sees as a part of themselves.
    """

    works: tuple[Work, ...]
    stored: frozenset[str]
    offsets: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def anchor(self) -> Work:
        """The node whose result is cut into slices."""
        return self.works[-1]

    @cached_property
    def may_be_cut(self) -> bool:
        """Whether a slice of the last result is one of all results that are stored."""
        shapes = {name: shape for work in self.works for name, shape in work.shapes()}
        return all(shapes[name] == self.anchor.form.out for name in self.stored)

    @cached_property
    def cut(self) -> Dim4:
        """How slices may be cut, by dimension, as far as the last result and all results of its shape go; see `LocalForm.cut`."""
        cuts = [work.form.cut for work in self.works if work.form.out == self.anchor.form.out]
        n, c, h, w = (lcm(*steps) for steps in zip(*cuts, strict=True))
        return n, c, h, w


@dataclass(frozen=True)
class Load:
    """Bring a box of a tensor, or packed coefficients, into a buffer."""

    buffer: Buffer
    source: str | Array
    shape: Dim4
    region: Region
    offset: int = 0
    spread: bool = False


@dataclass(frozen=True)
class Store:
    """Bring a box of a buffer to a tensor."""

    value: str
    shape: Dim4
    region: Region
    held: Held
    offset: int = 0


@dataclass(frozen=True)
class Held:
    """A box of a tensor that is in a buffer."""

    buffer: Buffer
    region: Region

    def box(self, region: Region) -> Region:
        """Where a smaller box lies in the buffer."""
        return region.within(self.region)


@dataclass(frozen=True)
class Compute:
    """One call of a layer's `tile`."""

    work: Work
    region: Region
    outs: tuple[Held, ...]
    ins: Mapping[int, Held]
    regions: Mapping[int, Region]
    packed: tuple[Buffer, ...]


Event: TypeAlias = "Load | Compute | Store"


@dataclass
class Step:
    """Loads, then one computation, then stores."""

    compute: Compute
    loads: list[Load] = field(default_factory=list[Load])
    stores: list[Store] = field(default_factory=list[Store])


@dataclass
class Steps:
    """The steps of one group or of several one after the other.

    Attributes:
        steps: in the order of the computations.
        scratch: bytes of a lane that the computations use besides buffers, at most.
    """

    steps: list[Step] = field(default_factory=list[Step])
    scratch: int = 0

    def issued(self) -> Iterator[tuple[Event, Work]]:
        """Everything in the order in which it is issued, and for whom: loads one step ahead, stores one step behind."""
        for number, step in enumerate(self.steps):
            for ahead in self.steps[0 if number == 0 else number + 1 : number + 2]:
                yield from ((load, ahead.compute.work) for load in ahead.loads)
            yield step.compute, step.compute.work
            if number:
                yield from ((store, self.steps[number - 1].compute.work) for store in self.steps[number - 1].stores)
        if self.steps:
            yield from ((store, self.steps[-1].compute.work) for store in self.steps[-1].stores)

    def events(self) -> Iterator[Event]:
        """Everything in the order in which it is issued."""
        return (event for event, _ in self.issued())

    def lives(self) -> list[tuple[Buffer, Life]]:
        """The buffers, and when each is needed."""
        return lives_of(self.events())


def lives_of(events: Iterable[Event]) -> list[tuple[Buffer, Life]]:
    """The buffers of commands, and when each is needed."""
    found: dict[Buffer, Life] = {}
    for moment, event in enumerate(events):
        for buffer in _buffers(event):
            found.setdefault(buffer, Life(moment, moment)).last = moment
    return list(found.items())


def _buffers(event: Event) -> Iterator[Buffer]:
    match event:
        case Load():
            yield event.buffer
        case Store():
            yield event.held.buffer
        case Compute():
            yield from (held.buffer for held in (*event.outs, *event.ins.values()))
            yield from event.packed


def build(group: Group, size: Dim4, chip: Chip, *, keep: bool) -> Steps | None:
    """The steps of a group whose last result is made in boxes of at most `size`; None where it cannot be cut so.

    Args:
        group: the nodes.
        size: largest box of the last result.
        chip: the chip.
        keep: what several slices need is loaded once and stays.
    """
    return _Builder(group, chip, keep).run(size)


class _Builder:
    def __init__(self, group: Group, chip: Chip, keep: bool) -> None:
        self._group, self._chip, self._keep = group, chip, keep
        self._steps = Steps()
        self._number = 0
        self._kept: dict[object, Held] = {}
        self._packed: dict[object, Buffer] = {}
        self._made = {output for work in group.works for output in work.node.outputs}
        self._shapes = {name: shape for work in group.works for name, shape in work.shapes()}

    def run(self, size: Dim4) -> Steps | None:
        form = self._group.anchor.form
        slices = list(pieces(form.out, size))
        if len(slices) > 1 and not self._group.may_be_cut:
            return None
        for box in slices:
            needed = self._needed(box)
            if needed is None:
                return None
            self._slice(needed)
        return self._steps

    def _needed(self, box: Region) -> Mapping[tuple[str, int], Region] | None:
        """The box of each result and of each loaded operand (by node and input) in a slice; None where a form cannot be cut so."""
        results: dict[str, Region] = dict.fromkeys(self._group.stored, box) if box.size != self._group.anchor.form.out else {}
        if not results:
            results = {name: Region.whole(self._shapes[name]) for name in self._group.stored}
        found: dict[tuple[str, int], Region] = {}
        for work in reversed(self._group.works):
            name = work.node.outputs[0]
            wanted = results.get(name)
            if wanted is None or not _may_cut(work.form, wanted):
                return None
            for output, region in work.boxes(wanted):
                found[output, -1] = results[output] = region.join(results[output]) if output in results else region
            for index, region in work.fed(wanted).items():
                source = work.node.inputs[index]
                found[work.node.name, index] = region
                if source in self._made:
                    results[source] = region.join(results[source]) if source in results else region
        return found if self._whole_rows(found, results) else None

    def _whole_rows(self, needed: Mapping[tuple[str, int], Region], results: Mapping[str, Region]) -> bool:
        """Whether layers that want an operand without gaps get one: nobody needs more rows or columns of it."""
        for work in self._group.works:
            for index, feed in work.form.feeds.items():
                held, wanted = results.get(work.node.inputs[index]), needed[work.node.name, index]
                if feed.whole_rows and held is not None and (held.start[2:], held.size[2:]) != (wanted.start[2:], wanted.size[2:]):
                    return False
        return True

    @property
    def _scope(self) -> int:
        """What was loaded in one scope is not loaded again in it."""
        return 0 if self._keep else self._number

    def _slice(self, needed: Mapping[tuple[str, int], Region]) -> None:
        self._number += 1
        held: dict[str, Held] = {}
        for work in self._group.works:
            wanted = needed[work.node.outputs[0], -1]
            loads: list[Load] = []
            ins: dict[int, Held] = {}
            for index, feed in work.form.feeds.items():
                source = work.node.inputs[index]
                ins[index] = held[source] if source in held else self._load(work, index, feed.shape, needed[work.node.name, index], loads)
            outs: list[Held] = []
            for (name, shape), (_, region) in zip(work.shapes(), work.boxes(wanted), strict=True):
                spec = work.call.outputs[work.node.outputs.index(name)]
                outs.append(Held(Buffer.of(name, region.size, spec.dtype, Layout.EU_ALIGNED, self._chip), region))
                held[name] = outs[-1]
                assert shape == self._shapes[name]  # noqa: S101
            self._compute(work, wanted, ins, tuple(outs), loads)
            last = self._steps.steps[-1]
            for name, result in zip(work.node.outputs, outs, strict=True):
                if name in self._group.stored:
                    last.stores.append(Store(name, self._shapes[name], result.region, result, self._group.offsets.get(name, 0)))

    def _load(self, work: Work, index: int, shape: Dim4, region: Region, loads: list[Load]) -> Held:
        source, feed = work.node.inputs[index], work.form.feeds[index]
        lanes = min(work.form.out[1], self._chip.lanes) if feed.spread else 0
        key = (source, shape, region, feed.layout, lanes, self._scope)
        if key in self._kept:
            return self._kept[key]
        spec = work.call.spec(index)
        n, c, h, w = region.size
        buffer = Buffer.of(source, (n, lanes or c, h, w), spec.dtype, feed.layout, self._chip)
        loads.append(Load(buffer, source, shape, region, self._group.offsets.get(source, 0), bool(lanes)))
        held = Held(buffer, region)
        self._kept[key] = held
        return held

    def _compute(self, work: Work, wanted: Region, ins: Mapping[int, Held], outs: tuple[Held, ...], loads: list[Load]) -> None:
        for part in work.portions(wanted):
            packed = tuple(self._pack(work, each, loads) for each in part.packed)
            self._steps.steps.append(Step(Compute(work, part.region, outs, ins, part.regions, packed), loads))
            self._steps.scratch = max(self._steps.scratch, part.scratch)
            loads = []

    def _pack(self, work: Work, packed: Coefficient, loads: list[Load]) -> Buffer:
        key = packed.key, self._scope
        if key not in self._packed:
            buffer = Buffer.of(f"{work.node.name} coefficients", packed.shape, packed.dtype, Layout.EU_ALIGNED, self._chip)
            loads.append(Load(buffer, packed.array, packed.shape, Region.whole(packed.shape)))
            self._packed[key] = buffer
        return self._packed[key]


def _may_cut(form: LocalForm, region: Region) -> bool:
    """Whether a form can make this box of its result."""
    for start, size, whole, step in zip(region.start, region.size, form.out, form.cut, strict=True):
        if size != whole and (step == 0 or start % step or (size % step and start + size != whole)):
            return False
    return True


def sizes_to_try(out: Dim4, cut: Dim4, chip: Chip, *, square: bool = False) -> Iterator[Dim4]:
    """Sizes of slices, from the whole result down to the smallest that makes sense.

    Args:
        out: the shape of the last result.
        cut: how it may be cut, see `LocalForm.cut`.
        chip: the chip.
        square: cut channels and columns alike, where both can be cut; otherwise channels come first.
    """
    if not square:
        yield out
    steps = [cut[0], max(cut[1], chip.lanes) if cut[1] else 0, cut[2], cut[3]]
    units = [-(-whole // step) if step else 1 for whole, step in zip(out, steps, strict=True)]
    if square and min(units[1], units[3]) == 1:
        return
    last = out
    for count in _counts():
        size = list(out)
        left = count
        for axis in (0, 2, 1, 3):
            if steps[axis] and left > 1:
                wanted = round(left**0.5) if square and axis == 1 else left
                each = -(-units[axis] // min(wanted, units[axis]))
                size[axis] = min(each * steps[axis], out[axis])
                left = -(-left // -(-units[axis] // each))
        found = (size[0], size[1], size[2], size[3])
        if found != last:
            yield found
            last = found
        if left > 1:
            return


def _counts() -> Iterator[int]:
    """How many slices to try: 2, 3, 4, 6, 8, 12, ... 16384."""
    power = 2
    while power <= 16384:
        yield power
        yield power + power // 2
        power *= 2
