"""SG: every operation is lowered. An index that names nothing makes the calls refuse before they have written anything."""

from __future__ import annotations

from dataclasses import replace

from tpukernel.chips.placement import Axis
from tpukernel.chips.tensors import LocalTensor
from tpukernel.isa.gather import Gather, GatherOp
from tpukernel.sim.jit.access import Place, conflicts, place_of, places_of
from tpukernel.sim.jit.compact import select_calls
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.lookup import (
    Lines,
    check_calls,
    elements_of,
    equal_calls,
    index_of,
    lines_of,
    move_lines,
    pairs_to_positions,
)
from tpukernel.sim.jit.workspace import Workspace
from tpukernel.sim.memory import Memory

__all__ = ["lower"]

_PAIRS = {GatherOp.GATHER_HW, GatherOp.SCATTER_HW}
_ONE_INDEX = {GatherOp.GATHER_W, GatherOp.SCATTER_W, *_PAIRS}
_SCATTERS = {GatherOp.SCATTER_W, GatherOp.SCATTER_HW, GatherOp.BATCH_SCATTER, GatherOp.BATCH_SCATTER_SHARED}


def lower(instruction: Gather, memory: Memory) -> list[Call] | None:
    """The calls that move the chosen elements."""
    index, mask, count = instruction.index, instruction.mask, instruction.count
    others = [index] if index is not None else [mask, count]
    places = places_of(memory, [instruction.dst, instruction.src, *(operand for operand in others if operand is not None)])
    if places is None or not places[0].injective:
        return None
    work = Workspace()
    if instruction.op is GatherOp.BATCH_GATHER_BANKS:
        _compare_copies(work, instruction, memory)
    return _select(work, *places) if index is None else _move(work, instruction, *places)


def _compare_copies(work: Workspace, instruction: Gather, memory: Memory) -> None:
    """Refuse where the copies of `src` that the chip reads are not the same."""
    first, *copies = (
        place_of(memory, use.value) for use in instruction.operands() if use.name.startswith("src") and isinstance(use.value, LocalTensor)
    )
    for copy in copies:
        one, other = (None if place is None else lines_of(place) for place in (first, copy))
        work.add(None if one is None or other is None else equal_calls(one, other))


def _move(work: Workspace, instruction: Gather, dst: Place, src: Place, index: Place) -> list[Call] | None:
    gathers = instruction.op not in _SCATTERS
    src, index = work.apart(src, dst), work.apart(index, dst)
    result, source = elements_of(dst), elements_of(src)
    numbers = _numbers(work, instruction, index, instruction.src if gathers else instruction.dst)
    if result is None or source is None or numbers is None:
        return None
    fill = instruction.fill if instruction.skip_invalid else None
    work.add(
        move_lines(
            result,
            source,
            numbers,
            gathers=gathers,
            limit=(1 << 8 * numbers.width) - 1,
            missing="never" if not instruction.skip_invalid else "keep" if fill is None else "fill",
            fill=None if fill is None else Place.constant(fill),
        )
    )
    return work.finished()


def _numbers(work: Workspace, instruction: Gather, index: Place, table: LocalTensor) -> Lines | None:
    """The positions in the flattened table that the index names; all bits of one are set where it may name nothing."""
    _, _, height, width = table.shape
    skips = instruction.skip_invalid
    if instruction.op not in _ONE_INDEX:
        numbers = index_of(work, index)
        if numbers is not None:
            work.add(check_calls(numbers, width, skip_unset=skips))
        return numbers
    count, parts = index.host.shape[1], index.host.shape[3]
    together = work.copy(index)  # its elements are in different lanes
    axes = (Axis(1, 0), Axis(1, 0), Axis(1, 0), Axis(count * parts, index.host.itemsize))
    numbers = elements_of(replace(together, host=replace(together.host, axes=axes)))
    if numbers is None:
        return None
    if instruction.op in _PAIRS:
        return pairs_to_positions(work, numbers, height, width, skip_unset=skips)
    work.add(check_calls(numbers, width, skip_unset=skips))
    return numbers


def _select(work: Workspace, dst: Place, src: Place, mask: Place, count: Place) -> list[Call] | None:
    if conflicts(dst, count) or not count.injective:
        return None
    # Also the count is written while other lines are still read.
    src, mask = (work.apart(work.apart(place, dst), count) for place in (src, mask))
    lines = [elements_of(place) for place in (dst, src, mask, count)]
    runs = [line for line in lines[:3] if line is not None and line.stride in (0, line.width)]
    if len(runs) < 3 or lines[3] is None:
        return None
    work.add(select_calls(runs[0], runs[1], runs[2], lines[3]))
    return work.finished()
