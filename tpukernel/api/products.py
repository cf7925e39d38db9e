"""Operands of the functions that multiply matrices.

There are two layouts. Rows in n: row r is n = r, the columns lie over the channels, so many to a channel as the call says (`Product`, the
instruction MM). Rows in c: row r is channel r, column c is w = c (`matrix`, the instruction MM2).
"""

from __future__ import annotations

from dataclasses import dataclass

from tpukernel.api.arguments import Address
from tpukernel.api.function import Emitted
from tpukernel.api.operands import local
from tpukernel.chips.layout import matrix_tensor
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import MatMul2, MatMul2Op

__all__ = ["Product", "matrix", "product2"]


@dataclass(frozen=True)
class Product:
    """Sizes of a product of matrices with rows in n.

    Attributes:
        left_rows, left_cols: size of the left matrix as it lies in memory.
        right_cols: columns of the right matrix, of the result, and of what has one number per column.
        right_cols_per_channel: how many of them a channel has.
        left_tran: the transpose of the left matrix is multiplied.
    """

    left_rows: int
    left_cols: int
    right_cols: int
    right_cols_per_channel: int
    left_tran: bool = False

    def left(self, address: Address, cols_per_channel: int, dtype: Dtype) -> LocalTensor:
        """The left matrix."""
        return matrix_tensor(address.__index__(), self.left_rows, self.left_cols, dtype, cols_per_channel=cols_per_channel)

    def right(self, address: Address, dtype: Dtype) -> LocalTensor:
        """The right matrix."""
        return self._of_columns(address, self.left_rows if self.left_tran else self.left_cols, dtype)

    def result(self, address: Address, dtype: Dtype) -> LocalTensor:
        """The result."""
        return self._of_columns(address, self.left_cols if self.left_tran else self.left_rows, dtype)

    def per_column(self, address: Address, dtype: Dtype) -> LocalTensor:
        """A row with one number per column of the result."""
        return self._of_columns(address, 1, dtype)

    def _of_columns(self, address: Address, rows: int, dtype: Dtype) -> LocalTensor:
        return matrix_tensor(address.__index__(), rows, self.right_cols, dtype, cols_per_channel=self.right_cols_per_channel)


def matrix(address: Address, rows: int, cols: int, dtype: Dtype) -> LocalTensor:
    """A matrix with rows in c."""
    return local(address, (1, rows, 1, cols), dtype)


def product2(
    op: MatMul2Op,
    output: LocalTensor,
    left: LocalTensor | Constant,
    right: LocalTensor | Constant,
    zero_point: LocalTensor | Constant | None = None,
    *,
    result_add: bool = False,
) -> Emitted:
    """The product of two matrices with rows in c."""
    return (MatMul2(op=op, dst=output, left=left, right=right, right_zero_point=zero_point, result_add=result_add),)
