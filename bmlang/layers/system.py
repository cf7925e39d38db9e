"""Tensors in system memory as the global forms of layers see them, and copies between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Protocol

from tpukernel.dtypes import Dtype
from tpukernel.lang.builder import Builder
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Global

__all__ = ["LARGEST", "System", "copy_box", "fill"]

LARGEST = 65535
"""Sizes of one command of the DMA engine."""
ROW = 4096
"""Elements of a row of what lies in one piece."""


class View(Protocol):
    """Makes the elements of a tensor from one on, with a shape and possibly a data type of their own."""

    def __call__(self, offset: int, shape: tuple[int, ...], dtype: Dtype | None = None, /) -> Global: ...


@dataclass(frozen=True)
class System:
    """A tensor in system memory.

    Attributes:
        spec: its shape and data type.
        view: the elements from one on, with a shape of their own; their bits may be seen as another data type of the same size.
    """

    spec: TensorSpec
    view: View

    @property
    def tensor(self) -> Global:
        """With its own shape."""
        return self.view(0, self.spec.shape)

    def seen(self, *shape: int) -> Global:
        """With another shape of as many elements."""
        return self.view(0, shape)


def copy_box(k: Builder, dst: System, to: Sequence[int], src: System, start: Sequence[int], size: Sequence[int]) -> None:
    """Copy a box.

    Args:
        k: the kernel.
        dst, src: tensors of one rank.
        to, start: first element of the box in dst and in src.
        size: of the box.
    """
    shapes = [list(dst.spec.shape), list(src.spec.shape)]
    starts = [list(to), list(start)]
    sizes = list(size)
    axis = len(sizes) - 1
    while axis > 0:
        if all(shape[axis] == sizes[axis] for shape in shapes):  # whole rows lie behind each other
            width = sizes.pop(axis)
            for shape, begin in zip(shapes, starts, strict=True):
                begin.pop(axis)
                shape.pop(axis)
                begin[axis - 1] *= width
                shape[axis - 1] *= width
            sizes[axis - 1] *= width
        axis -= 1
    if len(sizes) <= 1:
        to_first, first = (begin[0] if begin else 0 for begin in starts)
        _copy_run(k, dst, to_first, src, first, sizes[0] if sizes else 1)
        return
    for each in (sizes, *shapes):
        each[:0] = [1] * (4 - len(each))
    for each in starts:
        each[:0] = [0] * (4 - len(each))
    for box, many in _commands(sizes):
        boxes = [tuple(slice(one + off, one + off + count) for one, off, count in zip(begin, box, many, strict=True)) for begin in starts]
        target, source = (tensor.view(0, tuple(shape))[_kept(each)] for tensor, shape, each in zip((dst, src), shapes, boxes, strict=True))
        k.dma.copy(target, source)


def _copy_run(k: Builder, dst: System, to: int, src: System, start: int, size: int) -> None:
    """Elements that lie behind each other, as rows."""
    offset = 0
    while offset < size:
        width = min(ROW, size - offset)
        rows = min((size - offset) // width, LARGEST)
        k.dma.copy(dst.view(to + offset, (1, 1, rows, width)), src.view(start + offset, (1, 1, rows, width)))
        offset += rows * width


def _kept(box: tuple[slice, ...]) -> tuple[slice | int, ...]:
    """An index that keeps four dimensions: those before have one element."""
    return tuple(each.start if place < len(box) - 4 else each for place, each in enumerate(box))


def _commands(sizes: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Offsets and sizes of the boxes that commands can copy: up to four dimensions of up to 65535."""
    steps = [
        1 if place < len(sizes) - 4 else min(size, LARGEST // 2 + 1 if size > LARGEST else LARGEST) for place, size in enumerate(sizes)
    ]
    for offsets in product(*(range(0, size, step) for size, step in zip(sizes, steps, strict=True))):
        yield offsets, tuple(min(step, size - offset) for size, step, offset in zip(sizes, steps, offsets, strict=True))


def fill(k: Builder, dst: System, value: float) -> None:
    """Every element of dst becomes a number."""
    size, offset = prod(dst.spec.shape), 0
    while offset < size:
        width = min(ROW, size - offset)
        rows = min((size - offset) // width, LARGEST)
        k.dma.fill(dst.view(offset, (1, 1, rows, width)), value)
        offset += rows * width
