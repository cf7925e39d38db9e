"""Products of matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bmlang.importers.onnx.families.quantised import matmul_of_codes
from bmlang.importers.onnx.node import Handler, OnnxNode, Result
from bmlang.layers.elementwise import add, mul
from bmlang.layers.matmul import matmul
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor

__all__ = ["TABLE", "matrix_product"]


def matrix_product(a: Tensor, b: Tensor) -> Tensor:
    """As numpy's `@`: what has one dimension is a row on the left and a column on the right."""
    left = reshape(a, (1, a.shape[0])) if a.ndim == 1 else a
    right = reshape(b, (b.shape[0], 1)) if b.ndim == 1 else b
    made = matmul(left, right)
    shape = list(made.shape)
    if b.ndim == 1:
        del shape[-1]
    if a.ndim == 1:
        del shape[-1 if b.ndim == 1 else -2]
    return made if tuple(shape) == made.shape else reshape(made, shape)


def _matmul(node: OnnxNode) -> Result:
    found = matmul_of_codes(node)
    return found if found is not None else matrix_product(node.tensor(0), node.tensor(1))


def _gemm(node: OnnxNode) -> Result:
    a, b, c = node.tensor(0), node.tensor(1), node.optional(2)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if alpha == beta == 1.0 and c is not None and c.ndim == 1:
        return matmul(a, b, c, transpose_a=bool(node.integer("transA", 0)), transpose_b=bool(node.integer("transB", 0)))
    made = matmul(a, b, transpose_a=bool(node.integer("transA", 0)), transpose_b=bool(node.integer("transB", 0)))
    if alpha != 1.0:
        made = mul(made, alpha)
    if c is None or beta == 0.0:
        return made
    return add(made, c if beta == 1.0 else mul(c, beta))


TABLE: Final[Mapping[str, Handler]] = {"Gemm": _gemm, "MatMul": _matmul}
