"""TPUKernel functions that take elements of two operands by comparing two others.

Tensors are EU-aligned and start in one lane. What is taken is as wide as what is compared; integers can also take wider types.
"""

from __future__ import annotations

from typing import TypedDict

from tpukernel.api.arguments import LocalOut, Variable, VariableIn
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import local, of_variable
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import Compare, CompareOp

__all__ = [
    "tpu_bdc_equal_select",
    "tpu_bdc_greater_select",
    "tpu_bdc_less_select",
    "tpu_bdc_maximum_greater_select",
    "tpu_bdc_minimum_less_select",
]

GROUP = "BDC select functions"


@function(GROUP, Compare)
def tpu_bdc_greater_select(
    dst_addr: LocalOut,
    src0: VariableIn,
    src1: VariableIn,
    src2: VariableIn,
    src3: VariableIn,
    shape: Dim4,
    src0_src1_dtype: Dtype,
    dst_dtype: Dtype,
) -> Emitted:
    """dst = src2 where src0 > src1, else src3."""
    dst = local(dst_addr, shape, dst_dtype)
    return (Compare(op=CompareOp.SELECT_GREATER, dst=dst, **_sources(shape, src0_src1_dtype, dst_dtype, src0, src1, src2, src3)),)


@function(GROUP, Compare)
def tpu_bdc_less_select(
    dst_addr: LocalOut,
    src0: VariableIn,
    src1: VariableIn,
    src2: VariableIn,
    src3: VariableIn,
    shape: Dim4,
    src0_src1_dtype: Dtype,
    dst_dtype: Dtype,
) -> Emitted:
    """dst = src2 where src0 < src1, else src3."""
    dst = local(dst_addr, shape, dst_dtype)
    return (Compare(op=CompareOp.SELECT_LESS, dst=dst, **_sources(shape, src0_src1_dtype, dst_dtype, src0, src1, src2, src3)),)


@function(GROUP, Compare)
def tpu_bdc_equal_select(
    dst_addr: LocalOut,
    src0: VariableIn,
    src1: VariableIn,
    src2: VariableIn,
    src3: VariableIn,
    shape: Dim4,
    src0_src1_dtype: Dtype,
    dst_dtype: Dtype,
) -> Emitted:
    """dst = src2 where src0 == src1, else src3. Bits are compared: -0.0 is not 0.0."""
    dst = local(dst_addr, shape, dst_dtype)
    return (Compare(op=CompareOp.SELECT_EQUAL, dst=dst, **_sources(shape, src0_src1_dtype, dst_dtype, src0, src1, src2, src3)),)


@function(GROUP, Compare)
def tpu_bdc_maximum_greater_select(
    dst0_addr: LocalOut,
    dst1_addr: LocalOut,
    src0: VariableIn,
    src1: VariableIn,
    src2: VariableIn,
    src3: VariableIn,
    shape: Dim4,
    dst0_dtype: Dtype,
    dst1_dtype: Dtype,
) -> Emitted:
    """dst0 = the larger one of src0 and src1; dst1 = src2 where src0 > src1, else src3. The types have one width."""
    dst0, dst1 = local(dst0_addr, shape, dst0_dtype), local(dst1_addr, shape, dst1_dtype)
    sources = _sources(shape, dst0_dtype, dst1_dtype, src0, src1, src2, src3)
    return (Compare(op=CompareOp.MAX_AND_SELECT, dst=dst0, dst1=dst1, **sources),)


@function(GROUP, Compare)
def tpu_bdc_minimum_less_select(
    dst0_addr: LocalOut,
    dst1_addr: LocalOut,
    src0: VariableIn,
    src1: VariableIn,
    src2: VariableIn,
    src3: VariableIn,
    shape: Dim4,
    dst0_dtype: Dtype,
    dst1_dtype: Dtype,
) -> Emitted:
    """dst0 = the smaller one of src0 and src1; dst1 = src2 where src0 < src1, else src3. The types have one width."""
    dst0, dst1 = local(dst0_addr, shape, dst0_dtype), local(dst1_addr, shape, dst1_dtype)
    sources = _sources(shape, dst0_dtype, dst1_dtype, src0, src1, src2, src3)
    return (Compare(op=CompareOp.MIN_AND_SELECT, dst=dst0, dst1=dst1, **sources),)


class _Sources(TypedDict):
    src0: LocalTensor | Constant
    src1: LocalTensor | Constant
    src2: LocalTensor | Constant
    src3: LocalTensor | Constant


def _sources(shape: Dim4, compared: Dtype, selected: Dtype, src0: Variable, src1: Variable, src2: Variable, src3: Variable) -> _Sources:
    return {
        "src0": of_variable(src0, shape, compared),
        "src1": of_variable(src1, shape, compared),
        "src2": of_variable(src2, shape, selected),
        "src3": of_variable(src3, shape, selected),
    }
