"""Windows that slide over depth, rows and columns, and tensors (n, c, d, h, w) as images of one depth each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from bmlang.graph.graph import Attribute
from bmlang.layers.arrange import pad, permute
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor, here

__all__ = ["Depth", "as_images", "as_volume", "every", "plane", "six", "triple"]

PAIRS = ("stride", "dilation", "kernel", "output_padding")
"""Arguments with a number for depth, rows and columns."""


def triple(name: str, value: Attribute, least: int = 1) -> tuple[int, int, int]:
    """Depth, rows and columns of an argument that is one number or three.

    Raises:
        OperatorArgumentError: it is something else, or below `least`.
    """
    found = (value,) * 3 if isinstance(value, int) else value
    if not isinstance(found, tuple) or len(found) != 3 or not all(isinstance(each, int) and each >= least for each in found):
        raise OperatorArgumentError(
            f"{name} is {value!r}", position=here(), help=f"give one number of {least} or more, or three: depth, rows, columns"
        )
    return cast("tuple[int, int, int]", found)


def six(name: str, value: Attribute) -> tuple[int, int, int, int, int, int]:
    """Padding (front, top, left, back, bottom, right) of an argument that is one number, three (depth, rows, columns), or six.

    Raises:
        OperatorArgumentError: it is something else, or below 0.
    """
    found = (value,) * 6 if isinstance(value, int) else (*value, *value) if isinstance(value, tuple) and len(value) == 3 else value
    if not isinstance(found, tuple) or len(found) != 6 or not all(isinstance(each, int) and each >= 0 for each in found):
        raise OperatorArgumentError(f"{name} is {value!r}", position=here(), help="give six numbers: front, top, left, back, bottom, right")
    return cast("tuple[int, int, int, int, int, int]", found)


def plane(attrs: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """The arguments of windows over depth, rows and columns without those of the depth."""
    found = dict(attrs)
    _, top, left, _, bottom, right = six("pad", attrs["pad"])
    found["pad"] = (top, left, bottom, right)
    for name in PAIRS:
        if name in attrs:
            found[name] = triple(name, attrs[name], 0)[1:]
    return found


@dataclass(frozen=True)
class Depth:
    """Windows along the depth.

    Attributes:
        size: of the input.
        kernel, stride, dilation: of the windows.
        front, back: padding.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    front: int
    back: int

    @classmethod
    def of(cls, name: str, size: int, kernel: int, attrs: Mapping[str, Attribute]) -> Depth:
        """The windows of a layer with the arguments stride, pad and possibly dilation.

        Raises:
            OperatorArgumentError, ShapeError: they do not fit.
        """
        front, _, _, back, _, _ = six("pad", attrs["pad"])
        stride, dilation = (triple(each, attrs.get(each, 1))[0] for each in ("stride", "dilation"))
        found = cls(size, kernel, stride, dilation, front, back)
        if found.out < 1:
            raise ShapeError(
                f"a window of {(kernel - 1) * dilation + 1} is larger than the padded depth of {name}, {size}",
                position=here(),
                help="pad more, or make the kernel smaller",
            )
        return found

    @property
    def out(self) -> int:
        """Depth of the result."""
        return (self.size + self.front + self.back - (self.kernel - 1) * self.dilation - 1) // self.stride + 1

    def tap(self, number: int) -> slice:
        """Of the padded input, what a tap of the kernel meets."""
        first = number * self.dilation
        return slice(first, first + (self.out - 1) * self.stride + 1, self.stride)


def as_images(x: Tensor) -> Tensor:
    """(n, c, d, h, w) as (n, d, c, h, w)."""
    return permute(x, (0, 2, 1, 3, 4))


def as_volume(images: Tensor, n: int) -> Tensor:
    """Images (n * d, c, h, w) as (n, c, d, h, w)."""
    count, *rest = images.shape
    return permute(reshape(images, (n, count // n, *rest)), (0, 2, 1, 3, 4))


def every(x: Tensor, axis: int, start: int, count: int, step: int) -> Tensor:
    """`count` elements of a dimension from `start` on, `step` apart."""
    before, after = (slice(None),) * axis, x.shape[axis + 1 :]
    if step == 1 or count == 1:
        return x[(*before, slice(start, start + count))]
    missing = start + count * step - x.shape[axis]
    if missing > 0:
        x = pad(x, (0,) * x.ndim, [missing if place == axis else 0 for place in range(x.ndim)])
    rows = reshape(x[(*before, slice(start, start + count * step))], (*x.shape[:axis], count, step, *after))
    return reshape(rows[(*before, slice(None), slice(0, 1))], (*x.shape[:axis], count, *after))
