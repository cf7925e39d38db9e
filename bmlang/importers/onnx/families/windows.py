"""Convolutions and pooling. Those of one dimension are computed with a height of 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bmlang.importers.onnx.elements import INT64
from bmlang.importers.onnx.families.shapes import cut, strided
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.importers.onnx.values import Live, Quantised
from bmlang.layers.activations import exp, log, sqrt
from bmlang.layers.arrange import pad
from bmlang.layers.conv import conv, deconv
from bmlang.layers.conv3d import conv3d, deconv3d
from bmlang.layers.elementwise import abs, add, mul
from bmlang.layers.elementwise import max as larger
from bmlang.layers.pool import avg_pool, max_pool
from bmlang.layers.pool_index import max_pool_with_index
from bmlang.layers.reduce import reduce_max, reduce_mean, reduce_sum
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor

__all__ = ["TABLE", "Frame", "convolved", "frame_of"]


@dataclass(frozen=True)
class Frame:
    """Windows over the dimensions behind the channels.

    Attributes:
        kernel, stride, dilation: one number for each dimension.
        before, after: padding.
        extra: rows behind the padding, which `ceil_mode` adds; they never count.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    extra: tuple[int, ...]

    @property
    def sides(self) -> tuple[int, int, int, int]:
        """Padding as [top, left, bottom, right]."""
        return self.before[0], self.before[1], self.after[0] + self.extra[0], self.after[1] + self.extra[1]

    def part(self, *axes: int) -> Frame:
        """The windows over one or two of the dimensions, as windows over two."""
        values = [self.kernel, self.stride, self.dilation, self.before, self.after, self.extra]
        one = Frame(*(tuple(value[axis] for axis in axes) for value in values))
        return one if len(axes) > 1 else one.with_width()

    def with_width(self) -> Frame:
        """Windows over one dimension as such over two, with a width of 1."""
        return Frame((*self.kernel, 1), (*self.stride, 1), (*self.dilation, 1), (*self.before, 0), (*self.after, 0), (*self.extra, 0))

    def with_height(self) -> Frame:
        """The same of two dimensions, where it is of one."""
        if len(self.kernel) > 1:
            return self
        return Frame((1, *self.kernel), (1, *self.stride), (1, *self.dilation), (0, *self.before), (0, *self.after), (0, *self.extra))


