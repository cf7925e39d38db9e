"""TPUKernel functions of the GDMA engine: matrices and vectors between system memory (rows) and local memory (columns over the lanes).

A matrix in local memory is the EU-aligned tensor (rows, ceil(cols / cols_per_channel), 1, cols_per_channel); the end of the last channel
may be unused. Every function emits one instruction.
"""

from __future__ import annotations

from tpukernel.api.arguments import Address, Int, LocalIn, LocalOut, SystemIn, SystemOut
from tpukernel.api.function import Emitted, function
from tpukernel.api.gdma_operands import explicit
from tpukernel.chips.layout import matrix_tensor
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import DmaMatrix, DmaMatrixOp

__all__ = [
    "tpu_gdma_matrix_L2S",
    "tpu_gdma_matrix_S2L",
    "tpu_gdma_matrix_trans_L2S",
    "tpu_gdma_matrix_trans_S2L",
    "tpu_gdma_vector_L2S",
    "tpu_gdma_vector_S2L",
]

GROUP = "GDMA functions"


@function(GROUP, DmaMatrix)
def tpu_gdma_matrix_S2L(
    dst_addr: LocalOut, src_addr: SystemIn, rows: Int, cols: Int, cols_per_channel: Int, row_stride: Int, dtype: Dtype
) -> Emitted:
    """dst = src, a matrix of rows x cols; row_stride elements lie between the rows of src."""
    dst = _spread(dst_addr, rows, cols, dtype, cols_per_channel)
    return (DmaMatrix(dst=dst, src=_rows(src_addr, rows, cols, dtype, row_stride)),)


@function(GROUP, DmaMatrix)
def tpu_gdma_matrix_L2S(
    dst_addr: SystemOut, src_addr: LocalIn, rows: Int, cols: Int, cols_per_channel: Int, row_stride: Int, dtype: Dtype
) -> Emitted:
    """dst = src, a matrix of rows x cols; row_stride elements lie between the rows of dst."""
    src = _spread(src_addr, rows, cols, dtype, cols_per_channel)
    return (DmaMatrix(dst=_rows(dst_addr, rows, cols, dtype, row_stride), src=src),)


@function(GROUP, DmaMatrix)
def tpu_gdma_matrix_trans_S2L(
    dst_addr: LocalOut,
    src_addr: SystemIn,
    src_rows: Int,
    src_cols: Int,
    dst_cols_per_channel: Int,
    src_row_stride: Int,
    dtype: Dtype,
) -> Emitted:
    """dst = src transposed: src is src_rows x src_cols, dst is src_cols x src_rows."""
    dst, src = (
        _spread(dst_addr, src_cols, src_rows, dtype, dst_cols_per_channel),
        _rows(src_addr, src_rows, src_cols, dtype, src_row_stride),
    )
    return (DmaMatrix(op=DmaMatrixOp.TRANSPOSE, dst=dst, src=src),)


@function(GROUP, DmaMatrix)
def tpu_gdma_matrix_trans_L2S(
    dst_addr: SystemOut,
    src_addr: LocalIn,
    src_rows: Int,
    src_cols: Int,
    src_cols_per_channel: Int,
    dst_row_stride: Int,
    dtype: Dtype,
) -> Emitted:
    """dst = src transposed: src is src_rows x src_cols, dst is src_cols x src_rows."""
    dst, src = (
        _rows(dst_addr, src_cols, src_rows, dtype, dst_row_stride),
        _spread(src_addr, src_rows, src_cols, dtype, src_cols_per_channel),
    )
    return (DmaMatrix(op=DmaMatrixOp.TRANSPOSE, dst=dst, src=src),)


@function(GROUP, DmaMatrix)
def tpu_gdma_vector_S2L(dst_addr: LocalOut, src_addr: SystemIn, len: Int, len_per_channel: Int, dtype: Dtype) -> Emitted:
    """dst = src, len elements, of which every channel of dst holds len_per_channel."""
    return (DmaMatrix(dst=_spread(dst_addr, 1, len, dtype, len_per_channel), src=_rows(src_addr, 1, len, dtype, 0)),)


@function(GROUP, DmaMatrix)
def tpu_gdma_vector_L2S(dst_addr: SystemOut, src_addr: LocalIn, len: Int, len_per_channel: Int, dtype: Dtype) -> Emitted:
    """dst = src, len elements, of which every channel of src holds len_per_channel."""
    return (DmaMatrix(dst=_rows(dst_addr, 1, len, dtype, 0), src=_spread(src_addr, 1, len, dtype, len_per_channel)),)


def _rows(address: Address, rows: int, cols: int, dtype: Dtype, stride: int) -> SystemTensor:
    """The matrix in system memory."""
    return SystemTensor(address.__index__(), (1, 1, rows, cols), dtype, (0, 0, stride, 1))


def _spread(address: Address, rows: int, cols: int, dtype: Dtype, cols_per_channel: int) -> LocalTensor | SystemTensor:
    """The matrix in local memory, with its strides."""
    return explicit(matrix_tensor(address.__index__(), rows, cols, dtype, cols_per_channel=cols_per_channel))
