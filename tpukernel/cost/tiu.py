"""Cycles of TIU commands, without those for the start.

A lane takes one line (`CostTable.line_bytes`) of every operand in a cycle; so most costs are numbers of lines times a factor of the
operation. Lanes work side by side: channels count in rounds over the lanes, from lane 0 on, so that a tensor of 64 channels that starts
in lane 1 takes two rounds.

Source: counts of the official library, see `tpukernel.cost.constants`; `tests/vendor/test_cost.py` compares them on random calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import TypeVar, cast

from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.cost.constants import CostTable
from tpukernel.cost.result import Loss
from tpukernel.dtypes import Dtype
from tpukernel.isa.arith import Arith, ArithOp
from tpukernel.isa.compare import Compare
from tpukernel.isa.conv import Conv
from tpukernel.isa.gather import Gather, GatherOp
from tpukernel.isa.gather_line import GatherLine, GatherLineOp
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.linear import Linear
from tpukernel.isa.matmul import MatMul
from tpukernel.isa.matmul2 import MatMul2, MatMul2Op
from tpukernel.isa.pool import Pool
from tpukernel.isa.quant import Quant
from tpukernel.isa.special import Special, SpecialOp
from tpukernel.isa.sys import Sys
from tpukernel.isa.transpose import LaneMove, LaneMoveOp
from tpukernel.isa.vector import Vector

__all__ = ["TIU_COSTS", "Lanes", "TiuCycles", "matrix_dtype"]

_I = TypeVar("_I", bound=Instruction)
_Source = LocalTensor | Constant | None
_COMPUTED_BYTES = 4
"""RQ&DQ and f32 products compute 32 bits wide, whatever the types of the operands."""


@dataclass(frozen=True)
class TiuCycles:
    """Cycles of a command, and those that it would save without each cause of a loss alone."""

    cycles: int
    losses: Mapping[Loss, int] = field(default_factory=dict[Loss, int])


@dataclass(frozen=True)
class Lanes:
    """The lanes of a chip: counts rounds, lines and conflicts."""

    chip: Chip
    table: CostTable

    def rounds(self, first: LocalTensor, channels: int) -> int:
        """Rounds over the lanes of that many channels that begin in the lane of `first`."""
        return -(-(first.address // self.chip.lane_bytes + channels) // self.chip.lanes)

    def lines(self, elements: int, size: int) -> int:
        """Lines of that many elements of `size` bytes."""
        return -(-elements * size // self.table.line_bytes)

    def all_lines(self, tensor: LocalTensor, size: int) -> int:
        """Lines of a tensor if its elements had `size` bytes."""
        n, c, h, w = tensor.shape
        return n * self.rounds(tensor, c) * self.lines(h * w, size)

    def share_bank(self, dst: LocalTensor, src: LocalTensor) -> bool:
        """Whether two tensors start in the same bank of the same lane."""
        return dst.address // self.chip.bank_bytes == src.address // self.chip.bank_bytes

    def conflict(self, cycles: int, dst: LocalTensor, src: LocalTensor) -> TiuCycles:
        """A command of that many cycles, or more where its result starts in the bank of its operand."""
        if not self.share_bank(dst, src):
            return TiuCycles(cycles)
        slow = cycles * self.table.same_bank_factor
        return TiuCycles(slow, {Loss.SAME_BANK: slow - cycles})


def _widest(*operands: _Source) -> int:
    return max(operand.dtype.itemsize for operand in operands if operand is not None)


# ---------------------------------------------------------------------------- products


def matrix_dtype(instruction: Conv | MatMul | MatMul2) -> Dtype:
    """The type of the operands that a matrix command multiplies."""
    return (instruction.input if isinstance(instruction, Conv) else instruction.left).dtype


def _conv(instruction: Conv, lanes: Lanes) -> int:
    """The lane in which the result starts does not matter here, nor do pads, insertion, dilation, bias and partial sums."""
    n, oc, oh, ow = instruction.dst.shape
    dtype, table = matrix_dtype(instruction), lanes.table
    depth = -(-instruction.input.shape[1] // table.conv_depth[dtype])
    return n * -(-oc // lanes.chip.lanes) * -(-oh * ow // table.conv_pixels[dtype]) * depth * prod(instruction.kernel)


def _matmul(instruction: MatMul, lanes: Lanes) -> int:
    """A bias and a partial sum are one more term each. Integers of all widths go at the rate of 8 bits."""
    rows, channels, _, width = instruction.dst.shape
    terms = instruction.right.shape[0] + int(instruction.bias is not None) + int(instruction.result_add)
    size = _COMPUTED_BYTES if matrix_dtype(instruction).is_float else 1
    return rows * lanes.rounds(instruction.dst, channels) * lanes.lines(width, size) * terms


def _matmul2(instruction: MatMul2, lanes: Lanes) -> int:
    _, rows, _, columns = instruction.dst.shape
    dtype, table = matrix_dtype(instruction), lanes.table
    return (
        lanes.rounds(instruction.dst, rows) * -(-columns // table.conv_pixels[dtype]) * -(-_depth(instruction) // table.conv_depth[dtype])
    )


def _depth(instruction: MatMul2) -> int:
    if isinstance(instruction.left, LocalTensor):
        return instruction.left.shape[1 if instruction.op is MatMul2Op.TT else 3]
    return cast("LocalTensor", instruction.right).shape[1 if instruction.op is MatMul2Op.NN else 3]


def _pool(instruction: Pool, lanes: Lanes) -> TiuCycles:
    n, c, oh, ow = instruction.dst.shape
    size = _widest(instruction.dst, instruction.input)
    lines = oh * lanes.lines(ow, size) if instruction.kernel[0] == 1 else lanes.lines(oh * ow, size)
    cycles = n * lanes.rounds(instruction.dst, c) * lines * prod(instruction.kernel)
    if min(instruction.stride) < 2:
        return TiuCycles(cycles)
    slow = cycles * lanes.table.strided_pool_factor
    return TiuCycles(slow, {Loss.STRIDED_WINDOW: slow - cycles})


# ---------------------------------------------------------------------------- elementwise


def _arith(instruction: Arith, lanes: Lanes) -> TiuCycles:
    """Lines times a factor of the operation, or of the places of the operands, whichever is larger."""
    dst, sources = instruction.dst, (instruction.src0, instruction.src1)
    size = _widest(dst, *sources)
    lines = lanes.all_lines(dst, size)
    step, rest = lanes.table.div_cycles
    work = step * (instruction.iterations or 0) + rest if instruction.op is ArithOp.DIV else 1

    strided = [_stride_factor(source, lanes, size) for source in sources if _is_free(source)]
    # Two operands of free strides are read one after the other.
    read = sum(strided) if len(strided) == 2 else max([1, *strided])
    alone = _stride_factor(dst, lanes, size) if _is_free(dst) else 1
    write = alone * (lanes.table.same_bank_factor if _in_place(instruction) else 1)
    factor = max(work, read, write)

    cheaper = {
        Loss.SAME_BANK: max(work, read, alone),
        Loss.TWO_STRIDED: max(work, write, *strided) if len(strided) == 2 else factor,
        Loss.STRIDED: max(work, len(strided), write // alone),
    }
    losses = {loss: lines * (factor - other) for loss, other in cheaper.items() if other < factor}
    return TiuCycles(lines * factor, losses)


def _in_place(instruction: Arith) -> bool:
    """The estimator sees a conflict only where addresses are equal; MAC reads its result anyway."""
    sources = (instruction.src0, instruction.src1)
    same = any(isinstance(source, LocalTensor) and source.address == instruction.dst.address for source in sources)
    return same and instruction.op is not ArithOp.MAC


def _is_free(operand: _Source) -> bool:
    return isinstance(operand, LocalTensor) and operand.layout is Layout.FREE


def _stride_factor(operand: _Source, lanes: Lanes, size: int) -> int:
    """How many lines a tensor of free strides touches for each line of elements."""
    if not isinstance(operand, LocalTensor) or operand.strides is None:
        return 1
    (_, _, h, w), (_, _, h_stride, w_stride) = operand.shape, operand.strides
    if w_stride > 1:
        return min(w_stride, lanes.table.line_bytes // size)
    touched = min(lanes.lines(h * h_stride, size), h * lanes.lines(w * w_stride, size))
    return max(touched // lanes.lines(h * w, size), 1)


def _linear(instruction: Linear, lanes: Lanes) -> int:
    return lanes.all_lines(instruction.dst, instruction.dst.dtype.itemsize)


def _compare(instruction: Compare, lanes: Lanes) -> int:
    return 2 * lanes.all_lines(instruction.dst, _widest(instruction.dst, instruction.src0, instruction.src2))


def _quant(instruction: Quant, lanes: Lanes) -> TiuCycles:
    return lanes.conflict(lanes.all_lines(instruction.dst, _COMPUTED_BYTES), instruction.dst, instruction.src)


def _special(instruction: Special, lanes: Lanes) -> int:
    lines = lanes.all_lines(instruction.dst, instruction.dst.dtype.itemsize)
    match instruction.op:
        case SpecialOp.TAYLOR:
            return lines * cast("LocalTensor", instruction.coeff).shape[3]
        case SpecialOp.RSQRT:
            return lines * lanes.table.rsqrt_cycles
        case SpecialOp.EXPONENT:
            return lines


def _vector(instruction: Vector, lanes: Lanes) -> int:
    rows, channels, _, width = instruction.dst.shape
    return rows * lanes.rounds(instruction.dst, channels) * lanes.lines(width, _widest(instruction.dst, instruction.src0, instruction.src1))


# ---------------------------------------------------------------------------- moves


def _lane_move(instruction: LaneMove, lanes: Lanes) -> TiuCycles:
    dst, src = instruction.dst, instruction.src
    (n, c, h, w), size = dst.shape, dst.dtype.itemsize
    match instruction.op:
        case LaneMoveOp.CW_TRANSPOSE:
            return TiuCycles(n * h * lanes.lines(c, size))
        case LaneMoveOp.WC_TRANSPOSE:
            return TiuCycles(n * h * lanes.lines(w, size))
        case LaneMoveOp.LANE_COPY:  # one channel after the other
            return lanes.conflict(lanes.all_lines(dst, size) * c, dst, src)
        case LaneMoveOp.LANE_BROADCAST:
            return lanes.conflict(lanes.all_lines(dst, size), dst, src)
        case LaneMoveOp.STATIC_BROADCAST:
            return TiuCycles(lanes.all_lines(dst, size))
        case LaneMoveOp.STATIC_DISTRIBUTE:
            return TiuCycles(lanes.lines(c, size))


_SCATTERS = {GatherOp.SCATTER_W, GatherOp.SCATTER_HW, GatherOp.BATCH_SCATTER, GatherOp.BATCH_SCATTER_SHARED}


def _gather(instruction: Gather, lanes: Lanes) -> TiuCycles:
    """One element per lane and cycle, more or less where operands share banks or do not."""
    n, c, h, w = instruction.dst.shape
    if instruction.op in _SCATTERS:
        _, _, h, w = instruction.src.shape
    elements = n * lanes.rounds(instruction.dst, c) * h * w
    cycles = max(1, int(elements * lanes.table.gather_factors.get(instruction.op_name, 1.0)))
    return TiuCycles(cycles, {Loss.SAME_BANK: cycles - elements} if cycles > elements else {})


def _gather_line(instruction: GatherLine, lanes: Lanes) -> int:
    n, c, h, w = instruction.dst.shape
    moved = instruction.src.shape[2] if instruction.op is GatherLineOp.SCATTER else h
    return n * lanes.rounds(instruction.dst, c) * 2 * moved * lanes.lines(w, instruction.dst.dtype.itemsize)


def _nothing(instruction: Sys, lanes: Lanes) -> int:  # noqa: ARG001 - one signature for all kinds
    return 0


_Count = Callable[[Instruction, Lanes], TiuCycles]


def _entry(unit: type[_I], count: Callable[[_I, Lanes], TiuCycles | int]) -> tuple[type[Instruction], _Count]:
    def counted(instruction: Instruction, lanes: Lanes) -> TiuCycles:
        found = count(cast("_I", instruction), lanes)
        return TiuCycles(found) if isinstance(found, int) else found

    return unit, counted


TIU_COSTS: Mapping[type[Instruction], _Count] = MappingProxyType(
    dict(
        [
            _entry(Conv, _conv),
            _entry(MatMul, _matmul),
            _entry(MatMul2, _matmul2),
            _entry(Pool, _pool),
            _entry(Arith, _arith),
            _entry(Linear, _linear),
            _entry(Compare, _compare),
            _entry(Quant, _quant),
            _entry(Special, _special),
            _entry(Vector, _vector),
            _entry(LaneMove, _lane_move),
            _entry(Gather, _gather),
            _entry(GatherLine, _gather_line),
            _entry(Sys, _nothing),
        ]
    )
)
"""The function for each class of instructions. SEG is missing: the official library never emits it, so nobody knows what it costs."""
