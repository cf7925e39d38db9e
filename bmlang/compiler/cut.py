"""How a group is cut into slices: the way that fits into local memory and is estimated to be fastest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bmlang.compiler.arena import place
from bmlang.compiler.errors import LocalMemoryFullError
from bmlang.compiler.estimate import cycles_of
from bmlang.compiler.steps import Group, Steps, build, sizes_to_try
from bmlang.layers.registry import layer_of
from tpukernel.chips.chip import Chip
from tpukernel.chips.errors import ShapeError

__all__ = ["MANY", "Cut", "best_cut", "finer_cuts", "fits", "needed_cut"]

WORSE, WORSE_OF_MANY = 3, 1
"""After this many ways that are slower than the best one, finer ones are not tried; fewer for groups of many nodes."""
MANY = 4
COARSER, FINER = 2, 1
"""The same for ways that are tried from a known one on, in both directions."""


@dataclass(frozen=True)
class Cut:
    """A group in steps.

    Attributes:
        group: the nodes.
        steps: the steps.
        cycles: what they are estimated to take.
        whole: whether the last result is made in one piece.
        fineness: how many coarser ways there are.
    """

    group: Group
    steps: Steps
    cycles: int
    whole: bool
    fineness: int = 0


def fits(steps: Steps, chip: Chip) -> bool:
    """Give the buffers of steps their addresses; False when there is no room."""
    return place(steps.lives(), lambda _: chip.lane_bytes - steps.scratch)


def best_cut(group: Group, chip: Chip, near: int | None = None) -> Cut | None:
    """The fastest way; None when no way fits.

    Args:
        group: the nodes.
        chip: the chip.
        near: how many ways are coarser than the best one of a group that has nearly the same nodes: ways are tried from there on.
    """
    best = _best_of(group, chip, square=False) if near is None else _best_near(group, chip, near)
    elementwise = all(layer_of(work.node.op).elementwise for work in group.works)
    if elementwise or len(group.works) >= MANY or (best is not None and best.whole):
        return best
    other = _best_of(group, chip, square=True)
    return min((way for way in (best, other) if way is not None), key=lambda way: way.cycles, default=None)


def _best_of(group: Group, chip: Chip, *, square: bool) -> Cut | None:
    """The fastest of a row of ways, from coarse to fine."""
    best: Cut | None = None
    worse = 0
    for fineness, size in enumerate(sizes_to_try(group.anchor.form.out, group.cut, chip, square=square)):
        if size != group.anchor.form.out and not group.may_be_cut:
            break
        found = _cut(group, size, fineness, chip)
        if found is None:
            continue
        if best is None or found.cycles < best.cycles:
            best, worse = found, 0
        else:
            worse += 1
            if worse == (WORSE if len(group.works) < MANY else WORSE_OF_MANY):
                break
    return best


def _best_near(group: Group, chip: Chip, near: int) -> Cut | None:
    """The fastest way that one finds by going from one way to coarser ones, then to finer ones, until they get worse.

    With an elementwise node more, the same way is best, if there is room for it.
    """
    ways = list(sizes_to_try(group.anchor.form.out, group.cut, chip))[: None if group.may_be_cut else 1]
    best = _cut(group, ways[near], near, chip) if near < len(ways) else None
    if best is not None and layer_of(group.anchor.node.op).elementwise:
        return best
    coarser = range(min(near, len(ways)) - 1, -1, -1)
    for numbers, patience in ((coarser, COARSER), (range(near + 1, len(ways)), FINER)):
        worse = 0
        for fineness in numbers:
            found = _cut(group, ways[fineness], fineness, chip)
            if found is not None and (best is None or found.cycles < best.cycles):
                best, worse = found, 0
            elif best is not None or fineness < near:
                worse += 1
            if worse == patience:
                break
    return best


def _cut(group: Group, size: tuple[int, int, int, int], fineness: int, chip: Chip) -> Cut | None:
    for keep in (True, False):
        try:
            steps = build(group, size, chip, keep=keep)
        except ShapeError:  # a piece is longer than a tensor in local memory can be
            return None
        if steps is None:
            return None
        if fits(steps, chip):
            return Cut(group, steps, cycles_of(steps.events(), chip), size == group.anchor.form.out, fineness)
    return None


def finer_cuts(cut: Cut, chip: Chip, count: int) -> Iterator[Cut]:
    """The next ways, which take less local memory."""
    if not cut.group.may_be_cut:
        return
    for fineness, size in enumerate(sizes_to_try(cut.group.anchor.form.out, cut.group.cut, chip)):
        if cut.fineness < fineness <= cut.fineness + count and (found := _cut(cut.group, size, fineness, chip)) is not None:
            yield found


def needed_cut(group: Group, chip: Chip) -> Cut:
    """As `best_cut`.

    Raises:
        LocalMemoryFullError: no way fits.
    """
    found = best_cut(group, chip)
    if found is None:
        work = group.anchor
        inputs = ", ".join(f"{spec.dtype.name}{list(spec.shape)}" for spec in work.call.inputs if spec is not None)
        raise LocalMemoryFullError(
            f"{work.node.op} of {inputs} does not fit into local memory ({chip.lane_bytes:,} bytes of a lane) in any pieces",
            position=work.node.position,
            help="make the tensor smaller, or do it in several steps",
        )
    return found
