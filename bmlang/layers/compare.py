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
from bmlang.layers.tensor import Operand, Tensor, apply, number_of
from tpukernel.dtypes import dtype_of, u8
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
    dtypes = EVERY
    elementwise = True

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        condition, *given = (spec for spec in inputs if spec is not None)
        common_dtype("where", [condition], EVERY)
        return TensorSpec(broadcast_shape("where", [condition, *given]), common_dtype("where", given, EVERY))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        condition, a, b = inputs
        assert condition is not None and a is not None and b is not None  # noqa: S101
        return np.where(condition.astype(np.float64) > 0, a, b)

    def local(self, call: Call) -> LocalForm:
        condition, chosen = call.spec(0).dtype, call.outputs[0].dtype
        alike = condition.bits == chosen.bits or (condition.is_int and condition.bits < chosen.bits)

        def compute(piece: Piece, operands: Sequence[Source]) -> None:
            number, a, b = (whole(piece, each) if isinstance(each, Tile) else each for each in operands)
            if not isinstance(number, Tile):  # the unit compares tensors
                found = a if number > 0 else b
                if isinstance(found, Tile):
                    piece.k.tiu.copy(piece.out, found)
                else:
                    piece.k.tiu.fill(piece.out, found)
                return
            piece.k.tiu.select_greater(piece.out, number if alike else _flag(piece, number), 0.0, a, b)

        return pointwise(call, compute, operations=4 if alike else 6, work_buffers=3 if alike else 5)


def _flag(piece: Piece, condition: Tile) -> Tile:
    """1 or 0 in 8 bits: what is chosen by a number has as many bits as it, or more than an integer (instruction set)."""
    above = piece.k.local(piece.region.size, condition.dtype, name="above")
    piece.k.tiu.greater(above, condition, 0.0)
    flag = piece.k.local(piece.region.size, u8, name="flag")
    piece.k.tiu.cast(flag, above)
    return flag


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
    """a where condition is above 0, else b, broadcast as in numpy; a and b are of one data type, condition of any."""
    return apply("bm::where", condition, _like(a, b), _like(b, a))


def _like(value: Operand, other: Operand) -> Operand:
    """A number in the data type of the tensor or array that is chosen where it is not; that of the condition where both are numbers."""
    if not isinstance(value, bool | int | float) or isinstance(other, bool | int | float):
        return value
    return number_of(value, other.dtype if isinstance(other, Tensor) else dtype_of(other.dtype))
