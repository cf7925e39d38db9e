"""CONV: convolution, as a product of the weights and the windows.

The order of the sums is the chip's: f32 takes input channel, kernel row, kernel column, and adds even and odd places apart; 16-bit floats
take groups of 32 input channels for each place of the kernel. Padding takes part like any element. With a bias and a partial sum, f32
starts the even sum with the bias and the odd one with the partial sum; with one of them, the odd sum starts with it. 16-bit floats start
with the sum of both.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from tpukernel.dtypes import f32, i32
from tpukernel.isa.conv import Conv, ConvOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.interpreter.numerics import ints
from tpukernel.sim.interpreter.numerics.accumulate import GROUP, even_odd, grouped, integer
from tpukernel.sim.interpreter.numerics.floats import F32, add, narrow, widen
from tpukernel.sim.interpreter.window import Window, fill_values, spread
from tpukernel.sim.memory import Array, Memory

__all__ = ["execute"]


def execute(instruction: Conv, memory: Memory) -> None:
    """Convolve."""
    windows, weight = _windows(instruction, memory), _weight(instruction, memory)
    compute = _float_sums if instruction.input.dtype.is_float else _integer_result
    _, oc, oh, ow = instruction.dst.shape
    results = [compute(instruction, memory, weight, image, number).reshape(oc, oh, ow) for number, image in enumerate(windows)]
    memory.store(instruction.dst, np.stack(results))


def _windows(instruction: Conv, memory: Memory) -> Array:
    """The elements under the window: (n, ic, kh * kw, oh * ow)."""
    values = memory.load(instruction.input)
    padded = spread(
        values, instruction.padding, instruction.insert, *fill_values(memory, instruction.pad_value, instruction.insert_value, values)
    )
    n, _, oh, ow = instruction.dst.shape
    window = Window(instruction.kernel, instruction.stride, instruction.dilation, (oh, ow))
    return np.stack([tap.reshape(n, values.shape[1], oh * ow) for tap in window.taps(padded)], axis=2)


def _weight(instruction: Conv, memory: Memory) -> Array:
    """The weights as they meet the window: (oc, ic, kh * kw)."""
    oc, ic = instruction.dst.shape[1], instruction.input.shape[1]
    weight = np.broadcast_to(memory.load(instruction.weight), (oc, ic, *instruction.kernel))
    if instruction.kernel_rotate:
        weight = weight[:, :, ::-1, ::-1]
    return weight.reshape(oc, ic, -1)


def _float_sums(instruction: Conv, memory: Memory, weight: Array, image: Array, number: int) -> Array:
    oc, ic, taps = weight.shape
    bias = None if instruction.bias is None else cast("F32", memory.load(instruction.bias).reshape(-1, 1))
    partial = None if instruction.partial_sum is None else cast("F32", memory.load(instruction.partial_sum)[number].reshape(oc, -1))
    wide_weight, wide_image = widen(weight), widen(image)
    if instruction.input.dtype == f32:
        even, odd = (bias, partial) if bias is not None and partial is not None else (None, partial if bias is None else bias)
        return even_odd(wide_weight.reshape(oc, ic * taps), wide_image.reshape(ic * taps, -1), even, odd)
    groups = -(-ic // GROUP)
    wide_weight = np.pad(wide_weight, ((0, 0), (0, groups * GROUP - ic), (0, 0)))
    wide_image = np.pad(wide_image, ((0, groups * GROUP - ic), (0, 0), (0, 0)))
    start = cast("F32", add(bias, partial)) if bias is not None and partial is not None else partial if bias is None else bias
    sums = grouped(
        wide_weight.reshape(oc, groups, GROUP, taps).transpose(0, 1, 3, 2).reshape(oc, -1),
        wide_image.reshape(groups, GROUP, taps, -1).transpose(0, 2, 1, 3).reshape(groups * taps * GROUP, -1),
        start,
    )
    return narrow(sums, instruction.dst.dtype)


def _integer_result(instruction: Conv, memory: Memory, weight: Array, image: Array, number: int) -> Array:
    oc, ic, taps = weight.shape
    factors = weight.astype(np.int64)
    if instruction.kernel_zero_point is not None:
        factors = factors - ints.exact(memory.load(instruction.kernel_zero_point)).reshape(-1, 1, 1)
    sums = integer(factors.reshape(oc, -1), image.reshape(ic * taps, -1))
    if instruction.op is ConvOp.NORMAL:
        if instruction.partial_sum is not None:
            sums = sums + ints.exact(memory.load(instruction.partial_sum)[number].reshape(oc, -1))
        wrapped = ints.wrap(sums, i32)
        return wrapped if instruction.dst.dtype.bits == 32 else ints.saturate(wrapped.astype(np.int64), instruction.dst.dtype)
    sums = ints.wrap(sums, i32).astype(np.int64)
    if instruction.bias is not None:
        sums = sums + ints.exact(memory.load(instruction.bias)).reshape(-1, 1)
    shifted = ints.shift(sums, -(instruction.right_shift or 0), Rounding.HALF_UP)
    if instruction.op is ConvOp.REQUANT_RELU:
        shifted = np.maximum(shifted, 0)
    return ints.saturate(shifted, instruction.dst.dtype)
