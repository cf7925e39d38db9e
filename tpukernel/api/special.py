"""TPUKernel functions: series, table lookup, and what the static memory of the chip holds."""

from __future__ import annotations

from tpukernel.api.arguments import Address, FloatDtype, Int, LocalIn, LocalOut, LocalUnused, StaticIn
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import local
from tpukernel.api.series import EXP_TERMS, taylor
from tpukernel.chips import BM1684X
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import Gather, GatherOp, LaneMove, LaneMoveOp, Special, SpecialOp, lane_table, share_bank

__all__ = [
    "tpu_bdc_fp_exponent_part",
    "tpu_bdc_fp_taylor",
    "tpu_bdc_load_fp32_arcsin_coeff",
    "tpu_bdc_load_fp32_cos_coeff",
    "tpu_bdc_load_fp32_erf_coeff",
    "tpu_bdc_load_fp32_exp_coeff",
    "tpu_bdc_load_fp32_exp_table",
    "tpu_bdc_load_fp32_log_coeff",
    "tpu_bdc_load_fp32_sin_coeff",
    "tpu_bdc_load_fp32_tan_coeff",
    "tpu_bdc_npu_bcast_from_static",
    "tpu_bdc_npu_distribute_from_static",
    "tpu_bdc_table_lookup",
]

GROUP = "Special functions"


@function(GROUP, Special)
def tpu_bdc_fp_taylor(dst_addr: LocalOut, src_addr: LocalIn, coeff_addr: LocalIn, shape: Dim4, num: Int, dtype: FloatDtype) -> Emitted:
    """dst = coeff[0] + coeff[1] * src + coeff[2] * src^2 + ... with num >= 2 coefficients, which every lane holds one after the other."""
    return [taylor(local(dst_addr, shape, dtype), local(src_addr, shape, dtype), coeff_addr, num)]


@function(GROUP, Special)
def tpu_bdc_fp_exponent_part(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_dtype: Dtype, src_dtype: FloatDtype) -> Emitted:
    """dst = the biased exponent of src, i32 of f32, i16 of f16 and bf16; one too many for positive numbers with a significand above 4/3."""
    return [Special(op=SpecialOp.EXPONENT, dst=local(dst_addr, shape, dst_dtype), src=local(src_addr, shape, src_dtype))]


@function(GROUP, Gather)
def tpu_bdc_table_lookup(
    dst_addr: LocalOut, src_addr: LocalIn, table_addr: LocalIn, shape: Dim4, len: Int, dst_dtype: Dtype, src_dtype: Dtype
) -> Emitted:
    """dst[n, c, h, w] = table[src[n, c, h, w]]; src is u8 or u16, and every lane holds the len elements of the table.

    The chip stops at a number in src that is not below len.
    """
    n, c, h, w = shape
    flat = (n, c, 1, h * w)
    dst, index = local(dst_addr, flat, dst_dtype), local(src_addr, flat, src_dtype)
    table = lane_table(BM1684X, table_addr.__index__(), (1, c, 1, len), dst_dtype)
    op = GatherOp.BATCH_GATHER_SHARED if share_bank(BM1684X, dst, table, index) else GatherOp.BATCH_GATHER
    return [Gather(op=op, dst=dst, src=table, index=index)]


# ---------------------------------------------------------------------------- static memory


def static_broadcast(dst: Address, offset: int, channels: int, count: int, dtype: Dtype) -> LaneMove:
    """Elements of the static memory from that byte on, in each of the channels."""
    return LaneMove(
        op=LaneMoveOp.STATIC_BROADCAST, dst=local(dst, (1, channels, 1, count), dtype), src=_static(offset, (1, 1, 1, count), dtype)
    )


def static_distribute(dst: Address, offset: int, count: int, dtype: Dtype) -> LaneMove:
    """Elements of the static memory from that byte on, one in each of as many channels."""
    shape = (1, count, 1, 1)
    return LaneMove(op=LaneMoveOp.STATIC_DISTRIBUTE, dst=local(dst, shape, dtype, layout=Layout.COMPACT), src=_static(offset, shape, dtype))


def _static(offset: int, shape: Dim4, dtype: Dtype) -> LocalTensor:
    return LocalTensor(BM1684X.regions["static"].base + offset, shape, dtype, Layout.COMPACT)


@function(GROUP, LaneMove)
def tpu_bdc_npu_bcast_from_static(dst_addr: LocalOut, src_addr: StaticIn, npu_num: Int, len: Int, dtype: Dtype) -> Emitted:
    """dst[0, c, 0, i] = the element i of the static memory from byte src_addr on, for npu_num channels c and len elements."""
    return [static_broadcast(dst_addr, src_addr.__index__(), npu_num, len, dtype)]


@function(GROUP, LaneMove)
def tpu_bdc_npu_distribute_from_static(dst_addr: LocalOut, src_addr: StaticIn, len: Int, dtype: Dtype) -> Emitted:
    """dst[0, c, 0, 0] = the element c of the static memory from byte src_addr on, for len channels; dst is compact and starts in lane 0."""
    return [static_distribute(dst_addr, src_addr.__index__(), len, dtype)]


def _load(coeff: Address, name: str, count: int) -> Emitted:
    table = BM1684X.static_tables[name]
    return [static_broadcast(coeff, table.offset, BM1684X.lanes, count, table.dtype)]


@function(GROUP, LaneMove)
def tpu_bdc_load_fp32_exp_coeff(coeff_addr: LocalOut) -> Emitted:
    """The 10 coefficients of e^x around 0, in every lane; `coeff_addr` is in lane 0."""
    return _load(coeff_addr, "exp", EXP_TERMS)


@function(GROUP)
def tpu_bdc_load_fp32_exp_table(table_addr: LocalUnused) -> Emitted:
    """Nothing: no function uses a table for exp, although many take its address."""
    return []


@function(GROUP, LaneMove)
def tpu_bdc_load_fp32_log_coeff(coeff_addr: LocalOut) -> Emitted:
    """The 16 coefficients of ln(1 + x) around 0, in every lane."""
    return _load(coeff_addr, "log", 16)


@function(GROUP, LaneMove)
def tpu_bdc_load_fp32_erf_coeff(coeff_addr: LocalOut) -> Emitted:
    """The 10 coefficients of the exponent in the approximation of erf, in every lane."""
    return _load(coeff_addr, "erf", 10)


@function(GROUP, LaneMove)
def tpu_bdc_load_fp32_sin_coeff(coeff_addr: LocalOut) -> Emitted:
    """The 32 coefficients of sin(2 pi x) / x in x^2, in every lane, of which 16 are used."""
    return _load(coeff_addr, "sin", 32)


@function(GROUP, LaneMove)
def tpu_bdc_load_fp32_cos_coeff(coeff_addr: LocalOut) -> Emitted:
    """The 32 coefficients of cos(2 pi x) in x^2, in every lane, of which 16 are used."""
    return _load(coeff_addr, "cos", 32)


@function(GROUP, LaneMove)
def tpu_bdc_load_fp32_tan_coeff(coeff_addr: LocalOut) -> Emitted:
    """The 32 coefficients of tan(pi x) / x in x^2, in every lane, of which 16 are used."""
    return _load(coeff_addr, "tan", 32)


@function(GROUP, LaneMove)
def tpu_bdc_load_fp32_arcsin_coeff(coeff_addr: LocalOut) -> Emitted:
    """The 32 coefficients of arcsin(x) / x in x^2, in every lane, of which 16 are used."""
    return _load(coeff_addr, "arcsin", 32)
