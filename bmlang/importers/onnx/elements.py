"""Element types of ONNX: their numbers in a file (onnx.proto, `TensorProto.DataType`), in numpy, and on the TPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bmlang.graph.graph import Array
from bmlang.importers.onnx.errors import OnnxTypeError
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32

__all__ = ["BOOL", "ELEMENTS", "FLOAT", "FLOAT16", "INT32", "INT64", "Element", "element_of", "element_of_dtype", "narrowed"]


@dataclass(frozen=True)
class Element:
    """An element type.

    Attributes:
        number: in a file.
        name: of ONNX.
        dtype: what stands for it on the TPU; None where nothing does.
    """

    number: int
    name: str
    dtype: Dtype | None = None


ELEMENTS: Final = {
    element.number: element
    for element in (
        Element(1, "float32", f32),
        Element(2, "uint8", u8),
        Element(3, "int8", i8),
        Element(4, "uint16", u16),
        Element(5, "int16", i16),
        Element(6, "int32", i32),
        Element(7, "int64", i32),
        Element(8, "string"),
        Element(9, "bool", u8),
        Element(10, "float16", f16),
        Element(11, "float64"),
        Element(12, "uint32", u32),
        Element(13, "uint64"),
        Element(14, "complex64"),
        Element(15, "complex128"),
        Element(16, "bfloat16", bf16),
        Element(17, "float8_e4m3fn"),
        Element(18, "float8_e4m3fnuz"),
        Element(19, "float8_e5m2"),
        Element(20, "float8_e5m2fnuz"),
        Element(21, "uint4", u8),
        Element(22, "int4", i8),
        Element(23, "float4_e2m1fn"),
        Element(24, "float8_e8m0fnu"),
        Element(25, "uint2", u8),
        Element(26, "int2", i8),
    )
}
"""By number. 64-bit integers are 32-bit ones on the TPU, where their values allow it; booleans are bytes, 0 or 1."""
_BY_NAME: Final = {element.name: element for element in ELEMENTS.values()}
FLOAT: Final = ELEMENTS[1]
FLOAT16: Final = ELEMENTS[10]
INT32: Final = ELEMENTS[6]
INT64: Final = ELEMENTS[7]
BOOL: Final = ELEMENTS[9]


def element_of(array: Array) -> Element:
    """The type of an array's elements."""
    return _BY_NAME.get(array.dtype.name, ELEMENTS[8])


def element_of_dtype(dtype: Dtype) -> Element:
    """The type that is the same as one of the TPU."""
    return _BY_NAME[dtype.numpy.name]


def narrowed(array: Array, what: str) -> Array:
    """An array in the type that stands for its own on the TPU.

    Args:
        array: the numbers.
        what: what they are, for messages.

    Raises:
        OnnxTypeError: there is no such type, or it does not have all of the numbers.
    """
    element = element_of(array)
    if element.dtype is None:
        raise OnnxTypeError(f"{what} is {element.name}, which no TPU has", help="export the model with 32-bit floats and integers")
    kind = element.dtype.numpy
    if array.dtype == kind:
        return array
    found = array.astype(kind)
    if not np.array_equal(found.astype(array.dtype), array):
        outside = int(np.abs(array.astype(object)).max())
        raise OnnxTypeError(f"{what} is {element.name} and has numbers like {outside}, which {element.dtype.name} does not have")
    return found
