"""The input of a convolution as the engine takes it: in place, or as a copy with padding and inserted elements.

In a copy the columns of the image that a horizontal stride of s visits lie together: s planes, plane r with the columns r, r + s, ..., so
that neighbouring pixels of the output always have neighbouring elements of the input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tpukernel.chips.placement import Axis
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.sim.interpreter.window import Window
from tpukernel.sim.jit.access import Place
from tpukernel.sim.jit.products.operands import Preparation, combined
from tpukernel.sim.jit.products.product import Offsets

__all__ = ["Image", "image"]

SHORT_ROW = 256
"""Bytes of a padded row up to which it is quicker to fill the whole copy with the pad value than to visit both ends of every row."""


@dataclass(frozen=True, eq=False)
class Image:
    """The elements under the window, in bytes of a memory.

    Attributes:
        space, base: where they begin.
        channels: offsets of the input channels.
        taps: offsets of the places of the kernel, by rows and columns.
        batches: offsets of the n.
        pixels: offsets of the pixels of the output, (oh, ow).
    """

    space: str
    base: int
    channels: Offsets
    taps: Offsets
    batches: Offsets
    pixels: Offsets


def image(
    prepared: Preparation,
    operand: LocalTensor,
    window: Window,
    padding: tuple[int, int, int, int],
    insert: tuple[int, int],
    pad: LocalTensor | Constant | None,
    inserted: Constant | None,
) -> Image:
    """The input of a convolution under a window; a copy is made if one is needed."""
    place = prepared.place(operand)
    sw = window.stride[1]
    if not any(padding) and not any(insert) and sw == 1 and prepared.is_safe(place):
        n, c, h, w = (axis.offsets() for axis in place.host.axes)
        return _image(place.space, place.host.base, window, n, c, h, w, np.zeros(1, np.int64))
    phases = 1 if any(insert) else sw
    copy = _copy(prepared, operand, place, padding, insert, phases, pad, inserted)
    n, c, h, w = (axis.offsets() for axis in copy.host.axes)
    rows = h.size // phases
    return _image(copy.space, copy.host.base, window, n, c, h[:rows], w, h[::rows])


def _image(space: str, base: int, window: Window, n: Offsets, c: Offsets, h: Offsets, w: Offsets, planes: Offsets) -> Image:
    """The offsets, from those of the dimensions and planes of the stored image."""
    (kh, kw), (sh, sw), (dh, dw), (oh, ow) = window.kernel, window.stride, window.dilation, window.steps
    phases = planes.size
    column = np.arange(kw) * dw
    # Offsets are linear in h and w, so that those of a tap and of the first pixel add up.
    taps = combined(h[: (kh - 1) * dh + 1 : dh], planes[column % phases] + w[column // phases])
    pixels = combined(h[: (oh - 1) * sh + 1 : sh], w[: (ow - 1) * (sw // phases) + 1 : sw // phases])
    return Image(space, base, c, taps, n, pixels)


def _copy(
    prepared: Preparation,
    operand: LocalTensor,
    place: Place,
    padding: tuple[int, int, int, int],
    insert: tuple[int, int],
    phases: int,
    pad: LocalTensor | Constant | None,
    inserted: Constant | None,
) -> Place:
    """The copy: (n, c, planes * rows, columns of a plane)."""
    n, c, h, w = operand.shape
    size, (top, bottom, left, right) = operand.dtype.itemsize, padding
    step_h, step_w = insert[0] + 1, insert[1] + 1
    inner_h, inner_w = (h - 1) * step_h + 1, (w - 1) * step_w + 1
    rows, columns = top + inner_h + bottom, -(-(left + inner_w + right) // phases)
    copy = prepared.scratch((n, c, phases * rows, columns), size)
    zero = Constant(0, operand.dtype)
    pad_place, insert_place = _fills(prepared, pad or zero, inserted or zero)
    if any(padding) and (phases > 1 or columns * size <= SHORT_ROW):
        prepared.copy(copy, pad_place)
    else:
        _fill_border(prepared, copy, pad_place, padding, (inner_h, inner_w))
    if any(insert):
        prepared.copy(_part(copy, top * columns + left, (inner_h, 1), (inner_w, 1), columns), insert_place)
    for plane in range(phases):
        skip = (plane - left) % phases  # columns of the input in front of the first one of this plane
        if skip < w:
            count = -(-(w - skip) // phases)
            start = (plane * rows + top) * columns + (left + skip) // phases
            target = _part(copy, start, (h, step_h), (count, step_w), columns)
            prepared.copy(target, _columns(place, skip, phases, count))
    return copy


def _fill_border(prepared: Preparation, copy: Place, fill: Place, padding: tuple[int, int, int, int], inner: tuple[int, int]) -> None:
    """Put the pad value around the inner part."""
    top, bottom, left, right = padding
    (height, width), pitch = inner, left + inner[1] + right
    strips = (
        (0, top, pitch),
        ((top + height) * pitch, bottom, pitch),
        (top * pitch, height, left),
        (top * pitch + left + width, height, right),
    )
    for start, rows, columns in strips:
        if rows and columns:
            prepared.copy(_part(copy, start, (rows, 1), (columns, 1), pitch), fill)


def _fills(prepared: Preparation, pad: LocalTensor | Constant, inserted: Constant) -> tuple[Place, Place]:
    place = prepared.place(pad)
    if isinstance(pad, Constant):
        return place, prepared.place(inserted)
    *others, pair = place.host.axes
    step = int(pair.offsets()[1] - pair.offsets()[0])
    first = replace(place.host, axes=(*others, Axis(1, 0)))
    return replace(place, host=first), replace(place, host=replace(first, base=first.base + step))


def _part(copy: Place, start: int, rows: tuple[int, int], columns: tuple[int, int], pitch: int) -> Place:
    """Some rows and columns, given by (count, distance), of each channel of the copy."""
    n, c, _, _ = copy.host.axes
    size = copy.host.itemsize
    axes = (n, c, Axis(rows[0], rows[1] * pitch * size), Axis(columns[0], columns[1] * size))
    return replace(copy, host=replace(copy.host, base=copy.host.base + start * size, axes=axes))


def _columns(place: Place, first: int, step: int, count: int) -> Place:
    """Every `step`th column of the input."""
    *others, w = place.host.axes
    stride = w.outer if w.count > 1 else 0
    return replace(place, host=replace(place.host, base=place.host.base + first * stride, axes=(*others, Axis(count, step * stride))))
