"""PorD: depthwise convolutions, pooling, and both on regions of interest.

Floats: even and odd places of the window are added up apart, every product and every sum rounded to the type of the data; the odd sum
starts with the bias; the result is even plus odd. A region of interest puts the window at its first element; what lies outside of it
counts as `outside_value`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i32, u32
from tpukernel.isa.pool import Pool, PoolOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.interpreter.numerics import ints
from tpukernel.sim.interpreter.numerics.floats import add, flush_any, multiply, widen
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
        result = _largest(taps, instruction.input.dtype)
    elif instruction.input.dtype.is_float:
        # Averages begin with their first products, which may all be -0; depthwise sums begin with a zero.
        start = np.array(-0.0 if instruction.op in _AVG else 0.0, values.dtype)
        result = _float_sum(taps, _factors(instruction, memory), start, _bias(instruction, memory))
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


def _largest(taps: Iterable[Array], dtype: Dtype) -> Array:
    """The largest element: one is kept only while it is greater than the next, from the lowest finite number on. So of equal ones the last
    is taken, and a NaN until the next element. f32 is flushed, bf16 only for the comparison.
    """
    largest = np.array(_lowest(dtype), dtype.numpy)
    for tap in taps:
        element = flush_any(tap) if dtype == f32 else tap
        with np.errstate(invalid="ignore"):
            largest = np.where(np.greater(_comparable(largest), _comparable(element)), largest, element)
    return largest


def _lowest(dtype: Dtype) -> float:
    return dtype.limits[0] if dtype.is_int else {f32: -(2.0**128 - 2.0**104), f16: -65504.0, bf16: -(2.0**128 - 2.0**120)}[dtype]


def _comparable(values: Array) -> Array:
    return values if values.dtype.kind in "iu" else widen(flush_any(values))


def _float_sum(taps: Iterable[Array], factors: list[Array], start: Array, bias: Array | None) -> Array:
    sums: list[Array] = [start, start if bias is None else bias]
    for position, (tap, factor) in enumerate(zip(taps, factors, strict=True)):
        sums[position & 1] = add(sums[position & 1], multiply(tap, factor))
    return add(sums[0], sums[1])


def _integer_sum(instruction: Pool, taps: Iterable[Array], factors: list[Array], bias: Array | None) -> Array:
    total = np.zeros((), np.int64) if bias is None else bias.astype(np.int64)
    for tap, factor in zip(taps, factors, strict=True):
        total = total + tap.astype(np.int64) * factor.astype(np.int64)
    if instruction.roi is not None:
        return ints.wrap(total, instruction.dst.dtype)
    rounding = Rounding.HALF_UP if instruction.rounding is None else instruction.rounding
    sums = ints.exact(ints.wrap(total, i32 if _is_signed(instruction) else u32))
    shifted = ints.shift(sums, -(instruction.right_shift or 0), rounding)
    if instruction.op is PoolOp.DEPTHWISE_RELU:
        shifted = np.maximum(shifted, 0)
    return ints.saturate(shifted, instruction.dst.dtype)


def _is_signed(instruction: Pool) -> bool:
    return any(use.value.dtype.is_signed for use in instruction.operands() if use.name in ("input", "weight", "bias", "scale"))
