"""Cycles of GDMA commands, without those for the start: `bytes * burst * spread / rate`, rounded down.

* rate: by direction (`CostTable.dma_rates`).
* burst: a contiguous run that is shorter than a DDR burst costs as much as a whole one. Channels are never joined to a run, because each
  goes to another lane.
* spread: blocks of 4 KiB go to the four DDR channels in turn. The estimator looks at the first 16 KiB, as if the tensor started at 0, and
  counts the channels that its blocks (one per c and n) reach; a transfer that reaches one of four costs four times as much.

Kinds that the estimator does not really model (it counts them faster than the DDR is) are in `UNMODELLED`.

Source: counts of the official library, see `tpukernel.cost.constants`; `tests/vendor/test_cost.py` compares them on random calls.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import TypeVar, cast

from tpukernel.chips.chip import Chip
from tpukernel.chips.layout import strides_of
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor, SystemTensor
from tpukernel.cost.constants import CostTable, Direction
from tpukernel.cost.result import Loss, Traffic
from tpukernel.isa.dma_cw_transpose import DmaCwTranspose
from tpukernel.isa.dma_gather import DmaGather
from tpukernel.isa.dma_general import DmaGeneral
from tpukernel.isa.dma_masked_select import DmaMaskedSelect
from tpukernel.isa.dma_matrix import DmaMatrix, DmaMatrixOp
from tpukernel.isa.dma_nonzero import DmaNonzero
from tpukernel.isa.dma_scatter import DmaScatter
from tpukernel.isa.dma_sys import DmaSys
from tpukernel.isa.dma_tensor import DmaTensor, DmaTensorOp
from tpukernel.isa.instruction import Instruction

__all__ = ["DMA_COSTS", "UNMODELLED", "DmaCycles", "direction_of", "moved_bytes", "traffic_of"]

_I = TypeVar("_I", bound=Instruction)
_Tensor = LocalTensor | SystemTensor


@dataclass(frozen=True)
class DmaCycles:
    """Cycles of a command, those that it would save without each cause of a loss alone, and whether the number means anything."""

    cycles: int
    losses: Mapping[Loss, int] = field(default_factory=dict[Loss, int])
    unmodelled: bool = False


# ---------------------------------------------------------------------------- what is moved


def _ends(instruction: Instruction) -> tuple[object, object]:
    """Source and destination; None for a command that moves nothing."""
    src, dst = (instruction.value_of(name) if name in instruction.specs else None for name in ("src", "dst"))
    return src, dst


_DIRECTIONS: Mapping[tuple[bool, bool], Direction] = MappingProxyType(
    {(False, True): "S2L", (True, False): "L2S", (False, False): "S2S", (True, True): "L2L"}
)


def direction_of(instruction: Instruction) -> Direction | None:
    """Between which memories a GDMA command moves; a fill constant is not in local memory. None for a command that moves nothing."""
    src, dst = _ends(instruction)
    return None if dst is None else _DIRECTIONS[isinstance(src, LocalTensor), isinstance(dst, LocalTensor)]


def moved_bytes(instruction: Instruction) -> int:
    """Bytes that are read once; a BROADCAST reads one channel only."""
    if isinstance(instruction, DmaTensor) and instruction.op is DmaTensorOp.BROADCAST and not isinstance(instruction.src, Constant):
        return prod(instruction.src.shape) * instruction.src.dtype.itemsize
    return instruction.bytes_moved


def traffic_of(instruction: Instruction) -> Traffic:
    """Bytes that a GDMA command reads from and writes to system memory."""
    moved = moved_bytes(instruction)
    return Traffic(*(moved if isinstance(end, SystemTensor) else 0 for end in _ends(instruction)))


# ---------------------------------------------------------------------------- factors


def _whole_cycles(cycles: float) -> int:
    """The estimator holds the number in single precision before it drops the fraction."""
    return int(struct.unpack("f", struct.pack("f", cycles))[0])


def _burst(table: CostTable, run: int) -> float:
    return max(1.0, table.burst_bytes / run)


def _run(shape: Dim4, strides: Dim4, size: int) -> int:
    """Contiguous bytes of a channel, as the estimator sees them: it looks at the w stride last."""
    (_, _, h, w), (_, _, h_stride, w_stride) = shape, strides
    if h_stride == w:
        return h * w * size
    return (w if w == 1 or w_stride <= 1 else 1) * size


def _spread(table: CostTable, shape: Dim4, strides: Dim4, size: int) -> float:
    """Channels of the DDR over those that a tensor in system memory reaches; 0 for an h stride of 0, as the estimator has it."""
    (n, c, h, _), (n_stride, c_stride, h_stride, _) = shape, (stride * size for stride in strides)
    if h_stride == 0:
        return 0.0
    block, end = table.ddr_interleave, table.ddr_channels * table.ddr_interleave
    count = max(1, -(-(h * h_stride // table.ddr_unit * table.ddr_unit) // block))
    starts = {first for i in _starts(n, n_stride, end) for first in _blocks(range(i, end), c, c_stride, block)}
    channels = {first + more for first in starts for more in range(min(count, table.ddr_channels))} & set(range(table.ddr_channels))
    return table.ddr_channels / len(channels)


def _starts(count: int, stride: int, end: int) -> range:
    """The first bytes of `count` pieces, as far as they are below `end`."""
    return range(0, min(count * stride, end), stride) if stride else range(1)


def _blocks(room: range, count: int, stride: int, block: int) -> set[int]:
    """The blocks in which `count` pieces start that begin at `room.start`, as far as they are in the room."""
    starts = _starts(count, stride, len(room))
    if stride > block:
        return {(room.start + start) // block for start in starts}
    return set(range(room.start // block, (room.start + starts[-1]) // block + 1))


# ---------------------------------------------------------------------------- kinds


@dataclass(frozen=True)
class _Move:
    """A command on its way to a number."""

    chip: Chip
    table: CostTable
    direction: Direction

    def cycles(self, moved: int, rate: float, *, run: int, spread: float = 1.0, factor: float = 1.0) -> DmaCycles:
        """Cycles of `moved` bytes in contiguous runs of `run` bytes."""
        burst = _burst(self.table, run)

        def whole(*factors: float) -> int:
            return _whole_cycles(moved * factor * prod(factors) / rate)

        cycles = whole(burst, spread)
        cheaper = {Loss.SHORT_RUNS: whole(spread), Loss.FEW_CHANNELS: whole(burst)}
        losses = {loss: cycles - other for loss, other in cheaper.items() if other < cycles}
        return DmaCycles(cycles, losses, unmodelled=spread == 0)


def _tensor(instruction: DmaTensor, move: _Move) -> DmaCycles:
    """The estimator lays the shape of the source over both sides, whatever the shape of the destination is."""
    dst, src, table = instruction.dst, instruction.src, move.table
    size, moved = dst.dtype.itemsize, moved_bytes(instruction)
    if isinstance(src, Constant):
        return move.cycles(moved, table.dma_rates["S2L"], run=_run(dst.shape, strides_of(move.chip, dst), size))
    to, of = (_strides(instruction, tensor, move.chip) for tensor in (dst, src))
    run = min(_run(src.shape, to, size), _run(src.shape, of, size))
    if instruction.op is DmaTensorOp.BROADCAST:
        return move.cycles(moved, table.dma_rates["S2L"], run=run)
    written = dst.shape if instruction.op is DmaTensorOp.TRANSPOSE else src.shape
    read = _spread(table, src.shape, of, size) if isinstance(src, SystemTensor) else 1.0
    write = _spread(table, written, to, size) if isinstance(dst, SystemTensor) else 1.0
    if move.direction == "S2S":
        write = min(read, write)
    return move.cycles(moved, table.dma_rates[move.direction] * table.tensor_rate_factor, run=run, spread=read * write)


def _strides(instruction: DmaTensor, tensor: _Tensor, chip: Chip) -> Dim4:
    """The strides that the estimator assumes: where a command has none, its own in two cases."""
    _, _, h, w = cast("_Tensor", instruction.src).shape
    if tensor.strides is None and instruction.op is DmaTensorOp.TRANSPOSE:
        return 0, h * w, w, 1
    if tensor.strides is None and instruction.op is DmaTensorOp.BROADCAST:
        return 0, 0, 0, 1
    return strides_of(chip, tensor)


def _matrix(instruction: DmaMatrix, move: _Move) -> DmaCycles:
    local = instruction.dst if isinstance(instruction.dst, LocalTensor) else instruction.src
    factor = move.table.matrix_transpose_factor if instruction.op is DmaMatrixOp.TRANSPOSE else 1.0
    run = local.shape[3] * local.dtype.itemsize
    return move.cycles(instruction.bytes_moved, move.table.dma_rates[move.direction], run=run, factor=factor)


def _unmodelled(instruction: Instruction, move: _Move) -> DmaCycles:
    return DmaCycles(int(instruction.bytes_moved / move.table.unmodelled_rates[move.direction]), unmodelled=True)


def _nothing(instruction: DmaSys, move: _Move) -> DmaCycles:  # noqa: ARG001 - one signature for all kinds
    return DmaCycles(0)


_Count = Callable[[Instruction, Chip, CostTable], DmaCycles]

UNMODELLED: frozenset[type[Instruction]] = frozenset({DmaGeneral, DmaGather, DmaScatter, DmaMaskedSelect, DmaNonzero, DmaCwTranspose})
"""The kinds that the official estimator counts by their bytes alone."""


def _entry(unit: type[_I], count: Callable[[_I, _Move], DmaCycles]) -> tuple[type[Instruction], _Count]:
    def counted(instruction: Instruction, chip: Chip, table: CostTable) -> DmaCycles:
        direction = direction_of(instruction)
        return DmaCycles(0) if direction is None else count(cast("_I", instruction), _Move(chip, table, direction))

    return unit, counted


DMA_COSTS: Mapping[type[Instruction], _Count] = MappingProxyType(
    dict(
        [
            _entry(DmaTensor, _tensor),
            _entry(DmaMatrix, _matrix),
            _entry(DmaSys, _nothing),
            *(_entry(unit, _unmodelled) for unit in UNMODELLED),
        ]
    )
)
"""The function for each class of instructions."""
