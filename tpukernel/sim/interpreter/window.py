"""What the units that slide a window over a tensor share: the input with its padding, and the elements under each tap of the window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.sim.memory import Array, Memory

__all__ = ["Window", "fill_values", "spread"]


@dataclass(frozen=True)
class Window:
    """A window that slides over the last two dimensions.

    Attributes:
        kernel: (kh, kw).
        stride: (h, w) steps.
        dilation: (h, w) distance of neighbouring taps.
        steps: (oh, ow), how often it fits.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    steps: tuple[int, int]

    def taps(self, values: Array) -> Iterator[Array]:
        """The elements (..., oh, ow) under each tap, in order of rows and columns of the kernel."""
        for y in range(self.kernel[0]):
            for x in range(self.kernel[1]):
                yield values[..., self._places(0, y), self._places(1, x)]

    def _places(self, axis: int, tap: int) -> slice:
        start = tap * self.dilation[axis]
        return slice(start, start + (self.steps[axis] - 1) * self.stride[axis] + 1, self.stride[axis])


def spread(
    values: Array,
    padding: tuple[int, int, int, int],
    insert: tuple[int, int],
    pad_value: Array,
    insert_value: Array,
) -> Array:
    """The input (n, c, h, w) with elements inserted between neighbours and padded around.

    Args:
        values: the input.
        padding: (top, bottom, left, right).
        insert: (h, w) elements between neighbours.
        pad_value: one number, or one for each channel (1, c, 1, 1).
        insert_value: likewise.
    """
    n, c, h, w = values.shape
    top, bottom, left, right = padding
    inner_h, inner_w = (h - 1) * (insert[0] + 1) + 1, (w - 1) * (insert[1] + 1) + 1
    found = np.empty((n, c, top + inner_h + bottom, left + inner_w + right), values.dtype)
    found[...] = pad_value
    inner = found[:, :, top : top + inner_h, left : left + inner_w]
    inner[...] = insert_value
    inner[:, :, :: insert[0] + 1, :: insert[1] + 1] = values
    return found


def fill_values(memory: Memory, pad: LocalTensor | Constant | None, insert: Constant | None, like: Array) -> tuple[Array, Array]:
    """Values of padding and of inserted elements, each for all channels or per channel; zeros where none are given."""
    zero = np.zeros((), like.dtype)
    if isinstance(pad, LocalTensor):
        pairs = memory.load(pad)
        return pairs[..., :1], pairs[..., 1:]
    return (zero if pad is None else memory.load(pad)), (zero if insert is None else memory.load(insert))
