"""Operators by the number that a BModel has for them (`CpuParam.op_type`).

Numbers, parameters and tensors are those of the official host library where it has the operator (libsophon, `bmcpu_common.h`); that library
computes on float32. What it does not have, or not for other data types, has a number of ours, from `OWN` on: the official runtime looks
for such numbers in a library that a user brings (`--custom_ap_update`), and says that there is none.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import ClassVar, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from bmlang.host.errors import CpuOperatorError

__all__ = ["CPU_OPERATORS", "OWN", "Array", "CpuOperator", "Parameters", "cpu_operator", "same_types"]

Array = NDArray[np.generic]
CpuOperator = Callable[[bytes, Sequence[Array]], Sequence[Array]]
"""Takes the parameters and the inputs, returns the outputs; of these a subnet may list only the first ones.

An output may be smaller than the subnet says: how many elements there are may depend on the data."""
_Function = TypeVar("_Function", bound=CpuOperator)

CPU_OPERATORS: Final[dict[int, CpuOperator]] = {}
"""Operators by number."""
OWN: Final = 0x54500000
"""First number of ours. `OWN + n` is what the official library has under n, for every data type; those from `OWN + 1000` on it has not."""


def cpu_operator(number: int) -> Callable[[_Function], _Function]:
    """Registers the decorated function as the operator of that number.

    Raises:
        ValueError: the number is taken.
    """

    def register(function: _Function) -> _Function:
        if number in CPU_OPERATORS:
            raise ValueError(f"host operator {number} is registered already")
        CPU_OPERATORS[number] = function
        return function

    return register


@dataclass(frozen=True)
class Parameters:
    """Parameters of an operator as they lie in memory; the fields of a subclass are in the order of its layout.

    Attributes:
        title: name of the operator in messages.
        layout: of `struct`, little-endian, with the filling that the C compiler adds.
    """

    title: ClassVar[str]
    layout: ClassVar[str]

    def data(self) -> bytes:
        """The parameters as a file has them."""
        return struct.pack(self.layout, *astuple(self))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The parameters of a file; what stands behind them is left alone, as the official library does.

        Raises:
            CpuOperatorError: there are too few bytes.
        """
        if len(data) < struct.calcsize(cls.layout):
            raise CpuOperatorError(f"{cls.title} has {len(data)} bytes of parameters instead of {struct.calcsize(cls.layout)}")
        return cls(*struct.unpack_from(cls.layout, data))


def same_types(title: str, inputs: Sequence[Array], wanted: Sequence[str | None]) -> None:
    """The inputs have these data types (None: any).

    Raises:
        CpuOperatorError: there are others, or another number of them.
    """
    if len(inputs) != len(wanted) or any(name not in (None, array.dtype.name) for array, name in zip(inputs, wanted, strict=True)):
        names = ", ".join(name or "any type" for name in wanted)
        raise CpuOperatorError(f"{title} has inputs {[str(array.dtype) for array in inputs]} instead of {names}")
