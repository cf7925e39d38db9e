"""Tensors and scalars of TpuLang programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import prod
from typing import ClassVar, Final, TypeVar

import numpy as np

from bmlang.graph.graph import Array
from bmlang.layers.tensor import here
from bmlang.tpulang.dtypes import dtype_named, name_of_dtype
from bmlang.tpulang.errors import TensorDeclarationError
from tpukernel.dtypes import Dtype, DtypeNameError, dtype_of
from tpukernel.source import Position

__all__ = ["Numbers", "Preprocessing", "Scalar", "Tensor", "Whole"]

Numbers = float | Sequence[float]
"""A number, or one for each channel."""
Whole = int | Sequence[int]
T = TypeVar("T")
QUANTISED: Final = ("int8", "uint8", "int16", "uint16")
"""Types of integers that may stand for numbers in a scale."""
PIXELS: Final = ("rgb", "bgr", "gray", "rgba")
RAW: Final = ("gbrg", "grbg", "bggr", "rggb")


class Scalar:
    """A number with a data type, which does not change.

    Args:
        value: the number.
        dtype: name of its data type.

    Raises:
        TensorDeclarationError: there is no such type, or it does not have the number.
    """

    def __init__(self, value: float, dtype: str = "float32") -> None:
        kind = dtype_named(dtype)
        if kind.is_int and (not float(value).is_integer() or not kind.limits[0] <= value <= kind.limits[1]):
            raise TensorDeclarationError(f"{value!r} is no {dtype}", position=here(), help="choose another data type")
        self.value = int(value) if kind.is_int else float(value)
        self.dtype = dtype.lower()

    def __repr__(self) -> str:
        return f"Scalar({self.value!r}, {self.dtype!r})"


@dataclass(frozen=True)
class Preprocessing:
    """What is done with the bytes of an image before they are an input.

    Attributes:
        mean, scale: of each channel: (pixel - mean) * scale.
        pixel_format: order of the channels, the same in the image and in the tensor.
        channel_format: "nchw", or "nhwc" where the channels of a pixel lie together.
        resize_dims: rows and columns of the image, of which the middle is cut out; those of the tensor by default.
        keep_aspect_ratio, keep_ratio_mode, pad_value, pad_type: how the image has been brought to this size; a note for who does it.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    pixel_format: str
    channel_format: str
    resize_dims: tuple[int, int]
    keep_aspect_ratio: bool
    keep_ratio_mode: str
    pad_value: int
    pad_type: str


