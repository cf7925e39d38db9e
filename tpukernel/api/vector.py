"""TPUKernel functions of every element of one vector with every element of another.

The vectors lie in matrix layout: `len_per_channel` elements to a channel, EU-aligned. dst has a row (n) for each element of src0, and in
each row a result for each element of src1. src0 may start in any lane, dst and src1 start in the same one. Zeros and NaNs compare as in
`comparison`.
"""

from __future__ import annotations

from tpukernel.api.arguments import Address, FloatDtype, Int, IntDtype, LocalIn, LocalOut, ScalarArg
from tpukernel.api.elementwise import bits_of, exclusive_or
from tpukernel.api.errors import ArgumentError
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import constant, local
from tpukernel.api.series import DIVISION_STEPS
from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import Dtype, f32
from tpukernel.isa import Arith, Vector, VectorOp

__all__ = [
    "tpu_bdc_fp32_vc_div",
    "tpu_bdc_fp_vc_add",
    "tpu_bdc_fp_vc_mul",
    "tpu_bdc_fp_vc_sub",
    "tpu_bdc_int_vc_add",
    "tpu_bdc_int_vc_mul",
    "tpu_bdc_int_vc_sub",
    "tpu_bdc_vc_and",
    "tpu_bdc_vc_equal",
    "tpu_bdc_vc_greater",
    "tpu_bdc_vc_greater_equal",
    "tpu_bdc_vc_less",
    "tpu_bdc_vc_less_equal",
    "tpu_bdc_vc_max",
    "tpu_bdc_vc_min",
    "tpu_bdc_vc_not_equal",
    "tpu_bdc_vc_or",
    "tpu_bdc_vc_xor",
]

GROUP = "BDC binary functions"
FP_BINARY = "BDC floating-point binary functions"
INT_BINARY = "BDC integer binary functions"


@function(GROUP, Vector)
def tpu_bdc_vc_and(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dtype: Dtype,
) -> Emitted:
    """dst[i, j] = src0[i] & src1[j], bit by bit."""
    bits = bits_of(dtype)
    dst, src0, src1 = _operands(
        dst_addr, src0_addr, src1_addr, (src0_len, src0_len_per_channel), (src1_len, src1_len_per_channel), (bits, bits, bits)
    )
    return (Vector(op=VectorOp.AND, dst=dst, src0=src0, src1=src1),)


@function(GROUP, Vector)
def tpu_bdc_vc_or(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dtype: Dtype,
) -> Emitted:
    """dst[i, j] = src0[i] | src1[j], bit by bit."""
    bits = bits_of(dtype)
    dst, src0, src1 = _operands(
        dst_addr, src0_addr, src1_addr, (src0_len, src0_len_per_channel), (src1_len, src1_len_per_channel), (bits, bits, bits)
    )
    return (Vector(op=VectorOp.OR, dst=dst, src0=src0, src1=src1),)


@function(GROUP, Vector)
def tpu_bdc_vc_xor(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dtype: Dtype,
) -> Emitted:
    """dst[i, j] = src0[i] ^ src1[j], bit by bit."""
    bits = bits_of(dtype)
    dst, src0, src1 = _operands(
        dst_addr, src0_addr, src1_addr, (src0_len, src0_len_per_channel), (src1_len, src1_len_per_channel), (bits, bits, bits)
    )
    return (Vector(op=VectorOp.XOR, dst=dst, src0=src0, src1=src1),)


@function(GROUP, Vector)
def tpu_bdc_vc_min(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dtype: Dtype,
) -> Emitted:
    """dst[i, j] = the smaller one of src0[i] and src1[j]."""
    dst, src0, src1 = _operands(
        dst_addr, src0_addr, src1_addr, (src0_len, src0_len_per_channel), (src1_len, src1_len_per_channel), (dtype, dtype, dtype)
    )
    return (Vector(op=VectorOp.MIN, dst=dst, src0=src0, src1=src1),)


@function(GROUP, Vector)
def tpu_bdc_vc_max(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dtype: Dtype,
) -> Emitted:
    """dst[i, j] = the larger one of src0[i] and src1[j]."""
    dst, src0, src1 = _operands(
        dst_addr, src0_addr, src1_addr, (src0_len, src0_len_per_channel), (src1_len, src1_len_per_channel), (dtype, dtype, dtype)
    )
    return (Vector(op=VectorOp.MAX, dst=dst, src0=src0, src1=src1),)


