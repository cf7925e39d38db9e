"""What TPUKernel functions take: the Python types of the C parameters, and their checks.

| C | Python |
|---|---|
| `local_addr_t`, ... | an int, or anything with `__index__` (an address expression): lane * lane bytes + byte, or system address |
| `dim4`, `dim2`, `padding_t` | tuples: (n, c, h, w), `Dim2`, `Padding`; `None` for a NULL stride |
| `scalar_t` | an int or a float, converted to the data type of the call without loss of an integer; `Bits` or a `Constant` for given bits |
| `variable_t` | `Variable.tensor(address)`, `Variable.vector(address)`, `Variable.scalar(value)` |
| `data_type_t`, `rounding_mode_t` | `Dtype` or its name, `Rounding` |
| `dim5`, `range_t` | tuples: (n, c, d, h, w), `Range` |
| `void *` | memory of the host: an array, bytearray or memoryview without gaps; to read from also bytes |
| `void *node` | an `IdNode` |
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, NamedTuple, SupportsIndex, cast

import numpy as np
from numpy.typing import NDArray

from tpukernel.api.errors import ArgumentError
from tpukernel.chips.tensors import Constant, Dim4
from tpukernel.dtypes import Dtype, DtypeNameError, bf16, dtype_of, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa import IdNode, Rounding

__all__ = [
    "Address",
    "AddressIn",
    "AddressOut",
    "Bits",
    "Dim2",
    "Dim5",
    "Direction",
    "F32Dtype",
    "FloatDtype",
    "HostBytes",
    "HostMemory",
    "Int",
    "Int8Dtype",
    "IntDtype",
    "Kind",
    "KernelFunction",
    "KernelName",
    "LocalAddress",
    "LocalIn",
    "LocalInOut",
    "LocalOut",
    "LocalUnused",
    "LocalWork",
    "NodeIn",
    "Padding",
    "Range",
    "Ranges",
    "S8",
    "Scalar",
    "ScalarArg",
    "SortDtype",
    "StaticIn",
    "Stride",
    "SystemIn",
    "SystemInOut",
    "SystemOut",
    "U8",
    "U64",
    "Uint",
    "UnsignedDtype",
    "Variable",
    "VariableIn",
    "coerced",
]

Direction = Literal["in", "out", "inout", "work", ""]
Address = SupportsIndex


class Dim2(NamedTuple):
    """A `dim2`: kernel, stride, dilation or zero insertion of the two spatial dimensions, in elements."""

    h: int
    w: int


class Padding(NamedTuple):
    """A `padding_t`: rows above and below, columns left and right, in elements."""

    top: int
    bottom: int
    left: int
    right: int


Dim5 = tuple[int, int, int, int, int]
"""A shape (n, c, d, h, w)."""


class Range(NamedTuple):
    """A `range_t`: from `start` to `end`, both included."""

    start: int
    end: int


Ranges = Sequence[Range]
HostMemory = bytearray | memoryview | NDArray[np.generic]
"""Memory of the host that can be written."""
HostBytes = bytes | HostMemory


@dataclass(frozen=True)
class Bits:
    """A `scalar_t` by its 32 bits."""

    bits: int


Scalar = int | float | Bits | Constant


@dataclass(frozen=True)
class Variable:
    """A `variable_t`: a tensor, a vector (one element in each lane), or a scalar.

    Attributes:
        form: which of them.
        address: local address of the tensor or vector; 0 for a scalar.
        value: the scalar; 0 otherwise.
    """

    form: Literal["tensor", "vector", "scalar"]
    address: int = 0
    value: Scalar = 0

    @classmethod
    def tensor(cls, address: Address) -> Variable:
        """The tensor at a local address, of the shape of the call."""
        return cls("tensor", operator.index(address))

    @classmethod
    def vector(cls, address: Address) -> Variable:
        """One element in each lane, at a local address; all channels of the lane share it."""
        return cls("vector", operator.index(address))

    @classmethod
    def scalar(cls, value: Scalar) -> Variable:
        """A number for all elements."""
        return cls("scalar", value=value)


@dataclass(frozen=True)
class Kind:
    """What a parameter is: the name of a check in `CHECKS`, and of an address also whether the function reads or writes there.

    `work` is memory that the function overwrites and whose contents mean nothing afterwards. `dtypes` are the data types that the function
    takes, where it does not leave that to its instructions.
    """

    name: str
    direction: Direction = ""
    dtypes: tuple[Dtype, ...] = ()


LocalIn = Annotated[Address, Kind("local", "in")]
LocalOut = Annotated[Address, Kind("local", "out")]
LocalInOut = Annotated[Address, Kind("local", "inout")]
LocalWork = Annotated[Address, Kind("local", "work")]
LocalUnused = Annotated[Address, Kind("local")]
"""A local address that the function has, but does not use."""
LocalAddress = Annotated[Address, Kind("local")]
"""A local address that is only calculated with."""
StaticIn = Annotated[Address, Kind("static", "in")]
SystemIn = Annotated[Address, Kind("system", "in")]
SystemOut = Annotated[Address, Kind("system", "out")]
SystemInOut = Annotated[Address, Kind("system", "inout")]
AddressIn = Annotated[Address, Kind("address", "in")]
"""Local or system memory: another parameter says which."""
AddressOut = Annotated[Address, Kind("address", "out")]
Stride = Annotated[Dim4 | None, Kind("stride")]
Int = Annotated[int, Kind("int")]
Uint = Annotated[int, Kind("uint")]
U8 = Annotated[int, Kind("u8")]
S8 = Annotated[int, Kind("s8")]
U64 = Annotated[int, Kind("u64")]
ScalarArg = Annotated[Scalar, Kind("scalar")]
VariableIn = Annotated[Variable, Kind("variable", "in")]
FloatDtype = Annotated[Dtype, Kind("dtype", dtypes=(f32, f16, bf16))]
IntDtype = Annotated[Dtype, Kind("dtype", dtypes=(i8, u8, i16, u16, i32, u32))]
UnsignedDtype = Annotated[Dtype, Kind("dtype", dtypes=(u8, u16, u32))]
Int8Dtype = Annotated[Dtype, Kind("dtype", dtypes=(i8, u8))]
F32Dtype = Annotated[Dtype, Kind("dtype", dtypes=(f32,))]
SortDtype = Annotated[Dtype, Kind("dtype", dtypes=(f32, i32, u32))]
NodeIn = Annotated[IdNode, Kind("node")]
KernelName = Annotated[str, Kind("name")]
KernelFunction = Annotated[Callable[..., object], Kind("function")]


# ---------------------------------------------------------------------------- checks


def _integer(low: int, high: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | SupportsIndex):
            raise ValueError("an integer is needed")
        number = operator.index(value)
        if not low <= number <= high:
            raise ValueError(f"an integer from {low:#x} to {high:#x} is needed")
        return number

    return check


_dimension = _integer(-(1 << 31), (1 << 31) - 1)


def _dims(value: object, names: str) -> tuple[int, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(cast("Sequence[object]", value)) != len(names.split()):
        raise ValueError(f"a tuple ({', '.join(names.split())}) is needed")
    return tuple(_dimension(each) for each in cast("Sequence[object]", value))


def _dim4(value: object) -> Dim4:
    n, c, h, w = _dims(value, "n c h w")
    return n, c, h, w


def _stride(value: object) -> Dim4 | None:
    return None if value is None else _dim4(value)


def _dtype(value: object) -> Dtype:
    try:
        return dtype_of(cast("Dtype", value))
    except DtypeNameError as error:
        raise ValueError(error.message) from None


def _rounding(value: object) -> Rounding:
    if not isinstance(value, Rounding):
        raise ValueError(f"one of {', '.join(f'Rounding.{mode.name}' for mode in Rounding)} is needed")
    return value


def _flag(value: object) -> bool:
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    raise ValueError("True or False is needed")


def _scalar(value: object) -> Scalar:
    if isinstance(value, (float, Bits, Constant)):
        return value
    if isinstance(value, bool) or not isinstance(value, int | SupportsIndex):
        raise ValueError("a number, Bits or a Constant is needed")
    return operator.index(value)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("a number is needed")
    return float(value)


def _variable(value: object) -> Variable:
    if not isinstance(value, Variable):
        raise ValueError("Variable.tensor(address), Variable.vector(address) or Variable.scalar(number) is needed")
    return value


def _range(value: object) -> Range:
    return Range(*_dims(value, "start end"))


def _ranges(value: object) -> Ranges:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError("a list of Range(start, end) is needed")
    return [_range(each) for each in cast("Sequence[object]", value)]


def _host(value: object, *, write: bool) -> memoryview:
    view: memoryview | None = None
    if isinstance(value, np.ndarray):
        array = cast("NDArray[np.generic]", value)
        view = array.reshape(-1).view(np.uint8).data if array.flags.c_contiguous else None
    elif isinstance(value, (bytes, bytearray)):
        view = memoryview(value)
    elif isinstance(value, memoryview):
        view = cast("memoryview", value)
    if view is None or not view.c_contiguous:
        raise ValueError("an array, bytearray or memoryview without gaps is needed")
    if write and view.readonly:
        raise ValueError("memory that can be written is needed")
    return view.cast("B")


def _node(value: object) -> IdNode:
    if not isinstance(value, IdNode):
        raise ValueError("an IdNode is needed, for example from tpu_get_id_node()")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a name is needed")
    return value


def _function(value: object) -> Callable[..., object]:
    if not callable(value):
        raise ValueError("a function is needed")
    return value


CHECKS: Final[dict[str, Callable[[object], object]]] = {
    "local": _integer(0, (1 << 32) - 1),
    "static": _integer(0, (1 << 32) - 1),
    "system": _integer(0, (1 << 40) - 1),
    "address": _integer(0, (1 << 40) - 1),
    "dim4": _dim4,
    "stride": _stride,
    "dim2": lambda value: Dim2(*_dims(value, "h w")),
    "padding": lambda value: Padding(*_dims(value, "top bottom left right")),
    "dtype": _dtype,
    "rounding": _rounding,
    "bool": _flag,
    "int": _integer(-(1 << 31), (1 << 31) - 1),
    "uint": _integer(0, (1 << 32) - 1),
    "u8": _integer(0, 255),
    "s8": _integer(-128, 127),
    "scalar": _scalar,
    "float": _float,
    "variable": _variable,
    "u64": _integer(0, (1 << 64) - 1),
    "dim5": lambda value: _dims(value, "n c d h w"),
    "range": _range,
    "ranges": _ranges,
    "host in": lambda value: _host(value, write=False),
    "host out": lambda value: _host(value, write=True),
    "node": _node,
    "name": _name,
    "function": _function,
}
"""By the name of a kind: the value that the function works with.

