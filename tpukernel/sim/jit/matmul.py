"""MM lowered to the product engine."""

from __future__ import annotations

from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import i8, i32, u32
from tpukernel.isa.matmul import MatMul, MatMulOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.products import finish
from tpukernel.sim.jit.products.kinds import F32_SUMS, Kind, kind_of
from tpukernel.sim.jit.products.operands import Preparation, Unsuitable, flat, grid
from tpukernel.sim.jit.products.product import Finish, Grid, Product
from tpukernel.sim.memory import Memory

__all__ = ["lower", "lower_fast"]


def lower(instruction: MatMul, memory: Memory) -> list[Call] | None:
    """The calls that multiply; None where the engine does not do it."""
    return _attempt(instruction, Preparation(memory, instruction.dst))


def lower_fast(instruction: MatMul, memory: Memory) -> list[Call] | None:
    """As `lower`, for floats in any order of the sums."""
    return _attempt(instruction, Preparation(memory, instruction.dst, fast=True))


def _attempt(instruction: MatMul, prepared: Preparation) -> list[Call] | None:
    try:
        return _lower(instruction, prepared)
    except Unsuitable:
        return None


def _lower(instruction: MatMul, prepared: Preparation) -> list[Call]:
    dst, right = instruction.dst, instruction.right
    kind = kind_of(instruction.left.dtype, right.dtype, fast=prepared.fast)
    addends, ending = _ending(instruction, prepared, kind)
    product = Product(
        kind=kind,
        rows=dst.shape[0],
        depth=right.shape[0],
        columns=dst.shape[1] * dst.shape[3],
        left=_left(instruction, prepared),
        right=grid(prepared.apart(prepared.place(right)), right.dtype, (0,), (1, 3)),
        dst=grid(prepared.result, dst.dtype, (0,), (1, 3)),
        addends=addends,
        finish=ending,
    )
    return prepared.finish(product)


def _left(instruction: MatMul, prepared: Preparation) -> Grid:
    left = instruction.left
    place = prepared.place(left)
    if isinstance(left, Constant):
        return grid(place, left.dtype, (), ())
    rows, columns = flat(place, 0), flat(place, 1, 3)[: instruction.left_cols]
    first, second = (columns, rows) if instruction.left_tran else (rows, columns)
    return Grid(left.dtype, place.space, place.host.base, first, second)


def _ending(instruction: MatMul, prepared: Preparation, kind: Kind) -> tuple[tuple[Grid, ...], Finish]:
    dst, bias, partial, left = instruction.dst, instruction.bias, instruction.partial_sum, instruction.left.dtype

    def addend(operand: LocalTensor | Constant | None) -> list[Grid]:
        return [] if operand is None else [grid(prepared.addend(operand), operand.dtype, (0,), (1, 3))]

    if kind == F32_SUMS:
        return (*addend(bias), *addend(partial)), finish.even_odd(bias is not None, partial is not None)
    if kind.sums.is_float:
        added = (*addend(bias), *addend(partial))
        return added, finish.rounded_once(dst.dtype, len(added))
    if instruction.op is MatMulOp.NORMAL:
        if left.bits < 32:
            return (), finish.wrapped(dst.dtype)
        unsigned = left == instruction.right.dtype == u32
        shift = addend(instruction.shift) or [Grid.constant(0, i8)]
        return tuple(shift), finish.shifted(dst.dtype, unsigned, instruction.rounding or Rounding.HALF_EVEN)
    shifts = [Grid.constant(shift or 0, i32) for shift in (instruction.left_shift, instruction.right_shift)]
    relu = instruction.op is MatMulOp.REQUANT_RELU
    dtypes = [None if operand is None else operand.dtype for operand in (bias, partial)]
    return (*shifts, *addend(bias), *addend(partial)), finish.requantised_matmul(dst.dtype, relu, *dtypes)
