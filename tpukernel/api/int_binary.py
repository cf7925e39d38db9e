"""TPUKernel functions of two integer operands: sums and products of mixed widths, with a shift of the result.

The exact result is shifted, to the left by a positive shift; to the right it is rounded. Then it is brought to the type of dst: it
saturates, or else wraps. dst is signed if an operand is, and that of a difference always.
"""

from __future__ import annotations

from typing import TypedDict

from tpukernel.api.arguments import S8, U8, Int8Dtype, IntDtype, LocalIn, LocalInOut, LocalOut, ScalarArg, Stride
from tpukernel.api.elementwise import elementwise, shift_constant
from tpukernel.api.errors import ArgumentError
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import constant, local, per_channel
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, i8, i16, u16
from tpukernel.isa import Arith, ArithOp, Rounding

__all__ = [
    "tpu_bdc_int8_mac",
    "tpu_bdc_int8_mac_C",
    "tpu_bdc_int_C_sub",
    "tpu_bdc_int_add",
    "tpu_bdc_int_add_C",
    "tpu_bdc_int_max_C",
    "tpu_bdc_int_min_C",
    "tpu_bdc_int_mul",
    "tpu_bdc_int_mul_C",
    "tpu_bdc_int_pcs_C_sub",
    "tpu_bdc_int_pcs_add",
    "tpu_bdc_int_pcs_add_C",
    "tpu_bdc_int_pcs_mul",
    "tpu_bdc_int_pcs_mul_C",
    "tpu_bdc_int_pcs_sub",
    "tpu_bdc_int_pcs_sub_C",
    "tpu_bdc_int_square",
    "tpu_bdc_int_sub",
    "tpu_bdc_int_sub_C",
]

GROUP = "BDC integer binary functions"

ADD, SUB, MUL = (ArithOp.ADD, ArithOp.ADDS), (ArithOp.SUB, ArithOp.SUBS), (ArithOp.MUL, ArithOp.MULS)
"""The operation that wraps, and the one that saturates."""


