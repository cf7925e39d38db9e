"""Layers that put elements elsewhere: joining, cutting, padding, repeating, and other orders of the dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.dims import is_one, same_sizes
from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Layer, LocalForm
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.pad_forms import pad_form
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.registry import register
from bmlang.layers.shape import reshape, unsqueeze
from bmlang.layers.swap_forms import swap_form
from bmlang.layers.system import System, copy_box, fill
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import DTYPES
from tpukernel.lang.builder import Builder
from tpukernel.lang.signature import TensorSpec

__all__ = [
    "Concat",
    "Pad",
    "Slice",
    "Swap",
    "Tile",
    "broadcast_to",
    "concat",
    "pad",
    "permute",
    "slice",
    "split",
    "stack",
    "tile",
    "transpose",
]

EVERY = tuple(DTYPES.values())


class _Moving(Layer):
    """A layer that copies elements as they are."""

    dtypes = EVERY

    def source(self, inputs: Sequence[TensorSpec | None]) -> TensorSpec:
        """Spec of the first input."""
        x = inputs[0]
        assert x is not None  # noqa: S101
        return x


@register
class Concat(_Moving):
    """Tensors one behind the other along a dimension."""

    name = "bm::concat"
    inputs = ("x", "more*")
    defaults: Mapping[str, object] = {"axis": ...}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        given = [spec for spec in inputs if spec is not None]
        first, axis = given[0], axis_of("concat", len(given[0].shape), attrs["axis"])
        dtype = common_dtype("concat", given, EVERY)
        for spec in given[1:]:
            if len(spec.shape) != len(first.shape) or any(
                a != b for k, (a, b) in enumerate(zip(spec.shape, first.shape, strict=True)) if k != axis
            ):
                told = " and ".join(str(list(each.shape)) for each in given)
                raise ShapeError(f"concat of {told} along dimension {axis}", position=here(), help="all other sizes are equal")
        return TensorSpec((*first.shape[:axis], sum(spec.shape[axis] for spec in given), *first.shape[axis + 1 :]), dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        return np.concatenate([each for each in inputs if each is not None], cast("int", attrs["axis"]))

    def joined(self, call: Call) -> Sequence[int] | None:
        shapes = [spec.shape for spec in call.inputs if spec is not None]
        axis = axis_of("concat", len(shapes[0]), call.attrs["axis"])
        sizes = [prod(shape) for shape in shapes]
        return [sum(sizes[:place]) for place in range(len(sizes))] if prod(shapes[0][:axis]) == 1 else None

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        (out,), offset = outs, 0
        rank = len(out.spec.shape)
        axis = axis_of("concat", rank, call.attrs["axis"])
        for index, each in enumerate(ins):
            if each is not None:
                to = tuple(offset if place == axis else 0 for place in range(rank))
                copy_box(k, out, to, each, (0,) * rank, each.spec.shape)
            offset += call.spec(index).shape[axis]


@register
class Slice(_Moving):
    """A box of x."""

    name = "bm::slice"
    defaults: Mapping[str, object] = {"start": ..., "size": ...}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x = self.source(inputs)
        start, size = cast("tuple[int, ...]", attrs["start"]), cast("tuple[int, ...]", attrs["size"])
        inside = all(first >= 0 and count > 0 and first + count <= whole for first, count, whole in zip(start, size, x.shape, strict=False))
        if len(start) != len(x.shape) or len(size) != len(x.shape) or not inside:
            raise ShapeError(
                f"x {list(x.shape)} has no box of {list(size)} at {list(start)}",
                position=here(),
                help="stay inside, with one size of 1 or more per dimension",
            )
        return TensorSpec(size, x.dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x = inputs[0]
        assert x is not None  # noqa: S101
        start, size = cast("tuple[int, ...]", attrs["start"]), cast("tuple[int, ...]", attrs["size"])
        return x[tuple(np.s_[first : first + count] for first, count in zip(start, size, strict=True))]

    def lies_at(self, call: Call) -> int | None:
        start, size, whole = cast("tuple[int, ...]", call.attrs["start"]), cast("tuple[int, ...]", call.attrs["size"]), call.spec(0).shape
        first = next((axis for axis, count in enumerate(size) if count > 1), len(size))
        if size[first + 1 :] != whole[first + 1 :]:
            return None
        return sum(begin * prod(whole[axis + 1 :]) for axis, begin in enumerate(start))

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        (out,), (x,) = outs, ins
        assert x is not None  # noqa: S101
        start, size = cast("tuple[int, ...]", call.attrs["start"]), cast("tuple[int, ...]", call.attrs["size"])
        copy_box(k, out, (0,) * len(size), x, start, size)


@register
class Pad(_Moving):
    """x with elements of one value around it."""

    name = "bm::pad"
    defaults: Mapping[str, object] = {"before": ..., "after": ..., "value": 0.0}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x = self.source(inputs)
        before, after = cast("tuple[int, ...]", attrs["before"]), cast("tuple[int, ...]", attrs["after"])
        if not len(before) == len(after) == len(x.shape) or min(*before, *after) < 0:
            raise ShapeError(
                f"x {list(x.shape)} padded by {before} and {after}", position=here(), help="give one number of 0 or more per dimension"
            )
        return TensorSpec(tuple(a + size + b for a, size, b in zip(before, x.shape, after, strict=True)), x.dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x = inputs[0]
        assert x is not None  # noqa: S101
        before, after = cast("tuple[int, ...]", attrs["before"]), cast("tuple[int, ...]", attrs["after"])
        widths = list(zip(before, after, strict=True))
        return np.pad(x, widths, constant_values=np.asarray(attrs["value"], x.dtype))

    def local(self, call: Call) -> LocalForm | None:
        return pad_form(call, cast("tuple[int, ...]", call.attrs["before"]), cast("float", call.attrs["value"]))

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        (out,), (x,) = outs, ins
        assert x is not None  # noqa: S101
        fill(k, out, cast("float", call.attrs["value"]))
        copy_box(k, out, cast("tuple[int, ...]", call.attrs["before"]), x, (0,) * len(x.spec.shape), x.spec.shape)


@register
class Tile(_Moving):
    """x several times along each dimension."""

    name = "bm::tile"
    defaults: Mapping[str, object] = {"repeats": ...}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x = self.source(inputs)
        repeats = cast("tuple[int, ...]", attrs["repeats"])
        if len(repeats) != len(x.shape) or any(count < 1 for count in repeats):
            raise ShapeError(
                f"x {list(x.shape)} repeated {repeats} times", position=here(), help="give one number of 1 or more per dimension"
            )
        return TensorSpec(tuple(size * count for size, count in zip(x.shape, repeats, strict=True)), x.dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x = inputs[0]
        assert x is not None  # noqa: S101
        return np.tile(x, cast("tuple[int, ...]", attrs["repeats"]))

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        (out,), (x,) = outs, ins
        assert x is not None  # noqa: S101
        filled, origin = list(x.spec.shape), (0,) * len(x.spec.shape)
        copy_box(k, out, origin, x, origin, filled)
        for axis in reversed(range(len(filled))):  # what is there is copied behind itself: few commands for many repeats
            whole = out.spec.shape[axis]
            while filled[axis] < whole:
                size = [*filled[:axis], min(filled[axis], whole - filled[axis]), *filled[axis + 1 :]]
                copy_box(k, out, [filled[axis] if place == axis else 0 for place in range(len(filled))], out, origin, size)
                filled[axis] += size[axis]


@register
class Swap(_Moving):
    """x, seen as (outer, a, b, inner), with a and b exchanged: (outer, b, a, inner)."""

    name = "bm::swap"
    defaults: Mapping[str, object] = {"sizes": ..., "shape": ...}

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        return TensorSpec(cast("tuple[int, ...]", attrs["shape"]), self.source(inputs).dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x = inputs[0]
        assert x is not None  # noqa: S101
        return x.reshape(cast("tuple[int, ...]", attrs["sizes"])).transpose(0, 2, 1, 3).reshape(cast("tuple[int, ...]", attrs["shape"]))

    def local(self, call: Call) -> LocalForm | None:
        outer, a, b, inner = cast("tuple[int, int, int, int]", call.attrs["sizes"])
        return swap_form(call, outer, a, b) if inner == 1 else None

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        (out,), (x,) = outs, ins
        assert x is not None  # noqa: S101
        outer, a, b, inner = cast("tuple[int, int, int, int]", call.attrs["sizes"])
        h, w = _factors(inner)
        step = 32768
        for place, first, start in product(range(outer), range(0, a, step), range(0, b, step)):
            rows, columns = np.s_[first : min(first + step, a)], np.s_[start : min(start + step, b)]
            block = place * a * b * inner
            k.dma.transpose(out.view(block, (b, a, h, w))[columns, rows], x.view(block, (a, b, h, w))[rows, columns], "nc")


def _factors(size: int) -> tuple[int, int]:
    """A size as rows and columns of at most 65535."""
    return next(((size // width, width) for width in range(min(size, 65535), 0, -1) if size % width == 0), (size, 1))


def axis_of(name: str, rank: int, axis: Attribute) -> int:
    """A dimension, counted from the front.

    Raises:
        OperatorArgumentError: there is none of that number.
    """
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise OperatorArgumentError(f"axis {axis!r} of {name}", position=here(), help=f"give a dimension from 0 to {rank - 1}")
    return axis % rank


def concat(tensors: Sequence[Operand], axis: int) -> Tensor:
    """Tensors one behind the other along a dimension."""
    return apply("bm::concat", *tensors, axis=axis)


def slice(x: Tensor, start: Sequence[int], size: Sequence[int]) -> Tensor:
    """The box of x of this size that begins at an element."""
    return apply("bm::slice", x, start=tuple(start), size=tuple(size))


def split(x: Tensor, sizes: Sequence[int], axis: int) -> list[Tensor]:
    """x cut along a dimension into parts of these sizes."""
    place = axis_of("split", x.ndim, axis)
    if sum(sizes) != x.shape[place]:
        raise ShapeError(
            f"x {list(x.shape)} cut into {list(sizes)} along dimension {place}", position=here(), help="the sizes add up to the dimension"
        )
    found: list[Tensor] = []
    start = 0
    for size in sizes:
        begin = [start if axis_ == place else 0 for axis_ in range(x.ndim)]
        found.append(slice(x, begin, [size if axis_ == place else whole for axis_, whole in enumerate(x.shape)]))
        start += size
    return found


def pad(x: Tensor, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> Tensor:
    """x with so many elements of a value before and behind it along each dimension."""
    return apply("bm::pad", x, before=tuple(before), after=tuple(after), value=value)


def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x repeated to a shape, as numpy broadcasts."""
    wanted = tuple(shape)
    aligned = (1,) * (len(wanted) - x.ndim) + x.shape
    if len(aligned) != len(wanted) or any(
        (not is_one(mine) and mine != size) or size < 1 for mine, size in zip(aligned, wanted, strict=True)
    ):
        raise ShapeError(
            f"x {list(x.shape)} cannot be repeated to {list(wanted)}", position=here(), help="sizes are equal, or those of x are 1"
        )
    if aligned != x.shape:
        x = reshape(x, aligned)
    if same_sizes(aligned, wanted):
        return x
    return tile(x, [size if is_one(mine) else 1 for size, mine in zip(wanted, aligned, strict=True)])


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape as one tensor with a dimension more, at `axis` of the result."""
    return concat([unsqueeze(each, axis) for each in tensors], axis)


def tile(x: Tensor, repeats: Sequence[int]) -> Tensor:
    """x so many times along each dimension."""
    return apply("bm::tile", x, repeats=tuple(repeats))


def permute(x: Tensor, order: Sequence[int]) -> Tensor:
    """x with its dimensions in another order."""
    if sorted(order) != list(range(x.ndim)):
        raise OperatorArgumentError(
            f"order {list(order)} of permute of x {list(x.shape)}", position=here(), help="name each dimension once"
        )
    wanted = tuple(x.shape[axis] for axis in order)
    current = [axis for axis in range(x.ndim) if not is_one(x.shape[axis])]
    target = [axis for axis in order if not is_one(x.shape[axis])]
    found, sizes = x, dict(enumerate(x.shape))
    while current != target:
        found, current = _swapped(found, current, target, sizes)
    return found if same_sizes(found.shape, wanted) else reshape(found, wanted)


def _swapped(x: Tensor, current: Sequence[int], target: Sequence[int], sizes: Mapping[int, int]) -> tuple[Tensor, list[int]]:
    """One exchange of neighbouring blocks: the longest block of the target that can be brought to its place."""
    first = next(place for place, (one, other) in enumerate(zip(current, target, strict=True)) if one != other)
    begin = current.index(target[first])
    end = begin
    while end < len(current) and first + end - begin < len(target) and current[end] == target[first + end - begin]:
        end += 1
    outer, a, b, inner = (list(current[:first]), list(current[first:begin]), list(current[begin:end]), list(current[end:]))
    new = [*outer, *b, *a, *inner]
    counts = tuple(prod(sizes[axis] for axis in block) for block in (outer, a, b, inner))
    return apply("bm::swap", x, sizes=counts, shape=tuple(sizes[axis] for axis in new) or (1,)), new


def transpose(x: Tensor, one: int, other: int) -> Tensor:
    """x with two dimensions exchanged."""
    order = list(range(x.ndim))
    a, b = axis_of("transpose", x.ndim, one), axis_of("transpose", x.ndim, other)
    order[a], order[b] = order[b], order[a]
    return permute(x, order)
