"""Comparisons element by element, and the choice between two tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Layer, LocalForm, Piece
from bmlang.layers.elementwise import EVERY, Elementwise
from bmlang.layers.memory import whole
from bmlang.layers.pointwise import broadcast_shape, common_dtype, pointwise
from bmlang.layers.registry import add, register
from bmlang.layers.tensor import Operand, Tensor, apply
from tpukernel.dtypes import f32
from tpukernel.lang.operations import Source
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["Where", "eq", "ge", "gt", "le", "lt", "ne", "where"]

OPERATIONS: Mapping[str, tuple[str, str, Callable[..., Array]]] = {
    "gt": ("greater", "less", np.greater),
    "ge": ("greater_equal", "less_equal", np.greater_equal),
    "lt": ("less", "greater", np.less),
    "le": ("less_equal", "greater_equal", np.less_equal),
    "eq": ("equal", "equal", np.equal),
    "ne": ("not_equal", "not_equal", np.not_equal),
}
"""By name: the operation of the tensor unit, that with the operands exchanged, and numpy's."""


def _compute(operation: str, exchanged: str) -> Callable[[Piece, Sequence[Source]], None]:
    def compute(piece: Piece, operands: Sequence[Source]) -> None:
        a, b = operands
        if isinstance(a, Tile):
            getattr(piece.k.tiu, operation)(piece.out, a, b)
        else:
            getattr(piece.k.tiu, exchanged)(piece.out, b, a)

    return compute


for _name, (_operation, _exchanged, _numpy) in OPERATIONS.items():
    add(
        Elementwise(
            name=f"bm::{_name}", inputs=("a", "b"), numpy=_numpy, compute=_compute(_operation, _exchanged), dtypes=EVERY, operations=2
        ),
        __name__,
    )


@register
class Where(Layer):
    """a where condition is above 0, else b."""

    name = "bm::where"
    inputs = ("condition", "a", "b")
    dtypes = (f32,)
    elementwise = True

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        given = [spec for spec in inputs if spec is not None]
        return TensorSpec(broadcast_shape("where", given), common_dtype("where", given, Layer.dtypes))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        condition, a, b = inputs
        assert condition is not None and a is not None and b is not None  # noqa: S101
        return np.where(condition.astype(np.float64) > 0, a, b)

    def local(self, call: Call) -> LocalForm:
        def compute(piece: Piece, operands: Sequence[Source]) -> None:
            condition, a, b = (whole(piece, each) if isinstance(each, Tile) else each for each in operands)
            piece.k.tiu.select_greater(piece.out, condition, 0.0, a, b)

        return pointwise(call, compute, operations=4, work_buffers=3)


def gt(a: Operand, b: Operand) -> Tensor:
    """1 where a > b, else 0, in the data type of a."""
    return apply("bm::gt", a, b)


def ge(a: Operand, b: Operand) -> Tensor:
    """1 where a >= b, else 0, in the data type of a."""
    return apply("bm::ge", a, b)


def lt(a: Operand, b: Operand) -> Tensor:
    """1 where a < b, else 0, in the data type of a."""
    return apply("bm::lt", a, b)


def le(a: Operand, b: Operand) -> Tensor:
    """1 where a <= b, else 0, in the data type of a."""
    return apply("bm::le", a, b)


def eq(a: Operand, b: Operand) -> Tensor:
    """1 where the bits of a and b are equal, else 0, in the data type of a."""
    return apply("bm::eq", a, b)


def ne(a: Operand, b: Operand) -> Tensor:
    """1 where the bits of a and b differ, else 0, in the data type of a."""
    return apply("bm::ne", a, b)


def where(condition: Operand, a: Operand, b: Operand) -> Tensor:
    """a where condition is above 0, else b, broadcast as in numpy; all of one data type."""
    return apply("bm::where", condition, a, b)