@function(GROUP, Vector)
def tpu_bdc_vc_greater(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst[i, j] = true_val where src0[i] > src1[j], else 0."""
    dst, src0, src1 = _operands(
        dst_addr,
        src0_addr,
        src1_addr,
        (src0_len, src0_len_per_channel),
        (src1_len, src1_len_per_channel),
        (dst_dtype, src_dtype, src_dtype),
    )
    value = constant(true_val, dst_dtype)
    return (Vector(op=VectorOp.SELECT_GREATER, dst=dst, src0=src0, src1=src1, true_value=value),)


@function(GROUP, Vector)
def tpu_bdc_vc_less(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst[i, j] = true_val where src0[i] < src1[j], else 0."""
    dst, src0, src1 = _operands(
        dst_addr,
        src0_addr,
        src1_addr,
        (src0_len, src0_len_per_channel),
        (src1_len, src1_len_per_channel),
        (dst_dtype, src_dtype, src_dtype),
    )
    value = constant(true_val, dst_dtype)
    return (Vector(op=VectorOp.SELECT_LESS, dst=dst, src0=src0, src1=src1, true_value=value),)


@function(GROUP, Vector)
def tpu_bdc_vc_equal(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst[i, j] = true_val where src0[i] == src1[j], else 0."""
    dst, src0, src1 = _operands(
        dst_addr,
        src0_addr,
        src1_addr,
        (src0_len, src0_len_per_channel),
        (src1_len, src1_len_per_channel),
        (dst_dtype, src_dtype, src_dtype),
    )
    value = constant(true_val, dst_dtype)
    return (Vector(op=VectorOp.SELECT_EQUAL, dst=dst, src0=src0, src1=src1, true_value=value),)


@function(GROUP, Vector, Arith)
def tpu_bdc_vc_greater_equal(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst[i, j] = true_val where src0[i] >= src1[j], else 0; 2 instructions.

    The opposite comparison, then an exclusive or with true_val on dst.
    """
    dst, src0, src1 = _operands(
        dst_addr,
        src0_addr,
        src1_addr,
        (src0_len, src0_len_per_channel),
        (src1_len, src1_len_per_channel),
        (dst_dtype, src_dtype, src_dtype),
    )
    value = constant(true_val, dst_dtype)
    return (Vector(op=VectorOp.SELECT_LESS, dst=dst, src0=src0, src1=src1, true_value=value), exclusive_or(dst, value))


@function(GROUP, Vector, Arith)
def tpu_bdc_vc_less_equal(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst[i, j] = true_val where src0[i] <= src1[j], else 0; 2 instructions.

    The opposite comparison, then an exclusive or with true_val on dst.
    """
    dst, src0, src1 = _operands(
        dst_addr,
        src0_addr,
        src1_addr,
        (src0_len, src0_len_per_channel),
        (src1_len, src1_len_per_channel),
        (dst_dtype, src_dtype, src_dtype),
    )
    value = constant(true_val, dst_dtype)
    return (Vector(op=VectorOp.SELECT_GREATER, dst=dst, src0=src0, src1=src1, true_value=value), exclusive_or(dst, value))


@function(GROUP, Vector, Arith)
def tpu_bdc_vc_not_equal(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    true_val: ScalarArg,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dst_dtype: Dtype,
    src_dtype: Dtype,
) -> Emitted:
    """dst[i, j] = true_val where src0[i] != src1[j], else 0; 2 instructions.

    The opposite comparison, then an exclusive or with true_val on dst.
    """
    dst, src0, src1 = _operands(
        dst_addr,
        src0_addr,
        src1_addr,
        (src0_len, src0_len_per_channel),
        (src1_len, src1_len_per_channel),
        (dst_dtype, src_dtype, src_dtype),
    )
    value = constant(true_val, dst_dtype)
    return (Vector(op=VectorOp.SELECT_EQUAL, dst=dst, src0=src0, src1=src1, true_value=value), exclusive_or(dst, value))


@function(FP_BINARY, Vector)
def tpu_bdc_fp_vc_add(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dtype: FloatDtype,
) -> Emitted:
    """dst[i, j] = src0[i] + src1[j]."""
    dst, src0, src1 = _operands(
        dst_addr, src0_addr, src1_addr, (src0_len, src0_len_per_channel), (src1_len, src1_len_per_channel), (dtype, dtype, dtype)
    )
    return (Vector(op=VectorOp.ADD, dst=dst, src0=src0, src1=src1),)


@function(FP_BINARY, Vector)
def tpu_bdc_fp_vc_sub(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dtype: FloatDtype,
) -> Emitted:
    """dst[i, j] = src0[i] - src1[j]."""
    dst, src0, src1 = _operands(
        dst_addr, src0_addr, src1_addr, (src0_len, src0_len_per_channel), (src1_len, src1_len_per_channel), (dtype, dtype, dtype)
    )
    return (Vector(op=VectorOp.SUB, dst=dst, src0=src0, src1=src1),)


@function(FP_BINARY, Vector)
def tpu_bdc_fp_vc_mul(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dtype: FloatDtype,
) -> Emitted:
    """dst[i, j] = src0[i] * src1[j]."""
    dst, src0, src1 = _operands(
        dst_addr, src0_addr, src1_addr, (src0_len, src0_len_per_channel), (src1_len, src1_len_per_channel), (dtype, dtype, dtype)
    )
    return (Vector(op=VectorOp.MUL, dst=dst, src0=src0, src1=src1),)


@function(FP_BINARY, Vector)
def tpu_bdc_fp32_vc_div(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
) -> Emitted:
    """dst[i, j] = src0[i] / src1[j], f32, by three Newton steps."""
    dst, src0, src1 = _operands(
        dst_addr, src0_addr, src1_addr, (src0_len, src0_len_per_channel), (src1_len, src1_len_per_channel), (f32, f32, f32)
    )
    return (Vector(op=VectorOp.DIV, dst=dst, src0=src0, src1=src1, iterations=DIVISION_STEPS),)


@function(INT_BINARY, Vector)
def tpu_bdc_int_vc_add(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dst_dtype: IntDtype,
    src0_dtype: IntDtype,
    src1_dtype: IntDtype,
    saturation: bool,
) -> Emitted:
    """dst[i, j] = src0[i] + src1[j], saturated or wrapped. dst is signed if one of the operands is."""
    dst, src0, src1 = _operands(
        dst_addr,
        src0_addr,
        src1_addr,
        (src0_len, src0_len_per_channel),
        (src1_len, src1_len_per_channel),
        (dst_dtype, src0_dtype, src1_dtype),
    )
    op = VectorOp.ADDS if saturation else VectorOp.ADD
    return (Vector(op=op, dst=dst, src0=src0, src1=src1),)


@function(INT_BINARY, Vector)
def tpu_bdc_int_vc_sub(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dst_dtype: IntDtype,
    src0_dtype: IntDtype,
    src1_dtype: IntDtype,
    saturation: bool,
) -> Emitted:
    """dst[i, j] = src0[i] - src1[j], saturated or wrapped. dst is signed in any case."""
    dst, src0, src1 = _operands(
        dst_addr,
        src0_addr,
        src1_addr,
        (src0_len, src0_len_per_channel),
        (src1_len, src1_len_per_channel),
        (dst_dtype, src0_dtype, src1_dtype),
    )
    op = VectorOp.SUBS if saturation else VectorOp.SUB
    return (Vector(op=op, dst=dst, src0=src0, src1=src1),)


@function(INT_BINARY, Vector)
def tpu_bdc_int_vc_mul(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    src0_len: Int,
    src1_len: Int,
    src0_len_per_channel: Int,
    src1_len_per_channel: Int,
    dst_dtype: IntDtype,
    src0_dtype: IntDtype,
    src1_dtype: IntDtype,
    saturation: bool,
) -> Emitted:
    """dst[i, j] = src0[i] * src1[j], saturated or wrapped. dst is signed if one of the operands is."""
    dst, src0, src1 = _operands(
        dst_addr,
        src0_addr,
        src1_addr,
        (src0_len, src0_len_per_channel),
        (src1_len, src1_len_per_channel),
        (dst_dtype, src0_dtype, src1_dtype),
    )
    op = VectorOp.MULS if saturation else VectorOp.MUL
    return (Vector(op=op, dst=dst, src0=src0, src1=src1),)


def _operands(
    dst: Address, src0: Address, src1: Address, rows: tuple[int, int], columns: tuple[int, int], dtypes: tuple[Dtype, Dtype, Dtype]
) -> tuple[LocalTensor, LocalTensor, LocalTensor]:
    """dst, src0 and src1; `rows` and `columns` are the length of src0 and src1, and how much of it is in a channel."""
    channels0, channels1 = _channels(*rows), _channels(*columns)
    return (
        local(dst, (rows[0], channels1, 1, columns[1]), dtypes[0]),
        local(src0, (1, channels0, 1, rows[1]), dtypes[1]),
        local(src1, (1, channels1, 1, columns[1]), dtypes[2]),
    )


def _channels(length: int, per_channel: int) -> int:
    if length < 1 or per_channel < 1:
        raise ArgumentError(
            f"a vector of {length} elements has {per_channel} in a channel", help="give a length and a length per channel of 1 or more"
        )
    return -(-length // per_channel)
