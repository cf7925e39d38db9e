"""DMA_tensor: everything but broadcasts with odd lane masks, and copies to some lanes that change the shape."""

from __future__ import annotations

from dataclasses import replace

from tpukernel.chips.layout import start_lane
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa.dma_tensor import DmaTensor, DmaTensorOp
from tpukernel.sim.interpreter.moves import allows
from tpukernel.sim.jit.access import Place, places_of
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.moves import copy_to_lanes, move_calls
from tpukernel.sim.memory import Memory

__all__ = ["lower"]


def lower(instruction: DmaTensor, memory: Memory) -> list[Call] | None:
    """The calls that copy the elements."""
    dst, src, mask = instruction.dst, instruction.src, instruction.lane_mask
    if instruction.op is DmaTensorOp.TRANSPOSE and not isinstance(src, Constant):
        places = places_of(memory, [_columns_together(dst), _columns_together(src)])
        return None if places is None else copy_to_lanes(places[0], _n_and_c_exchanged(places[1]), mask)
    places = places_of(memory, [dst, src])
    if places is None:
        return None
    if instruction.op is DmaTensorOp.BROADCAST:
        return move_calls(places[0], places[1]) if isinstance(dst, LocalTensor) and _broadcasts_to_all(dst, mask, memory) else None
    return copy_to_lanes(places[0], places[1], mask)


def _broadcasts_to_all(dst: LocalTensor, mask: int, memory: Memory) -> bool:
    """Whether the two bits that the chip's model looks at let it write."""
    first = start_lane(memory.chip, dst.address)
    return allows(mask, first) and allows(mask, first + dst.shape[1] - 1)


def _columns_together(tensor: LocalTensor | SystemTensor) -> LocalTensor | SystemTensor:
    """The tensor with a w stride of 1, for which a TRANSPOSE takes it whatever the command says."""
    return tensor if tensor.strides is None else replace(tensor, strides=(*tensor.strides[:3], 1))


def _n_and_c_exchanged(place: Place) -> Place:
    n, c, h, w = place.host.axes
    return replace(place, host=replace(place.host, axes=(c, n, h, w)))
