"""What a name of an ONNX graph stands for while the graph is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array
from bmlang.importers.onnx.elements import FLOAT, Element, element_of, element_of_dtype
from bmlang.layers.quantise import dequantise
from bmlang.layers.tensor import Tensor
from tpukernel.dtypes import dtype_of

__all__ = ["Codes", "Items", "Known", "Live", "Quantised", "Sizes", "Unknown", "Value", "shape_of"]

Sizes: TypeAlias = "NDArray[Any]"
"""Integers of Python, some of which are a `Dim`."""


@dataclass(frozen=True, eq=False)
class Codes:
    """Integers that stand for floats: (integers - zero_point) * scale.

    Attributes:
        scale: one, or one for each element of the dimension `axis`.
        zero_point: as scale, integers.
        axis: the dimension, counted from the front.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int = 1


@dataclass(frozen=True, eq=False)
class Known:
    """Numbers that are known while importing, in the type that they have in ONNX.

    Attributes:
        array: the numbers.
        integers: where they were made from integers: these, and what they mean.
        sizes: where some are sizes that vary: all of them with how they come about; `array` has what they are at most.
    """

    array: Array
    integers: tuple[Array, Codes] | None = None
    sizes: Sizes | None = None

    @property
    def element(self) -> Element:
        """The element type."""
        return element_of(self.array)


@dataclass(frozen=True, eq=False)
class Live:
    """A tensor of the function.

    Attributes:
        tensor: the tensor. One of booleans holds 0 and 1, in whatever data type they were made.
        element: the type that it has in ONNX.
    """

    tensor: Tensor
    element: Element


@dataclass(eq=False)
class Quantised:
    """Floats that exist as integers; floats are made of them where something asks for them.

    Attributes:
        integers: 8-bit integers, or the 32-bit sums of their products.
        codes: what they mean.
        element: the type of the floats.
    """

    integers: Tensor
    codes: Codes
    element: Element = FLOAT
    _tensor: Tensor | None = field(default=None, repr=False)

    @property
    def tensor(self) -> Tensor:
        """The floats."""
        if self._tensor is None:
            dtype = self.element.dtype
            assert dtype is not None  # noqa: S101
            codes = self.codes
            self._tensor = dequantise(self.integers, codes.scale, codes.zero_point, dtype, axis=codes.axis)
        return self._tensor


@dataclass(frozen=True, eq=False)
class Items:
    """A sequence, or an optional value that is there (one item) or not (none)."""

    items: tuple[Value, ...]


@dataclass(frozen=True)
class Unknown:
    """The result of a node that cannot be imported."""


Value: TypeAlias = "Known | Live | Quantised | Items | Unknown"


def shape_of(value: Known | Live | Quantised) -> tuple[int, ...]:
    """Sizes of the dimensions."""
    if isinstance(value, Known):
        return value.array.shape
    return value.tensor.shape if isinstance(value, Live) else value.integers.shape


def live(tensor: Tensor) -> Live:
    """A tensor with the type that it has on the TPU."""
    return Live(tensor, element_of_dtype(dtype_of(tensor.dtype)))