class Tensor:
    """A tensor: an input, a coefficient, or what an operator makes.

    Args:
        shape: its sizes; one number for a tensor of one dimension. Left out, it is that of `data`.
        name: unique in a program; made up by default.
        ttype: "neuron" for an input, "coeff" for a coefficient, which needs data.
        data: its numbers; those of an input are for test runs.
        dtype: name of its data type, for example "float32" or "int8".
        scale: what a step of integers of 8 or 16 bits means; a number, or one for each channel.
        zero_point: the integer that means 0.

    Raises:
        TensorDeclarationError: these do not fit together.
    """

    _numbers: ClassVar[count[int]] = count()

    def __init__(
        self,
        shape: Whole = (),
        name: str | None = None,
        ttype: str = "neuron",
        data: Array | None = None,
        dtype: str = "float32",
        scale: Numbers | None = None,
        zero_point: Whole | None = None,
    ) -> None:
        self.id = next(self._numbers)
        self.is_named, self.is_made = name is not None, False
        self.name = f"BMTensor{self.id}" if name is None else name
        self.position: Position = here()
        self.ttype = ttype.lower()
        if self.ttype not in ("neuron", "coeff"):
            raise self._wrong(f"is of the kind {ttype!r}", 'choose "neuron" or "coeff"')
        self.kind = dtype_named(dtype)
        self.dtype = name_of_dtype(self.kind)
        self.shape = [shape] if isinstance(shape, int) else list(shape)
        self.buffer = None if data is None else self._data(data)
        if self.ttype == "coeff" and self.buffer is None:
            raise self._wrong("is a coefficient without data", "give data=, a numpy array")
        self.scale: Numbers | None = None
        self.zero_point: Whole | None = None
        self.is_quantized = False
        self.preprocessing: Preprocessing | None = None
        self.quantization(scale, zero_point)

    def __repr__(self) -> str:
        scaled = f", scale={self.scale}, zero_point={self.zero_point}" if self.is_quantized else ""
        return f"Tensor({self.name!r}, {self.dtype}{self.shape}, {self.ttype}{scaled})"

    @property
    def is_preprocess(self) -> bool:
        """Whether it is made from the bytes of an image."""
        return self.preprocessing is not None

    def reset(self) -> None:
        """Forget the data."""
        self.buffer = None

    def quantization(self, scale: Numbers | None = None, zero_point: Whole | None = None) -> None:
        """Say what its integers mean; each of both once.

        Raises:
            TensorDeclarationError: it has other ones, or is of a type that has none.
        """
        if scale is None and zero_point is None:
            return
        if self.dtype not in QUANTISED:
            raise self._wrong("has a scale or zero point", f"only {', '.join(QUANTISED)} have")
        if scale is not None:
            found = [float(each) for each in scale] if isinstance(scale, Sequence) else float(scale)
            if not all(abs(each) > 0 and np.isfinite(each) for each in np.atleast_1d(found)):
                raise self._wrong(f"has the scale {scale}", "give numbers other than 0")
            # TpuLang takes the absolute value, too.
            self.scale = self._once("scale", self.scale, np.abs(found).tolist())
        if zero_point is not None:
            points = [int(each) for each in zero_point] if isinstance(zero_point, Sequence) else int(zero_point)
            self.zero_point = self._once("zero_point", self.zero_point, points)
        self.is_quantized = True

    def preprocess(
        self,
        mean: Sequence[float] = (0, 0, 0),
        scale: Sequence[float] = (1.0, 1.0, 1.0),
        pixel_format: str = "bgr",
        channel_format: str = "nchw",
        resize_dims: Sequence[int] | None = None,
        keep_aspect_ratio: bool = False,
        keep_ratio_mode: str = "letterbox",
        pad_value: int = 0,
        pad_type: str = "center",
        white_level: float = 4095,
        black_level: float = 112,
    ) -> None:
        """Take the bytes of an image as the input, and compute this tensor from them in the model.

        The input of the net is uint8, (n, c, h, w) or (n, h, w, c); this tensor is (pixel - mean) * scale of the middle of it. How a
        picture gets the size `resize_dims` is noted for who does it, and is not part of the model.

        Raises:
            TensorDeclarationError: the tensor is no image, or the arguments do not fit it.
        """
        if pixel_format in RAW:
            raise self._wrong(
                f"is an image of raw sensor data ({pixel_format})", "convert it to rgb before, white and black level included"
            )
        choices = (
            ("pixel_format", pixel_format, PIXELS),
            ("channel_format", channel_format, ("nchw", "nhwc")),
            ("keep_ratio_mode", keep_ratio_mode, ("letterbox", "short_side_scale")),
            ("pad_type", pad_type, ("normal", "center")),
        )
        for what, given, known in choices:
            if given not in known:
                raise self._wrong(f"has {what} {given!r}", f"choose from {', '.join(known)}")
        if (white_level, black_level) != (4095, 112):
            raise self._wrong("has a white or black level", "they belong to raw sensor data, which the model does not take")
        if len(self.shape) != 4 or self.ttype != "neuron":
            raise self._wrong("is no image", "give an input of shape (n, c, h, w)")
        _, channels, rows, columns = self.shape
        size = (rows, columns) if resize_dims is None else tuple(resize_dims)
        if len(size) != 2 or size[0] < rows or size[1] < columns:
            raise self._wrong(f"has resize_dims {resize_dims}", f"give rows and columns, at least {[rows, columns]}")
        numbers = [_for_channels(given, channels) for given in (mean, scale)]
        if any(each is None for each in numbers):
            raise self._wrong("has another number of means or scales than channels", f"give {channels} of each")
        means, scales = (each or () for each in numbers)
        self.preprocessing = Preprocessing(
            means, scales, pixel_format, channel_format, (size[0], size[1]), keep_aspect_ratio, keep_ratio_mode, pad_value, pad_type
        )

    def preprocess_to_dict(self) -> Mapping[str, object]:
        """The arguments of `preprocess`; empty without."""
        return {} if self.preprocessing is None else vars(self.preprocessing)

    def _data(self, data: Array) -> Array:
        array = np.asarray(data)
        if self.dtype == "float16" and array.dtype == np.float32:
            array = array.astype(np.float16)
        try:
            found: Dtype | None = dtype_of(array.dtype)
        except DtypeNameError:
            found = None
        if found is not self.kind:
            raise self._wrong(f"has data of {array.dtype}", f"convert it to {self.dtype}")
        if not self.shape:
            self.shape = list(array.shape)
        if prod(self.shape) != array.size:
            raise self._wrong(f"has {array.size} numbers for shape {self.shape}", "give data of the same shape")
        return np.require(array.reshape(self.shape), requirements="C")

    def _once(self, what: str, known: object, given: T) -> T:
        if known is not None and known != given:
            raise self._wrong(
                f"has {what} {known} and {given}", "say it once: quantisation does not change; make another tensor by requantisation"
            )
        return given

    def _wrong(self, what: str, advice: str) -> TensorDeclarationError:
        return TensorDeclarationError(f"tensor {self.name} {what}", position=here(), help=advice)


def _for_channels(given: Sequence[float], channels: int) -> tuple[float, ...] | None:
    """One number for each channel; those of three that are all equal do for any number, as the defaults have to."""
    if len(given) == channels:
        return tuple(map(float, given))
    return (float(given[0]),) * channels if len(set(given)) == 1 else None
