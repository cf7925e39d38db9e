"""Arithmetic on integers with a shift behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Layer, LocalForm, Piece
from bmlang.layers.errors import OperatorDtypeError
from bmlang.layers.integers import check_rounding, rounding_of, shifted, typed_dtype, whole_numbers
from bmlang.layers.pointwise import broadcast_shape, pointwise
from bmlang.layers.registry import add as add_layer
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import Dtype, dtype_of, i8, i16, i32, u8, u16
from tpukernel.lang.operations import Source
from tpukernel.lang.signature import TensorSpec

__all__ = ["Binary", "Shifted", "add_shift", "mul_shift", "sub_shift"]

INTEGERS = (i8, u8, i16, u16, i32)
NUMPY = {"add": np.add, "sub": np.subtract, "mul": np.multiply}


class Binary(Layer):
    """Two integers of any types, broadcast as in numpy.

    Args:
        operation: what is done with them.
    """

    inputs = ("a", "b")
    dtypes: tuple[Dtype, ...] = ()
    elementwise = True
    allowed: tuple[Dtype, ...]

    def __init__(self, operation: str) -> None:
        self.operation = operation

    @property
    def told(self) -> str:
        return self.name.removeprefix("bm::")

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        given = [spec for spec in inputs if spec is not None]
        for spec in given:
            if spec.dtype not in self.allowed:
                names = ", ".join(each.name for each in self.allowed)
                raise OperatorDtypeError(f"{self.told} does not work on {spec.dtype.name}", position=here(), help=f"it works on {names}")
        return TensorSpec(broadcast_shape(self.told, given), typed_dtype(self.told, attrs["dtype"], self.allowed))


class Shifted(Binary):
    """(a op b) * 2 ** shift, rounded where shift is negative, limited to the type."""

    defaults: Mapping[str, object] = {"shift": ..., "dtype": ..., "rounding": "half_away_from_zero"}
    allowed = INTEGERS

    def __init__(self, operation: str) -> None:
        super().__init__(operation)
        self.name = f"bm::{operation}_shift"

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        found = super().infer(inputs, attrs)
        check_rounding(self.told, attrs["rounding"], floats=False)
        whole_numbers(f"shift of {self.told}", attrs["shift"], -31, 15)
        signed = any(spec is not None and spec.dtype.is_signed for spec in inputs) or self.operation == "sub"
        if signed is not found.dtype.is_signed:
            raise OperatorDtypeError(
                f"{self.told} has {'signed' if signed else 'unsigned'} results here, not {found.dtype.name}",
                position=here(),
                help=f"choose {'i8, i16 or i32' if signed else 'u8 or u16'}",
            )
        return found

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        a, b = inputs
        assert a is not None and b is not None  # noqa: S101
        made = NUMPY[self.operation](a.astype(np.int64), b.astype(np.int64))
        return shifted(np.asarray(made), cast("int", attrs["shift"]), attrs["rounding"])

    def local(self, call: Call) -> LocalForm:
        shift, rounding = cast("int", call.attrs["shift"]), rounding_of(call.attrs["rounding"])

        def compute(piece: Piece, operands: Sequence[Source]) -> None:
            getattr(piece.k.tiu, self.operation)(piece.out, *operands, shift=shift, rounding=rounding)

        return pointwise(call, compute, numbers=False)


for _operation in NUMPY:
    add_layer(Shifted(_operation), __name__)


def add_shift(a: Operand, b: Operand, shift: int, dtype: Dtype | str = i8, *, rounding: str = "half_away_from_zero") -> Tensor:
    """(a + b) * 2 ** shift of integers, broadcast as in numpy, exact before it is rounded and limited.

    Args:
        a, b: i8, u8, i16, u16 or i32, of one type or of two.
        shift: -31 to 15; negative to the right.
        dtype: of the result; signed if a or b is.
        rounding: of the shift, as of `requant_int`.
    """
    return apply("bm::add_shift", a, b, shift=shift, dtype=dtype_of(dtype), rounding=rounding)


def sub_shift(a: Operand, b: Operand, shift: int, dtype: Dtype | str = i8, *, rounding: str = "half_away_from_zero") -> Tensor:
    """(a - b) * 2 ** shift of integers, as `add_shift`; the result is signed."""
    return apply("bm::sub_shift", a, b, shift=shift, dtype=dtype_of(dtype), rounding=rounding)


def mul_shift(a: Operand, b: Operand, shift: int, dtype: Dtype | str = i8, *, rounding: str = "half_away_from_zero") -> Tensor:
    """a * b * 2 ** shift of integers, as `add_shift`."""
    return apply("bm::mul_shift", a, b, shift=shift, dtype=dtype_of(dtype), rounding=rounding)
