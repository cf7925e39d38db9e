"""Windows that slide over rows and columns: sizes of results, and the part of the input that a part of the result needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from bmlang.graph.graph import Attribute
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.region import Region
from bmlang.layers.tensor import here
from tpukernel.chips.tensors import Dim4

__all__ = ["Windows", "pair", "quad"]

LARGEST_STEP, LARGEST_PAD, LARGEST_INSERT = 15, 15, 14
"""Stride and dilation, padding, and inserted zeros of one command of the tensor unit."""


def pair(name: str, value: Attribute, least: int = 1) -> tuple[int, int]:
    """Rows and columns of an argument that is one number or two.

    Raises:
        OperatorArgumentError: it is something else, or below `least`.
    """
    found = (value, value) if isinstance(value, int) else value
    if not isinstance(found, tuple) or len(found) != 2 or not all(isinstance(each, int) and each >= least for each in found):
        raise OperatorArgumentError(
            f"{name} is {value!r}", position=here(), help=f"give one number of {least} or more, or two: rows, columns"
        )
    return cast("tuple[int, int]", found)


def quad(name: str, value: Attribute) -> tuple[int, int, int, int]:
    """Padding (top, left, bottom, right) of an argument that is one number, two (rows, columns), or four.

    Raises:
        OperatorArgumentError: it is something else, or below 0.
    """
    found = (value,) * 4 if isinstance(value, int) else (*value, *value) if isinstance(value, tuple) and len(value) == 2 else value
    if not isinstance(found, tuple) or len(found) != 4 or not all(isinstance(each, int) and each >= 0 for each in found):
        raise OperatorArgumentError(f"{name} is {value!r}", position=here(), help="give four numbers: top, left, bottom, right")
    return cast("tuple[int, int, int, int]", found)


@dataclass(frozen=True)
class Windows:
    """Windows over the rows and columns of a tensor.

    Attributes:
        size: rows and columns of the input.
        kernel, stride, dilation: rows and columns.
        pad: top, left, bottom, right.
        insert: zeros between neighbouring rows and columns of the input.
    """

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int, int, int]
    insert: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, name: str, size: Sequence[int], kernel: Sequence[int], attrs: Mapping[str, Attribute]) -> Windows:
        """The windows of a layer with the arguments stride, dilation, pad and insert.

        Raises:
            OperatorArgumentError, ShapeError: they do not fit.
        """
        rows, columns = size
        kh, kw = kernel
        dilation = pair("dilation", attrs.get("dilation", 1))
        insert = pair("insert", attrs.get("insert", 0), 0)
        found = cls((rows, columns), (kh, kw), pair("stride", attrs["stride"]), dilation, quad("pad", attrs["pad"]), insert)
        if min(found.out) < 1:
            raise ShapeError(
                f"a window of {found.reach[0]} x {found.reach[1]} is larger than the padded input of {name}, {rows} x {columns}",
                position=here(),
                help="pad more, or make the kernel smaller",
            )
        return found

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns that one window covers."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return (kh - 1) * dh + 1, (kw - 1) * dw + 1

    @property
    def inserted(self) -> tuple[int, int]:
        """Rows and columns of the input with the inserted zeros."""
        (rows, columns), (between, beside) = self.size, self.insert
        return (rows - 1) * (between + 1) + 1, (columns - 1) * (beside + 1) + 1

    @property
    def out(self) -> tuple[int, int]:
        """Rows and columns of the result."""
        top, left, bottom, right = self.pad
        (rows, columns), (high, wide) = self.inserted, self.reach
        return (rows + top + bottom - high) // self.stride[0] + 1, (columns + left + right - wide) // self.stride[1] + 1

    def region(self, box: Region, channels: tuple[int, int]) -> Region:
        """The part of the input for a part of the result; `channels` are the first one and how many."""
        (h0, hs), (w0, ws) = self._span(box, 0), self._span(box, 1)
        return Region((box.start[0], channels[0], h0, w0), (box.size[0], channels[1], hs, ws))

    def _span(self, box: Region, axis: int) -> tuple[int, int]:
        start, end = self._limits(box, axis)
        step = self.insert[axis] + 1
        first, last = -(-max(start, 0) // step), -(-min(end, self.inserted[axis]) // step)
        if first >= last:  # a part of nothing but padding: one row is there all the same
            first = min(first, self.size[axis] - 1)
            last = first + 1
        return first, last - first

    def _limits(self, box: Region, axis: int) -> tuple[int, int]:
        """First row and the one behind the last, padding counted."""
        start = box.start[2 + axis] * self.stride[axis] - self.pad[axis]
        return start, start + (box.size[2 + axis] - 1) * self.stride[axis] + self.reach[axis]

    def padding(self, box: Region) -> tuple[int, int, int, int]:
        """Padding (top, bottom, left, right) around the part of the input for a part of the result."""
        found: list[int] = []
        for axis in (0, 1):
            start, end = self._limits(box, axis)
            first, size = self._span(box, axis)
            step = self.insert[axis] + 1
            # Behind a result of nothing but the padding in front lies a row that no window reaches.
            found += [first * step - start, max(end - ((first + size - 1) * step + 1), 0)]
        return found[0], found[1], found[2], found[3]

    @property
    def is_legal(self) -> bool:
        """Whether one command of the tensor unit can do it."""
        return (
            max(*self.stride, *self.dilation) <= LARGEST_STEP
            and max(self.pad) <= LARGEST_PAD
            and max(self.insert) <= LARGEST_INSERT
            and (max(self.insert) == 0 or max(self.stride) == 1)
        )

    def cut(self, channels: int) -> Dim4:
        """How results may be cut: not where a window could hold nothing but zeros, of which a command would have no input."""
        top, left, bottom, right = self.pad
        ends = (max(top, bottom), max(left, right))
        rows, columns = (int(max(pad + 1, between + 1) <= reach) for pad, between, reach in zip(ends, self.insert, self.reach, strict=True))
        return (1, channels, rows, columns)
