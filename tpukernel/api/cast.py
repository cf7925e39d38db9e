"""TPUKernel functions: conversion of data types, and rounding to integral values."""

from __future__ import annotations

from tpukernel.api.arguments import FloatDtype, LocalIn, LocalOut, Stride
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import local
from tpukernel.chips.tensors import Dim4, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import Arith, ArithOp, Rounding

__all__ = ["tpu_bdc_cast", "tpu_bdc_fp_ceil", "tpu_bdc_fp_floor", "tpu_bdc_fp_round"]

GROUP = "BDC cast and rounding functions"


@function(GROUP, Arith)
def tpu_bdc_cast(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    shape: Dim4,
    dst_stride: Stride,
    src_stride: Stride,
    dst_dtype: Dtype,
    src_dtype: Dtype,
    mode: Rounding,
) -> Emitted:
    """dst = src as another type. Integers out of range saturate; to the same type it is a copy, which does not round."""
    dst, src = local(dst_addr, shape, dst_dtype, dst_stride), local(src_addr, shape, src_dtype, src_stride)
    return _cast(dst, src, mode) if dst_dtype != src_dtype else (Arith(op=ArithOp.COPY, dst=dst, src0=src),)


@function(GROUP, Arith)
def tpu_bdc_fp_round(
    dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: FloatDtype, mode: Rounding
) -> Emitted:
    """dst = src rounded to an integral value of the same float type."""
    return _cast(local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride), mode)


@function(GROUP, Arith)
def tpu_bdc_fp_floor(
    dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: FloatDtype
) -> Emitted:
    """dst = the largest integral value that is not above src."""
    return _cast(local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride), Rounding.DOWN)


@function(GROUP, Arith)
def tpu_bdc_fp_ceil(
    dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: FloatDtype
) -> Emitted:
    """dst = the smallest integral value that is not below src."""
    return _cast(local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride), Rounding.UP)


def _cast(dst: LocalTensor, src: LocalTensor, mode: Rounding) -> Emitted:
    return (Arith(op=ArithOp.CAST, dst=dst, src0=src, rounding=mode),)
