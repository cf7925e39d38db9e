"""TPUKernel functions: requantization to narrow integers and dequantization.

The constants are given once, or per channel (`pc`) in an EU-aligned table. All tensors are EU-aligned and start in the same lane; every
result saturates. Every function emits one instruction.
"""

from __future__ import annotations

from tpukernel.api.arguments import S8, Address, Int, LocalIn, LocalOut, Scalar, ScalarArg
from tpukernel.api.errors import ArgumentError
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import constant, local
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, f32, i16, i32, u16, u32
from tpukernel.isa import Quant, QuantOp, Rounding

__all__ = [
    "tpu_bdc_fp32_dequant",
    "tpu_bdc_fp32_pc_dequant",
    "tpu_bdc_fp32_pc_requant",
    "tpu_bdc_fp32_requant",
    "tpu_bdc_int_dequant",
    "tpu_bdc_int_pc_dequant",
    "tpu_bdc_int_pc_requant",
    "tpu_bdc_int_requant",
]

GROUP = "Quantization functions"


# ---------------------------------------------------------------------------- requantization


@function(GROUP, Quant)
def tpu_bdc_int_requant(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shape: Dim4,
    multiplier: Int,
    shift: S8,
    offset: ScalarArg,
    dst_dtype: Dtype,
    src_dtype: Dtype,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = saturate(round(src * multiplier * 2**shift) + offset).

    A negative shift shifts to the right and rounds. offset has 16 bits, signed as dst_dtype is. 32-bit src is read as signed.
    """
    dst, src = local(dst_addr, shape, dst_dtype), _signed_if_wide(src_addr, shape, src_dtype)
    zero, factor = _zero_point(offset, dst_dtype), _multiplier(multiplier)
    return (Quant(op=QuantOp.REQUANT_INT, dst=dst, src=src, multiplier=factor, shift=shift, offset=zero, rounding=rounding_mode),)


@function(GROUP, Quant)
def tpu_bdc_int_pc_requant(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    quant_addr: LocalIn,
    shape: Dim4,
    dst_dtype: Dtype,
    src_dtype: Dtype,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = saturate(round(src * multiplier[c] * 2**shift[c]) + offset[c]).

    The table at quant_addr is (1, c, 1, 3) of i32: multiplier, shift, offset. 32-bit src is read as signed.
    """
    dst, src = local(dst_addr, shape, dst_dtype), _signed_if_wide(src_addr, shape, src_dtype)
    return (Quant(op=QuantOp.REQUANT_INT, dst=dst, src=src, table=_table(quant_addr, shape, 3, i32), rounding=rounding_mode),)


@function(GROUP, Quant)
def tpu_bdc_fp32_requant(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shape: Dim4,
    scale: float,
    offset: float,
    dst_dtype: Dtype,
    src_dtype: Dtype,
    dst_rounding_mode: Rounding,
    src_rounding_mode: Rounding,
) -> Emitted:
    """dst = saturate(round(f32(src) * scale + offset)).

    src_rounding_mode is that of the conversion of src to f32. 32-bit src is read as signed. No mode may be HALF_UP or HALF_DOWN.
    """
    _no_half_up_or_down("src_rounding_mode", src_rounding_mode)
    return (
        Quant(
            op=QuantOp.REQUANT_FP,
            dst=local(dst_addr, shape, dst_dtype),
            src=_signed_if_wide(src_addr, shape, src_dtype),
            scale=constant(scale, f32),
            offset=constant(offset, f32),
            rounding=dst_rounding_mode,
            src_rounding=src_rounding_mode,
        ),
    )


@function(GROUP, Quant)
def tpu_bdc_fp32_pc_requant(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    quant_addr: LocalIn,
    shape: Dim4,
    dst_dtype: Dtype,
    src_dtype: Dtype,
    dst_rounding_mode: Rounding,
    src_rounding_mode: Rounding,
) -> Emitted:
    """dst = saturate(round(f32(src) * scale[c] + offset[c])).

    The table at quant_addr is (1, c, 1, 2) of f32: scale, offset. src_rounding_mode is that of the conversion of src to f32. 32-bit src is
    read as signed. No mode may be HALF_UP or HALF_DOWN.
    """
    _no_half_up_or_down("src_rounding_mode", src_rounding_mode)
    return (
        Quant(
            op=QuantOp.REQUANT_FP,
            dst=local(dst_addr, shape, dst_dtype),
            src=_signed_if_wide(src_addr, shape, src_dtype),
            table=_table(quant_addr, shape, 2, f32),
            rounding=dst_rounding_mode,
            src_rounding=src_rounding_mode,
        ),
    )


# ---------------------------------------------------------------------------- dequantization


@function(GROUP, Quant)
def tpu_bdc_int_dequant(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shape: Dim4,
    offset: ScalarArg,
    multiplier: Int,
    shift: S8,
    dst_dtype: Dtype,
    src_dtype: Dtype,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = saturate(round((src - offset) * multiplier * 2**shift)).

    A negative shift shifts to the right and rounds. offset has 16 bits, signed as src_dtype is.
    """
    dst, src = local(dst_addr, shape, dst_dtype), local(src_addr, shape, src_dtype)
    zero, factor = _zero_point(offset, src_dtype), _multiplier(multiplier)
    return (Quant(op=QuantOp.DEQUANT_INT, dst=dst, src=src, multiplier=factor, shift=shift, offset=zero, rounding=rounding_mode),)


@function(GROUP, Quant)
def tpu_bdc_int_pc_dequant(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    quant_addr: LocalIn,
    shape: Dim4,
    dst_dtype: Dtype,
    src_dtype: Dtype,
    rounding_mode: Rounding,
) -> Emitted:
    """dst = saturate(round((src - offset[c]) * multiplier[c] * 2**shift[c])).

    The table at quant_addr is (1, c, 1, 3) of i32: offset, multiplier, shift.
    """
    dst, src = local(dst_addr, shape, dst_dtype), local(src_addr, shape, src_dtype)
    return (Quant(op=QuantOp.DEQUANT_INT, dst=dst, src=src, table=_table(quant_addr, shape, 3, i32), rounding=rounding_mode),)


@function(GROUP, Quant)
def tpu_bdc_fp32_dequant(
    dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, offset: ScalarArg, scale: float, src_dtype: Dtype, rounding_mode: Rounding
) -> Emitted:
    """dst = f32(src - offset) * scale, in f32. offset has 16 bits, signed as src_dtype is.

    rounding_mode may not be HALF_UP or HALF_DOWN.
    """
    _no_half_up_or_down("rounding_mode", rounding_mode)
    dst, src, zero = local(dst_addr, shape, f32), local(src_addr, shape, src_dtype), _zero_point(offset, src_dtype)
    return (Quant(op=QuantOp.DEQUANT_FP, dst=dst, src=src, scale=constant(scale, f32), offset=zero, rounding=rounding_mode),)


@function(GROUP, Quant)
def tpu_bdc_fp32_pc_dequant(
    dst_addr: LocalOut, src_addr: LocalIn, quant_addr: LocalIn, shape: Dim4, src_dtype: Dtype, rounding_mode: Rounding
) -> Emitted:
    """dst = f32(src - offset[c]) * scale[c], in f32.

    The table at quant_addr is (1, c, 1, 2): offset as i32, scale as the bits of an f32. rounding_mode may not be HALF_UP or HALF_DOWN.
    """
    _no_half_up_or_down("rounding_mode", rounding_mode)
    dst, src = local(dst_addr, shape, f32), local(src_addr, shape, src_dtype)
    return (Quant(op=QuantOp.DEQUANT_FP, dst=dst, src=src, table=_table(quant_addr, shape, 2, i32), rounding=rounding_mode),)


# ---------------------------------------------------------------------------- operands


def _no_half_up_or_down(name: str, mode: Rounding) -> None:
    """The official library stops with an assertion where 32-bit floats are rounded so; its C model computes it."""
    if mode in (Rounding.HALF_UP, Rounding.HALF_DOWN):
        raise ArgumentError(f"{name} is {mode.name}, which conversions to f32 do not have", help="round half to even, or half away")


def _signed_if_wide(address: Address, shape: Dim4, dtype: Dtype) -> LocalTensor:
    return local(address, shape, i32 if dtype == u32 else dtype)


def _table(address: Address, shape: Dim4, width: int, dtype: Dtype) -> LocalTensor:
    """The constants of each channel."""
    return local(address, (1, shape[1], 1, width), dtype)


def _multiplier(value: int) -> Constant:
    return Constant(value & 0xFFFF_FFFF, i32)


def _zero_point(value: Scalar, dtype: Dtype) -> Constant:
    """An offset of 16 bits that is signed where the narrow type is; of given bits the lowest 16 count."""
    kind = i16 if dtype.is_signed else u16
    return Constant(constant(value, kind).bits & 0xFFFF, kind)
