"""CONV lowered to the product engine: weights by windows."""

from __future__ import annotations

from dataclasses import replace

from tpukernel.chips.placement import Axis
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import i16, i32
from tpukernel.isa.conv import Conv, ConvOp
from tpukernel.sim.interpreter.window import Window
from tpukernel.sim.jit.access import Place
from tpukernel.sim.jit.kernel import Call
from tpukernel.sim.jit.products import finish
from tpukernel.sim.jit.products.image import image
from tpukernel.sim.jit.products.kinds import F32_SUMS, GROUPS, Kind, kind_of
from tpukernel.sim.jit.products.operands import Preparation, Unsuitable, combined, flat, grid
from tpukernel.sim.jit.products.order import Order, grouped_depth, packed_depth, plain_depth
from tpukernel.sim.jit.products.product import Finish, Grid, Product
from tpukernel.sim.memory import Memory

__all__ = ["lower", "lower_fast"]


def lower(instruction: Conv, memory: Memory) -> list[Call] | None:
    """The calls that convolve; None where the engine does not do it."""
    return _attempt(instruction, Preparation(memory, instruction.dst))


def lower_fast(instruction: Conv, memory: Memory) -> list[Call] | None:
    """As `lower`, for floats in any order of the sums."""
    return _attempt(instruction, Preparation(memory, instruction.dst, fast=True))


def _attempt(instruction: Conv, prepared: Preparation) -> list[Call] | None:
    try:
        return _lower(instruction, prepared)
    except Unsuitable:
        return None


def _lower(instruction: Conv, prepared: Preparation) -> list[Call]:
    dst, source = instruction.dst, instruction.input
    ic, (kh, kw) = source.shape[1], instruction.kernel
    window = Window(instruction.kernel, instruction.stride, instruction.dilation, dst.shape[2:])
    seen = image(prepared, source, window, instruction.padding, instruction.insert, instruction.pad_value, instruction.insert_value)
    weight, weight_dtype = _weight(instruction, prepared)
    left_stays = not isinstance(weight, Grid) and prepared.is_safe(weight)
    kind = kind_of(weight_dtype, source.dtype, fast=prepared.fast)
    order = _order(kind, ic, kh * kw, prepared.memory.chip.weight_pack[source.dtype])
    if isinstance(weight, Grid):
        left = weight
    else:
        taps = flat(weight, 2, 3)
        depth = combined(flat(weight, 1), taps[::-1] if instruction.kernel_rotate else taps)
        left = Grid(weight_dtype, weight.space, weight.host.base, flat(weight, 0), depth[order.numbers])
    addends, ending = _ending(instruction, prepared, kind)
    pixels = combined(seen.batches, seen.pixels)
    product = Product(
        kind=kind,
        rows=dst.shape[1],
        depth=order.numbers.size,
        columns=pixels.size,
        left=left,
        right=Grid(source.dtype, seen.space, seen.base, combined(seen.channels, seen.taps)[order.numbers], pixels),
        dst=grid(prepared.result, dst.dtype, (1,), (0, 2, 3)),
        addends=addends,
        finish=ending,
        group_counts=order.counts,
        left_stays=left_stays,
    )
    return prepared.finish(product)


def _order(kind: Kind, channels: int, taps: int, pack: int) -> Order:
    if kind == GROUPS:
        return grouped_depth(channels, taps)
    return plain_depth(channels * taps) if kind == F32_SUMS else packed_depth(channels, taps, pack)


def _weight(instruction: Conv, prepared: Preparation):
    """The weights less their zero point: a place, or one number for all."""
    weight, zero = instruction.weight, instruction.kernel_zero_point
    shape = (instruction.dst.shape[1], instruction.input.shape[1], *instruction.kernel)
    if zero is None or (isinstance(zero, Constant) and zero.value == 0):
        if isinstance(weight, Constant):
            return Grid.constant(weight.bits, weight.dtype), weight.dtype
        return prepared.place(weight), weight.dtype
    if isinstance(weight, Constant) and isinstance(zero, Constant):
        return Grid.constant(int(weight.value) - int(zero.value) & 0xFFFF, i16), i16
    found = prepared.difference(shape, prepared.place(weight), weight.dtype, _by_output_channel(prepared, zero), zero.dtype)
    return found, i16


def _by_output_channel(prepared: Preparation, operand: LocalTensor | Constant) -> Place:
    """An operand (1, oc, 1, 1) with its channels along the first axis, as weights have them."""
    place = prepared.place(operand)
    if isinstance(operand, Constant):
        return place
    one = Axis(1, 0)
    return replace(place, host=replace(place.host, axes=(place.host.axes[1], one, one, one)))


def _ending(instruction: Conv, prepared: Preparation, kind: Kind) -> tuple[tuple[Grid, ...], Finish]:
    dst, partial, bias = instruction.dst, instruction.partial_sum, instruction.bias
    addends: list[Grid] = []
    if instruction.op is not ConvOp.NORMAL:
        addends.append(Grid.constant(instruction.right_shift or 0, i32))
    if bias is not None:
        addends.append(grid(prepared.apart(prepared.place(bias)), bias.dtype, (1,), (0, 2, 3)))
    if partial is not None:
        addends.append(grid(prepared.addend(partial), partial.dtype, (1,), (0, 2, 3)))
    if kind == F32_SUMS:
        return tuple(addends), finish.even_odd(bias is not None, partial is not None)
    if kind.sums.is_float:
        return tuple(addends), finish.rounded_once(dst.dtype, len(addends))
    if instruction.op is ConvOp.NORMAL:
        return tuple(addends), finish.wrapped(dst.dtype)
    relu = instruction.op is ConvOp.REQUANT_RELU
    return tuple(addends), finish.requantised_conv(dst.dtype, relu, None if bias is None else bias.dtype)
