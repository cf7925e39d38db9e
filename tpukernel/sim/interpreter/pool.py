"""PorD: depthwise convolutions, pooling, and both on regions of interest.

Floats: even and odd places of the window are added up apart, every product and every sum rounded to the type of the data; the odd sum
starts with the bias; the result is even plus odd. A region of interest puts the window at its first element; what lies outside of it
counts as `outside_value`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import i32
from tpukernel.isa.pool import Pool, PoolOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.interpreter.numerics import ints
from tpukernel.sim.interpreter.numerics.floats import add, flush_any, maximum, multiply
from tpukernel.sim.interpreter.window import Window, fill_values, spread
from tpukernel.sim.memory import Array, Memory

__all__ = ["execute"]

_AVG = {PoolOp.AVG_POOL, PoolOp.ROI_AVG_POOL}
_MAX = {PoolOp.MAX_POOL, PoolOp.ROI_MAX_POOL}


def execute(instruction: Pool, memory: Memory) -> None:
    """Slide the window."""
    values = memory.load(instruction.input)
    taps = _window_taps(instruction, memory, values) if instruction.roi is None else _region_taps(instruction, memory, values)
    if instruction.op in _MAX:
        result = _largest(taps)
    elif instruction.input.dtype.is_float:
        result = _float_sum(taps, _factors(instruction, memory), _bias(instruction, memory))
    else:
        result = _integer_sum(instruction, taps, _factors(instruction, memory), _bias(instruction, memory))
    memory.store(instruction.dst, result)


def _window_taps(instruction: Pool, memory: Memory, values: Array) -> Iterable[Array]:
    fill = fill_values(memory, instruction.pad_value, instruction.insert_value, values)
    padded = spread(values, instruction.padding, instruction.insert, *fill)
    _, _, oh, ow = instruction.dst.shape
    return Window(instruction.kernel, instruction.stride, instruction.dilation, (oh, ow)).taps(padded)


def _region_taps(instruction: Pool, memory: Memory, values: Array) -> Iterable[Array]:
    """Elements (n, c, 1, regions) under each tap of the window at the regions."""
    assert isinstance(instruction.roi, LocalTensor) and instruction.outside_value is not None  # noqa: S101 - a rule of the unit
    first_x, first_y, last_x, last_y = memory.load(instruction.roi).astype(np.int64).reshape(-1, 4).T
    outside = memory.load(instruction.outside_value)
    height, width = values.shape[2:]
    for row in range(instruction.kernel[0]):
        for column in range(instruction.kernel[1]):
            y, x = first_y + row, first_x + column
            inside = (y <= last_y) & (x <= last_x)
            found = values[:, :, np.minimum(y, height - 1), np.minimum(x, width - 1)]
            yield np.where(inside, found, outside)[:, :, None, :]


def _factors(instruction: Pool, memory: Memory) -> list[Array]:
    """What the element under each tap is multiplied by: (1, c, 1, 1), or one number."""
    kh, kw = instruction.kernel
    if instruction.op in _AVG:
        assert instruction.scale is not None  # noqa: S101 - a rule of the unit
        return [memory.load(instruction.scale)] * (kh * kw)
    assert instruction.weight is not None  # noqa: S101 - a rule of the unit
    weight = np.broadcast_to(memory.load(instruction.weight), (1, instruction.dst.shape[1], kh, kw))
    if instruction.kernel_rotate:
        weight = weight[:, :, ::-1, ::-1]
    return [weight[:, :, y, x, None, None] for y in range(kh) for x in range(kw)]


def _bias(instruction: Pool, memory: Memory) -> Array | None:
    return None if instruction.bias is None else memory.load(instruction.bias)


def _largest(taps: Iterable[Array]) -> Array:
    largest: Array | None = None
    for tap in taps:
        largest = flush_any(tap) if largest is None and tap.dtype.kind not in "iu" else tap if largest is None else _greater(tap, largest)
    assert largest is not None  # noqa: S101 - a window has taps
    return largest


def _greater(tap: Array, largest: Array) -> Array:
    return np.maximum(tap, largest) if tap.dtype.kind in "iu" else maximum(tap, largest)


def _float_sum(taps: Iterable[Array], factors: list[Array], bias: Array | None) -> Array:
    zero = np.zeros((), factors[0].dtype)
    sums: list[Array] = [zero, zero if bias is None else bias]
    for position, (tap, factor) in enumerate(zip(taps, factors, strict=True)):
        sums[position & 1] = add(sums[position & 1], multiply(tap, factor))
    return add(sums[0], sums[1])


def _integer_sum(instruction: Pool, taps: Iterable[Array], factors: list[Array], bias: Array | None) -> Array:
    total = np.zeros((), np.int64) if bias is None else bias.astype(np.int64)
    for tap, factor in zip(taps, factors, strict=True):
        total = total + tap.astype(np.int64) * factor.astype(np.int64)
    if instruction.op is PoolOp.ROI_DEPTHWISE:
        return ints.wrap(total, instruction.dst.dtype)
    rounding = Rounding.HALF_UP if instruction.rounding is None else instruction.rounding
    shifted = ints.shift(ints.wrap(total, i32).astype(np.int64), -(instruction.right_shift or 0), rounding)
    if instruction.op is PoolOp.DEPTHWISE_RELU:
        shifted = np.maximum(shifted, 0)
    return ints.saturate(shifted, instruction.dst.dtype)
