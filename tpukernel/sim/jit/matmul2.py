"""MM2 lowered to the product engine."""

from __future__ import annotations

from dataclasses import replace

from tpukernel.chips.placement import Axis
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, i16
from tpukernel.isa.matmul2 import MatMul2, MatMul2Op
from tpukernel.sim.jit.access import Place
from tpukernel.sim.jit.kernel import ARGUMENTS, Call
from tpukernel.sim.jit.products import finish
from tpukernel.sim.jit.products.kinds import GROUPS, kind_of
from tpukernel.sim.jit.products.operands import Preparation, Unsuitable, flat, grid
from tpukernel.sim.jit.products.order import Order, grouped_depth, plain_depth
from tpukernel.sim.jit.products.product import Grid, Product
from tpukernel.sim.memory import Memory

__all__ = ["lower", "lower_fast"]


def lower(instruction: MatMul2, memory: Memory) -> list[Call] | None:
    """The calls that multiply; None where the engine does not do it."""
    return _attempt(instruction, Preparation(memory, instruction.dst))


def lower_fast(instruction: MatMul2, memory: Memory) -> list[Call] | None:
    """As `lower`, for floats in any order of the sums."""
    return _attempt(instruction, Preparation(memory, instruction.dst, fast=True))


def _attempt(instruction: MatMul2, prepared: Preparation) -> list[Call] | None:
    try:
        return _lower(instruction, prepared)
    except Unsuitable:
        return None


def _lower(instruction: MatMul2, prepared: Preparation) -> list[Call]:
    dst, op, depth = instruction.dst, instruction.op, _depth(instruction)
    right, right_dtype = _right(instruction, prepared)
    left, left_dtype = prepared.place(instruction.left), instruction.left.dtype
    if op is MatMul2Op.TT:
        left, left_dtype, right, right_dtype = right, right_dtype, left, left_dtype
    right = prepared.apart(right)
    kind = kind_of(left_dtype, right_dtype, fast=prepared.fast)
    order = grouped_depth(depth, 1) if kind == GROUPS else plain_depth(depth)
    k_axis, column_axis = (3, 1) if op is MatMul2Op.NT else (1, 3)
    partial = instruction.partial_sum
    addends = () if partial is None else (grid(prepared.addend(partial), partial.dtype, (1,), (3,)),)
    product = Product(
        kind=kind,
        rows=dst.shape[1],
        depth=order.numbers.size,
        columns=dst.shape[3],
        left=_grid(left, left_dtype, 1, 3, order, depth_first=False),
        right=_grid(right, right_dtype, k_axis, column_axis, order, depth_first=True),
        dst=grid(prepared.result, dst.dtype, (1,), (3,)),
        addends=addends,
        finish=finish.rounded_once(dst.dtype, len(addends)) if dst.dtype.is_float else finish.wrapped(dst.dtype),
        group_counts=order.counts,
    )
    return prepared.finish(product)


def _depth(instruction: MatMul2) -> int:
    left, right = instruction.left, instruction.right
    if isinstance(left, LocalTensor):
        return left.shape[1 if instruction.op is MatMul2Op.TT else 3]
    assert isinstance(right, LocalTensor)  # noqa: S101 - a rule of the unit
    return right.shape[1 if instruction.op is MatMul2Op.NN else 3]


def _grid(place: Place, dtype: Dtype, first: int, second: int, order: Order, *, depth_first: bool) -> Grid:
    if place.space == ARGUMENTS:
        return Grid.constant(place.bits, dtype)
    one, other = flat(place, first), flat(place, second)
    if depth_first:
        one = one[order.numbers]
    else:
        other = other[order.numbers]
    return Grid(dtype, place.space, place.host.base, one, other)


def _right(instruction: MatMul2, prepared: Preparation) -> tuple[Place, Dtype]:
    """`right` less its zero point."""
    right, zero = instruction.right, instruction.right_zero_point
    place = prepared.place(right)
    if zero is None or (isinstance(zero, Constant) and zero.value == 0):
        return place, right.dtype
    if isinstance(right, Constant) and isinstance(zero, Constant):
        difference = Constant(int(right.value) - int(zero.value) & 0xFFFF, i16)
        return Place.constant(difference), i16
    zero_place = prepared.place(zero)
    if isinstance(zero, LocalTensor) and instruction.op is MatMul2Op.NT:
        zero_place = _diagonal(zero_place)
    shape = right.shape if isinstance(right, LocalTensor) else _right_shape(instruction)
    return prepared.difference(shape, place, right.dtype, zero_place, zero.dtype), i16


def _right_shape(instruction: MatMul2) -> tuple[int, int, int, int]:
    depth, dst = _depth(instruction), instruction.dst
    rows = {MatMul2Op.NN: depth, MatMul2Op.NT: dst.shape[3], MatMul2Op.TT: dst.shape[1]}[instruction.op]
    return (1, rows, 1, dst.shape[3] if instruction.op is MatMul2Op.NN else depth)


def _diagonal(place: Place) -> Place:
    """Of a square (1, n, 1, n) the elements with equal row and column, as (1, n, 1, 1): one more column for one more row."""
    _, rows, _, columns = place.host.axes
    step, one = columns.outer, Axis(1, 0)
    turn = step * rows.period if rows.period > 1 else step
    diagonal = replace(rows, outer=rows.outer + turn, inner=rows.inner + step if rows.period > 1 else rows.inner)
    base = place.host.base - (rows.start * step if rows.period > 1 else 0)
    return replace(place, host=replace(place.host, base=base, axes=(one, diagonal, one, one)))
