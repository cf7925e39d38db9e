"""Operators that put elements elsewhere, or see them in another shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Final

import numpy as np

from bmlang.graph.dims import Dim, is_one, same_sizes
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.importers.onnx.values import Known, Quantised
from bmlang.layers.arrange import broadcast_to, concat, pad, permute, slice, split, tile
from bmlang.layers.rearrange import flip
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor

__all__ = ["TABLE", "cut", "strided"]


def _reflected(place: int, size: int) -> int:
    around = place % max(2 * size - 2, 1)
    return min(around, 2 * size - 2 - around)


ENDLESS: Final = (1 << 31) - 1
"""The end of a slice from which on it means that of the tensor."""
MIRRORS: Final[Mapping[str, Callable[[int, int], int]]] = {
    "edge": lambda place, size: min(max(place, 0), size - 1),
    "reflect": _reflected,
    "wrap": lambda place, size: place % size,
}
"""By mode: which element of so many stands in a place before, within or behind them."""


def _moved(node: OnnxNode) -> Tensor | None:
    """The integers of a quantised input."""
    found = node.value(0)
    return found.integers if isinstance(found, Quantised) and found.codes.scale.size == 1 else None


def _same(node: OnnxNode, made: Tensor) -> Tensor | Quantised:
    """What was made of the integers of the first input, where it is quantised."""
    found = node.value(0)
    return Quantised(made, found.codes, found.element) if isinstance(found, Quantised) and made.dtype == found.integers.dtype else made


def _source(node: OnnxNode) -> Tensor:
    """The first input; its integers, where one scale holds for all of it."""
    integers = _moved(node)
    return node.tensor(0) if integers is None else integers


def _reshape(node: OnnxNode) -> Result:
    x = _source(node)
    wanted = node.listed("shape", 1)
    if wanted is None:
        node.wrong("it has no shape")
    if not node.integer("allowzero", 0):
        wanted = [x.shape[place] if size == 0 else size for place, size in enumerate(wanted)]
    return _same(node, reshape(x, wanted))


def _flatten(node: OnnxNode) -> Result:
    x = _source(node)
    axis = node.integer("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return _same(node, reshape(x, (prod(x.shape[:axis]), prod(x.shape[axis:]))))


def _squeeze(node: OnnxNode) -> Result:
    x, axes = _source(node), node.listed("axes", 1)
    dropped = {axis % x.ndim for axis in axes} if axes is not None else {axis for axis, size in enumerate(x.shape) if size == 1}
    if any(x.shape[axis] != 1 for axis in dropped):
        node.wrong(f"axes {axes} of a tensor of shape {list(x.shape)}")
    return _same(node, reshape(x, [size for axis, size in enumerate(x.shape) if axis not in dropped]))


def _unsqueeze(node: OnnxNode) -> Result:
    x, axes = _source(node), node.listed("axes", 1)
    if axes is None:
        node.wrong("it has no axes")
    rank = x.ndim + len(axes)
    added, sizes = {axis % rank for axis in axes}, iter(x.shape)
    return _same(node, reshape(x, [1 if axis in added else next(sizes) for axis in range(rank)]))


def _transpose(node: OnnxNode) -> Result:
    x = _source(node)
    return _same(node, permute(x, node.integers("perm", range(x.ndim)[::-1])))


def _concat(node: OnnxNode) -> Result:
    axis = node.axis()
    tensors = [node.tensor(place) for place, value in enumerate(node.inputs) if not (isinstance(value, Known) and value.array.size == 0)]
    return tensors[0] if len(tensors) == 1 else concat(tensors, axis)


def _split(node: OnnxNode) -> Result:
    x, axis = node.tensor(0), node.axis(0)
    sizes = node.listed("split", 1)
    if sizes is None:
        parts = node.integer("num_outputs", len(node.proto.output))
        each = -(-x.shape[axis] // parts)
        sizes = [min(each, x.shape[axis] - each * place) for place in range(parts)]
    parts = iter(split(x, [size for size in sizes if size], axis))
    empty = np.zeros([0 if place == axis else size for place, size in enumerate(x.shape)], x.dtype.numpy)
    return [next(parts) if size else empty for size in sizes]


def strided(x: Tensor, axis: int, step: int) -> Tensor:
    """Every `step`-th element along a dimension, beginning with the first."""
    size = x.shape[axis]
    if step == 1 or size == 1:
        return x
    many = -(-size // step)
    after = [many * step - size if place == axis else 0 for place in range(x.ndim)]
    padded = pad(x, [0] * x.ndim, after) if many * step != size else x
    rows = reshape(padded, (*x.shape[:axis], many, step, *x.shape[axis + 1 :]))
    first = slice(rows, [0] * rows.ndim, [1 if place == axis + 1 else each for place, each in enumerate(rows.shape)])
    return reshape(first, (*x.shape[:axis], many, *x.shape[axis + 1 :]))


def cut(x: Tensor, axis: int, first: int, count: int) -> Tensor:
    """So many elements along a dimension."""
    if same_sizes([count], [x.shape[axis]]):
        return x
    begin = [first if place == axis else 0 for place in range(x.ndim)]
    return slice(x, begin, [count if place == axis else size for place, size in enumerate(x.shape)])


def _slice(node: OnnxNode) -> Result:
    x = _source(node)
    starts, ends = node.listed("starts", 1), node.listed("ends", 2)
    if starts is None or ends is None:
        node.wrong("it has no starts or ends")
    axes = node.listed("axes", 3) or list(range(len(starts)))
    steps = node.listed("steps", 4) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = _sliced(x, axis % x.ndim, start, end, step)
    return _same(node, x)


def _place(place: int, size: int) -> int:
    """A place of a slice, counted from the front, within the tensor."""
    if not isinstance(place, Dim) and place >= ENDLESS:
        return size
    counted = place + size if place < 0 else place
    return 0 if counted < 0 else min(counted, size)


def _sliced(x: Tensor, axis: int, start: int, end: int, step: int) -> Tensor:
    size = x.shape[axis]
    if step == 1:
        first, stop = _place(start, size), _place(end, size)
        if stop <= first:
            raise NotSupported("the result has no elements")
        return cut(x, axis, first, stop - first)
    places = range(size)[start:end:step]
    if not places:
        raise NotSupported("the result has no elements")
    low, high = min(places), max(places)
    found = cut(x, axis, low, high - low + 1)
    if step < 0:
        found = flip(found, axis)
    return strided(found, axis, abs(step))


def _pad(node: OnnxNode) -> Result:
    x = _source(node)
    mode = node.text("mode", "constant")
    pads = node.listed("pads", 1) or node.listed("paddings", 1)
    if pads is None:
        node.wrong("it has no pads")
    axes = [axis % x.ndim for axis in (node.listed("axes", 3) or range(x.ndim))]
    before, after = [0] * x.ndim, [0] * x.ndim
    for place, axis in enumerate(axes):
        before[axis], after[axis] = pads[place], pads[place + len(axes)]
    x = _cropped(x, before, after)
    before, after = [max(each, 0) for each in before], [max(each, 0) for each in after]
    if not any(before) and not any(after):
        return _same(node, x)
    if mode == "constant":
        return _filled(node, x, before, after)
    for axis in range(x.ndim):
        x = _mirrored(x, axis, before[axis], after[axis], mode)
    return _same(node, x)


def _filled(node: OnnxNode, x: Tensor, before: Sequence[int], after: Sequence[int]) -> Result:
    given = node.optional_known(2)
    value = node.number("value", 0.0) if given is None else given.reshape(-1)[0].item()
    found = node.value(0)
    if isinstance(found, Quantised) and x.dtype == found.integers.dtype:
        if value != 0:
            return pad(node.tensor(0), before, after, float(value))
        value = found.codes.zero_point.item()
    return _same(node, pad(x, before, after, float(value)))


def _cropped(x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    for axis, size in enumerate(x.shape):
        first, last = max(-before[axis], 0), max(-after[axis], 0)
        x = cut(x, axis, first, size - first - last)
    return x


def _mirrored(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """Rows around a tensor that are taken from itself."""
    size = x.shape[axis]
    if mode not in MIRRORS:
        raise NotSupported(f"padding of mode {mode!r}")
    if not before and not after:
        return x
    runs: list[list[int]] = []
    for place in (MIRRORS[mode](place, size) for place in range(-before, size + after)):
        if runs and place - runs[-1][-1] == 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    parts = [cut(x, axis, run[0], len(run)) for run in runs]
    return parts[0] if len(parts) == 1 else concat(parts, axis)


def _expand(node: OnnxNode) -> Result:
    x = node.tensor(0)
    wanted = node.sizes(1)
    rank = max(x.ndim, len(wanted))
    pairs = zip([1] * (rank - x.ndim) + list(x.shape), [1] * (rank - len(wanted)) + wanted, strict=True)
    return broadcast_to(x, [_common(node, *pair) for pair in pairs])


def _common(node: OnnxNode, one: int, other: int) -> int:
    """The size that two sizes are broadcast to."""
    if is_one(one) or is_one(other):
        return other if is_one(one) else one
    if one != other:
        node.wrong(f"a size of {one} cannot become {other}")
    return one


def _tile(node: OnnxNode) -> Result:
    repeats = node.sizes(1)
    return tile(node.tensor(0), repeats) if any(each != 1 for each in repeats) else node.tensor(0)


def _depth_to_space(node: OnnxNode) -> Result:
    x, block = _source(node), node.integer("blocksize")
    n, c, h, w = x.shape
    if node.text("mode", "DCR") == "DCR":
        rows = permute(reshape(x, (n, block, block, c // block**2, h, w)), (0, 3, 4, 1, 5, 2))
    else:
        rows = permute(reshape(x, (n, c // block**2, block, block, h, w)), (0, 1, 4, 2, 5, 3))
    return _same(node, reshape(rows, (n, c // block**2, h * block, w * block)))


def _space_to_depth(node: OnnxNode) -> Result:
    x, block = _source(node), node.integer("blocksize")
    n, c, h, w = x.shape
    deep = node.text("mode", "DCR") == "DCR"
    rows = permute(reshape(x, (n, c, h // block, block, w // block, block)), (0, 3, 5, 1, 2, 4) if deep else (0, 1, 3, 5, 2, 4))
    return _same(node, reshape(rows, (n, c * block**2, h // block, w // block)))


def _dropout(node: OnnxNode) -> Result:
    training = node.optional_known(2)
    ratio = node.optional_known(1)
    if training is not None and bool(training.all()) and not (ratio is not None and ratio.size == 1 and ratio.item() == 0):
        raise NotSupported("it drops elements at random (training mode)")
    found = node.value(0)
    return [found, np.ones(node.shape(0), np.bool_)][: node.outputs]


TABLE: Final[Mapping[str, Handler]] = {
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
