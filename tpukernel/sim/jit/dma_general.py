"""DMA_general: everything but broadcasts to some lanes only, and ranges that lie on each other."""

from __future__ import annotations

from collections.abc import Iterator

from tpukernel.chips.placement import Axis, Placement
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa.dma_fields import ALL_LANES
from tpukernel.isa.dma_general import DmaGeneral, DmaGeneralOp
from tpukernel.sim.interpreter.moves import allows
from tpukernel.sim.jit.access import Place, conflicts
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.moves import copying
from tpukernel.sim.jit.nest_kernel import nest_calls
from tpukernel.sim.memory import Memory

__all__ = ["lower"]


def lower(instruction: DmaGeneral, memory: Memory) -> list[Call] | None:
    """The calls that copy the stretch: one for each piece that stays in a lane on both sides."""
    dst, src, size = instruction.dst, instruction.src, instruction.dst.shape[3] * instruction.dst.dtype.itemsize
    unit = src.dtype.itemsize if isinstance(src, Constant) else 1
    source = src if isinstance(src, Constant) else _range(memory, src)
    channels = 1
    if instruction.op is DmaGeneralOp.BROADCAST:
        channels = dst.shape[1]
        if instruction.lane_mask != ALL_LANES or dst.address % memory.chip.lane_bytes + size > memory.chip.lane_bytes:
            return None
    calls: list[Call] = []
    pieces: list[tuple[Place, Place]] = []
    for done, length in _pieces(memory, [_range(memory, dst)] + ([] if isinstance(source, Constant) else [source]), size):
        if length % unit:
            return None
        space, offset = _range(memory, dst)
        lane = (offset + done) // memory.chip.lane_bytes
        if space == "lmem" and isinstance(dst, LocalTensor) and not allows(instruction.lane_mask, lane):
            continue
        result = _stretch(memory, space, offset + done, length // unit, unit, channels)
        other = Place.constant(source) if isinstance(source, Constant) else _stretch(memory, source[0], source[1] + done, length, 1)
        pieces.append((result, other))
    if any(conflicts(result, other) for result, _ in pieces for _, other in pieces):
        return None
    for result, other in pieces:
        found = nest_calls(copying(unit), [result], [other])
        if found is None:
            return None
        calls += found
    return calls


def _range(memory: Memory, operand: LocalTensor | SystemTensor) -> tuple[str, int]:
    return ("lmem", operand.address) if isinstance(operand, LocalTensor) else memory.locate(operand.address)


def _pieces(memory: Memory, starts: list[tuple[str, int]], size: int) -> Iterator[tuple[int, int]]:
    """Cut a stretch where it comes to the next lane on any side: (bytes before, bytes)."""
    lane_bytes = memory.chip.lane_bytes
    for space, offset in starts:
        memory.check_range(space, offset, size)
    done = 0
    while done < size:
        left = [lane_bytes - (offset + done) % lane_bytes for space, offset in starts if space == "lmem"]
        length = min([size - done, *left])
        yield done, length
        done += length


def _stretch(memory: Memory, space: str, offset: int, count: int, unit: int, channels: int = 1) -> Place:
    """Elements in a row, inside of a lane where it is local memory; the same in several lanes."""
    local = space == "lmem"
    lane, byte = divmod(offset, memory.chip.lane_bytes) if local else (0, offset)
    axes = (Axis(1, 0), Axis(channels, memory.lane_stride), Axis(1, 0), Axis(count, unit))
    return Place(space, Placement(lane * memory.lane_stride + byte, unit, axes), lane_stride=memory.lane_stride if local else 0)