def frame_of(node: OnnxNode, sizes: Sequence[int], kernel: Sequence[int]) -> Frame:
    """The windows that a node says, over dimensions of these sizes."""
    rank = len(sizes)
    stride = node.integers("strides", [1] * rank)
    dilation = node.integers("dilations", [1] * rank)
    pads = node.integers("pads", [0] * 2 * rank)
    auto = node.text("auto_pad", "NOTSET")
    if not len(kernel) == len(stride) == len(dilation) == rank or len(pads) != 2 * rank or min(*stride, *dilation, *kernel) < 1:
        node.wrong(f"kernel {list(kernel)}, strides {stride}, dilations {dilation}, pads {pads} over {list(sizes)}")
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    before, after, extra = pads[:rank], pads[rank:], [0] * rank
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        for axis, (size, step) in enumerate(zip(sizes, stride, strict=True)):
            total = max((-(-size // step) - 1) * step + reach[axis] - size, 0)
            small, large = total // 2, total - total // 2
            before[axis], after[axis] = (small, large) if auto == "SAME_UPPER" else (large, small)
    elif auto == "VALID":
        before, after = [0] * rank, [0] * rank
    elif node.integer("ceil_mode", 0):
        for axis, (size, step) in enumerate(zip(sizes, stride, strict=True)):
            padded = size + before[axis] + after[axis]
            count = -(-(padded - reach[axis]) // step) + 1
            if (count - 1) * step >= size + before[axis]:
                count -= 1  # a window that begins in the padding behind does not exist
            extra[axis] = max((count - 1) * step + reach[axis] - padded, 0)
    return Frame(tuple(kernel), tuple(stride), tuple(dilation), tuple(before), tuple(after), tuple(extra))


def _images(x: Tensor) -> Tensor:
    """(n, c, w) as (n, c, 1, w)."""
    return reshape(x, (*x.shape[:2], 1, x.shape[2])) if x.ndim == 3 else x


def _back(made: Tensor, rank: int) -> Tensor:
    return reshape(made, (*made.shape[:2], made.shape[3])) if rank == 3 else made


def convolved(node: OnnxNode, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution in floats."""
    if x.ndim == 5:
        volume = frame_of(node, x.shape[2:], weight.shape[2:])
        sides = (*volume.before, *volume.after)
        groups = node.integer("group", 1)
        return conv3d(x, weight, bias, stride=volume.stride, pad=sides, dilation=volume.dilation, groups=groups)
    frame = frame_of(node, x.shape[2:], weight.shape[2:]).with_height()
    made = conv(
        _images(x), _images(weight), bias, stride=frame.stride, pad=frame.sides, dilation=frame.dilation, groups=node.integer("group", 1)
    )
    return _back(made, x.ndim)


def _conv(node: OnnxNode) -> Result:
    from bmlang.importers.onnx.families.quantised import conv_of_codes

    _check_rank(node.shape(0))
    found = conv_of_codes(node)
    return found if found is not None else convolved(node, node.tensor(0), node.tensor(1), node.optional(2))


def _conv_transpose(node: OnnxNode) -> Result:
    _check_rank(node.shape(0))
    x, weight = node.tensor(0), node.tensor(1)
    rank = x.ndim - 2
    kernel = weight.shape[2:]
    frame = frame_of(node, x.shape[2:], kernel)
    before, after = list(frame.before), list(frame.after)
    added = node.integers("output_padding", [0] * rank)
    shape = node.integers("output_shape", [])
    auto = node.text("auto_pad", "NOTSET")
    for axis in range(rank):
        whole = (x.shape[2 + axis] - 1) * frame.stride[axis] + (kernel[axis] - 1) * frame.dilation[axis] + 1 + added[axis]
        if shape or auto.startswith("SAME"):
            wanted = shape[-rank:][axis] if shape else x.shape[2 + axis] * frame.stride[axis]
            total = max(whole - wanted, 0)
            added[axis] += max(wanted - whole, 0)
            small, large = total // 2, total - total // 2
            before[axis], after[axis] = (small, large) if auto == "SAME_UPPER" else (large, small)
    if rank == 3:
        return deconv3d(
            x,
            weight,
            node.optional(2),
            stride=frame.stride,
            pad=(*before, *after),
            dilation=frame.dilation,
            output_padding=added,
            groups=node.integer("group", 1),
        )
    two = Frame(kernel, frame.stride, frame.dilation, tuple(before), tuple(after), (0,) * rank).with_height()
    made = deconv(
        _images(x),
        _images(weight),
        node.optional(2),
        stride=two.stride,
        pad=two.sides,
        dilation=two.dilation,
        output_padding=added if rank == 2 else (0, *added),
        groups=node.integer("group", 1),
    )
    return _back(made, x.ndim)


Pool: TypeAlias = Callable[[Tensor, Frame], Tensor]


def _pooled(x: Tensor, frame: Frame, pool: Pool) -> Tensor:
    """Windows over one, two or three dimensions behind the channels, as one pool over two of them after the other."""
    if x.ndim == 5:
        n, c, d, h, w = x.shape
        planes = pool(reshape(x, (n, c * d, h, w)), frame.part(1, 2))
        h, w = planes.shape[2:]
        found = pool(reshape(planes, (n, c, d, h * w)), frame.part(0))
        return reshape(found, (n, c, found.shape[2], h, w))
    return _back(pool(_images(x), frame.with_height()), x.ndim)


def _max_pool(node: OnnxNode) -> Result:
    if node.wants(1):
        return _max_pool_with_places(node)
    found = node.value(0)
    x = found.integers if isinstance(found, Quantised) and found.codes.scale.size == 1 else node.tensor(0)
    _check_rank(x.shape)
    made = _pooled(x, frame_of(node, x.shape[2:], node.integers("kernel_shape")), _largest)
    return Quantised(made, found.codes, found.element) if isinstance(found, Quantised) and x is found.integers else made


def _max_pool_with_places(node: OnnxNode) -> Result:
    """The places count through the whole of x: those within an image and channel, and where these begin."""
    x = node.tensor(0)
    _check_rank(x.shape)
    frame = frame_of(node, x.shape[2:], node.integers("kernel_shape"))
    if x.ndim == 5 or any(step != 1 for step in frame.dilation) or node.integer("storage_order", 0):
        raise NotSupported("the places of the largest elements of volumes, of windows with gaps, or counted along columns")
    frame, images = frame.with_height(), _images(x)
    n, c, h, w = images.shape
    largest, places = max_pool_with_index(images, frame.kernel, stride=frame.stride, pad=frame.sides)
    begins = (np.arange(n * c, dtype=np.int32) * (h * w)).reshape(n, c, 1, 1)
    return [_back(largest, x.ndim), Live(_back(add(places, begins), x.ndim), INT64)]


def _check_rank(shape: Sequence[int]) -> None:
    if not 3 <= len(shape) <= 5:
        raise NotSupported(f"windows over {len(shape) - 2} dimensions")


def _largest(x: Tensor, frame: Frame) -> Tensor:
    """The largest element of each window; where windows have gaps: of as many copies of x as a window has elements."""
    if all(step == 1 for step in frame.dilation):
        return max_pool(x, frame.kernel, stride=frame.stride, pad=frame.sides)
    top, left, bottom, right = frame.sides
    low = float(np.finfo(np.float32).min) if x.dtype.is_float else float(x.dtype.limits[0])
    padded = pad(x, (0, 0, top, left), (0, 0, bottom, right), low)
    reach = [(size - 1) * step for size, step in zip(frame.kernel, frame.dilation, strict=True)]
    made: Tensor | None = None
    for places in product(*map(range, frame.kernel)):
        part = padded
        for axis, (place, step) in enumerate(zip(places, frame.dilation, strict=True)):
            part = cut(part, 2 + axis, place * step, padded.shape[2 + axis] - reach[axis])
            part = strided(part, 2 + axis, frame.stride[axis])
        made = part if made is None else larger(made, part)
    assert made is not None  # noqa: S101
    return made


def _sums(x: Tensor, frame: Frame) -> Tensor:
    """The sum of each window."""
    if all(step == 1 for step in frame.dilation):
        return mul(avg_pool(x, frame.kernel, stride=frame.stride, pad=frame.sides), float(prod(frame.kernel)))
    channels = x.shape[1]
    ones = np.ones((channels, 1, *frame.kernel), x.dtype.numpy)
    return conv(x, ones, stride=frame.stride, pad=frame.sides, dilation=frame.dilation, groups=channels)


def _counts(sizes: Sequence[int], frame: Frame, *, include_pad: bool) -> NDArray[np.float64]:
    """How many elements of each window count: those of x, and with `include_pad` those of the padding that the node says."""
    found = np.ones(())
    for axis, size in enumerate(sizes):
        low, high, extra = frame.before[axis], frame.after[axis], frame.extra[axis]
        counted = np.pad(np.full(size, 1.0), (low, high), constant_values=float(include_pad))
        counted = np.pad(counted, (0, extra))
        reach = (frame.kernel[axis] - 1) * frame.dilation[axis] + 1
        windows = np.lib.stride_tricks.sliding_window_view(counted, reach)[:: frame.stride[axis], :: frame.dilation[axis]]
        found = found[..., None] * windows.sum(-1)
    return found


def _averages(node: OnnxNode, x: Tensor) -> Tensor:
    frame = frame_of(node, x.shape[2:], node.integers("kernel_shape"))
    include_pad = bool(node.integer("count_include_pad", 0))
    plain = all(step == 1 for step in frame.dilation)
    if plain and (include_pad or not any((*frame.before, *frame.after))) and not any(frame.extra):
        return _pooled(x, frame, lambda part, two: avg_pool(part, two.kernel, stride=two.stride, pad=two.sides))
    many = _counts(x.shape[2:], frame, include_pad=include_pad)
    return mul(_pooled(x, frame, _sums), (1 / many).astype(x.dtype.numpy)[None, None])


def _avg_pool(node: OnnxNode) -> Result:
    x = node.tensor(0)
    _check_rank(x.shape)
    return _averages(node, x)


def _lp_pool(node: OnnxNode) -> Result:
    x, power = abs(node.tensor(0)), node.integer("p", 2)
    _check_rank(x.shape)
    frame = frame_of(node, x.shape[2:], node.integers("kernel_shape"))
    return _root(_pooled(_powers(x, power), frame, _sums), power)


def _powers(x: Tensor, power: int) -> Tensor:
    return x if power == 1 else mul(x, x) if power == 2 else exp(mul(log(larger(x, 1e-30)), float(power)))


def _root(sums: Tensor, power: int) -> Tensor:
    return sums if power == 1 else sqrt(sums) if power == 2 else exp(mul(log(larger(sums, 1e-30)), 1 / power))


def _global(node: OnnxNode, function: object) -> Result:
    x = node.tensor(0)
    axes = tuple(range(2, x.ndim))
    return reduce_mean(x, axes, True) if function == "mean" else reduce_max(x, axes, True)


def _global_lp(node: OnnxNode) -> Result:
    x, power = abs(node.tensor(0)), node.integer("p", 2)
    return _root(reduce_sum(_powers(x, power), tuple(range(2, x.ndim)), True), power)


TABLE: Final[Mapping[str, Handler]] = {
    "AveragePool": _avg_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": lambda node: _global(node, "mean"),
    "GlobalLpPool": _global_lp,
    "GlobalMaxPool": lambda node: _global(node, "max"),
    "LpPool": _lp_pool,
    "MaxPool": _max_pool,
}