@function(GROUP, Arith)
def tpu_bdc_int_add(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: IntDtype,
    src0_dtype: IntDtype,
    src1_dtype: IntDtype,
    shift: S8,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src0 + src1) << shift."""
    dst, src0 = local(dst_addr, shape, dst_dtype, dst_stride), local(src0_addr, shape, src0_dtype, src0_stride)
    src1 = local(src1_addr, shape, src1_dtype, src1_stride)
    return _shifted(ADD, dst, src0, src1, shift, rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_add_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    C_dtype: IntDtype,
    shift: S8,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src + C) << shift."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _shifted(ADD, dst, src, constant(C, C_dtype), shift, rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_pcs_add(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shift_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: IntDtype,
    src0_dtype: IntDtype,
    src1_dtype: IntDtype,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src0 + src1) << shift, which is an i8 for each channel."""
    dst, src0 = local(dst_addr, shape, dst_dtype, dst_stride), local(src0_addr, shape, src0_dtype, src0_stride)
    src1 = local(src1_addr, shape, src1_dtype, src1_stride)
    return _shifted(ADD, dst, src0, src1, per_channel(shift_addr, shape[1], i8), rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_pcs_add_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shift_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    C_dtype: IntDtype,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src + C) << shift, which is an i8 for each channel."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _shifted(ADD, dst, src, constant(C, C_dtype), per_channel(shift_addr, shape[1], i8), rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_sub(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: IntDtype,
    src0_dtype: IntDtype,
    src1_dtype: IntDtype,
    shift: S8,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src0 - src1) << shift."""
    dst, src0 = local(dst_addr, shape, dst_dtype, dst_stride), local(src0_addr, shape, src0_dtype, src0_stride)
    src1 = local(src1_addr, shape, src1_dtype, src1_stride)
    return _shifted(SUB, dst, src0, src1, shift, rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_sub_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    C_dtype: IntDtype,
    shift: S8,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src - C) << shift."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _shifted(SUB, dst, src, constant(C, C_dtype), shift, rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_C_sub(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    C_dtype: IntDtype,
    shift: S8,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (C - src) << shift."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _shifted(SUB, dst, constant(C, C_dtype), src, shift, rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_pcs_sub(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shift_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: IntDtype,
    src0_dtype: IntDtype,
    src1_dtype: IntDtype,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src0 - src1) << shift, which is an i8 for each channel."""
    dst, src0 = local(dst_addr, shape, dst_dtype, dst_stride), local(src0_addr, shape, src0_dtype, src0_stride)
    src1 = local(src1_addr, shape, src1_dtype, src1_stride)
    return _shifted(SUB, dst, src0, src1, per_channel(shift_addr, shape[1], i8), rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_pcs_sub_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shift_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    C_dtype: IntDtype,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src - C) << shift, which is an i8 for each channel."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _shifted(SUB, dst, src, constant(C, C_dtype), per_channel(shift_addr, shape[1], i8), rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_pcs_C_sub(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shift_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    C_dtype: IntDtype,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (C - src) << shift, which is an i8 for each channel."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _shifted(SUB, dst, constant(C, C_dtype), src, per_channel(shift_addr, shape[1], i8), rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_mul(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: IntDtype,
    src0_dtype: IntDtype,
    src1_dtype: IntDtype,
    shift: S8,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src0 * src1) << shift."""
    dst, src0 = local(dst_addr, shape, dst_dtype, dst_stride), local(src0_addr, shape, src0_dtype, src0_stride)
    src1 = local(src1_addr, shape, src1_dtype, src1_stride)
    return _shifted(MUL, dst, src0, src1, shift, rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_square(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    shift: S8,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src * src) << shift."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _shifted(MUL, dst, src, src, shift, rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_mul_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    C_dtype: IntDtype,
    shift: S8,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src * C) << shift."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _shifted(MUL, dst, src, constant(C, C_dtype), shift, rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_pcs_mul(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shift_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    dst_dtype: IntDtype,
    src0_dtype: IntDtype,
    src1_dtype: IntDtype,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src0 * src1) << shift, which is an i8 for each channel."""
    dst, src0 = local(dst_addr, shape, dst_dtype, dst_stride), local(src0_addr, shape, src0_dtype, src0_stride)
    src1 = local(src1_addr, shape, src1_dtype, src1_stride)
    return _shifted(MUL, dst, src0, src1, per_channel(shift_addr, shape[1], i8), rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_pcs_mul_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shift_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: IntDtype,
    src_dtype: IntDtype,
    C_dtype: IntDtype,
    rounding_mode: Rounding,
    saturation: bool,
) -> Emitted:
    """dst = (src * C) << shift, which is an i8 for each channel."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _shifted(MUL, dst, src, constant(C, C_dtype), per_channel(shift_addr, shape[1], i8), rounding_mode, saturation=saturation)


@function(GROUP, Arith)
def tpu_bdc_int_min_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dtype: IntDtype,
    shift: S8,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = the smaller one of src and C; the shift has no effect."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.MIN, dst, src, constant(C, dtype), **_shift(shift, rounding_mode))


@function(GROUP, Arith)
def tpu_bdc_int_max_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dtype: IntDtype,
    shift: S8,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = the larger one of src and C; the shift has no effect."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return elementwise(ArithOp.MAX, dst, src, constant(C, dtype), **_shift(shift, rounding_mode))


@function(GROUP, Arith)
def tpu_bdc_int8_mac(
    dst_addr: LocalInOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src0_stride: Stride,
    src1_stride: Stride,
    src0_dtype: Int8Dtype,
    src1_dtype: Int8Dtype,
    lshift: U8,
    rshift: U8,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = ((dst << lshift) + src0 * src1) >> rshift, rounded and saturated.

    dst has 16 bits, and is signed if one of the operands is.
    """
    src0, src1 = local(src0_addr, shape, src0_dtype, src0_stride), local(src1_addr, shape, src1_dtype, src1_stride)
    dst = local(dst_addr, shape, _accumulator(src0_dtype, src1_dtype), dst_stride)
    return elementwise(ArithOp.MAC, dst, src0, src1, src2=_shifts(lshift, rshift), rounding=rounding_mode)


@function(GROUP, Arith)
def tpu_bdc_int8_mac_C(
    dst_addr: LocalInOut,
    src_addr: LocalIn,
    C: ScalarArg,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    src_dtype: Int8Dtype,
    C_dtype: Int8Dtype,
    lshift: U8,
    rshift: U8,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = ((dst << lshift) + src * C) >> rshift, rounded and saturated.

    dst has 16 bits, and is signed if one of the operands is.
    """
    src, dst_dtype = local(src_addr, shape, src_dtype, src_stride), _accumulator(src_dtype, C_dtype)
    dst = local(dst_addr, shape, dst_dtype, dst_stride)
    return elementwise(ArithOp.MAC, dst, src, constant(C, C_dtype), src2=_shifts(lshift, rshift), rounding=rounding_mode)


class _Shift(TypedDict, total=False):
    src2: LocalTensor | Constant
    rounding: Rounding


def _shift(shift: LocalTensor | int, rounding: Rounding) -> _Shift:
    """The operands of a shift; without a shift there are none."""
    if shift == 0:
        return {}
    return {"src2": shift_constant(shift) if isinstance(shift, int) else shift, "rounding": rounding}


def _shifted(
    ops: tuple[ArithOp, ArithOp],
    dst: LocalTensor,
    src0: LocalTensor | Constant,
    src1: LocalTensor | Constant,
    shift: LocalTensor | int,
    rounding: Rounding,
    *,
    saturation: bool,
) -> Emitted:
    signed = ops is SUB or src0.dtype.is_signed or src1.dtype.is_signed
    if dst.dtype.is_signed is not signed:
        raise ArgumentError(
            f"dst has type {dst.dtype.name} with operands of {src0.dtype.name} and {src1.dtype.name}",
            help=f"the result is {'signed' if signed else 'unsigned'}: use {'i8, i16 or i32' if signed else 'u8, u16 or u32'}",
        )
    return elementwise(ops[saturation], dst, src0, src1, **_shift(shift, rounding))


def _accumulator(src0: Dtype, src1: Dtype) -> Dtype:
    return i16 if src0.is_signed or src1.is_signed else u16


def _shifts(left: int, right: int) -> Constant:
    """The two shifts of an accumulation as its instruction carries them."""
    return Constant(right << 8 | left, i8)