Raises:
    ValueError: the value is not of that kind.
"""

_OF_TYPE: Final[dict[object, Kind]] = {
    Dim4: Kind("dim4"),
    Dim2: Kind("dim2"),
    Padding: Kind("padding"),
    Dtype: Kind("dtype"),
    Rounding: Kind("rounding"),
    bool: Kind("bool"),
    int: Kind("int"),
    float: Kind("float"),
    Dim5: Kind("dim5"),
    Range: Kind("range"),
    Ranges: Kind("ranges"),
    HostBytes: Kind("host in", "in"),
    HostMemory: Kind("host out", "out"),
}


def kind_of(annotation: object) -> Kind:
    """The kind of a parameter with that annotation.

    Raises:
        TypeError: it is none that a TPUKernel function can have.
    """
    metadata: tuple[object, ...] = getattr(annotation, "__metadata__", ())
    for each in metadata:
        if isinstance(each, Kind):
            return each
    if annotation not in _OF_TYPE:
        raise TypeError(f"no kind of parameter belongs to the annotation {annotation!r}")
    return _OF_TYPE[annotation]


def coerced(function: str, name: str, kind: Kind, value: object) -> object:
    """The argument as the function works with it.

    Raises:
        ArgumentError: it has another type, or is out of range.
    """
    try:
        found = CHECKS[kind.name](value)
        if kind.dtypes and found not in kind.dtypes:
            raise ValueError(f"one of {', '.join(dtype.name for dtype in kind.dtypes)} is needed")
        return found
    except ValueError as error:
        raise ArgumentError(f"{function}: {name} is {value!r}", help=f"{error}") from None
