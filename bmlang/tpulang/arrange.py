"""Data arrange operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

import bmlang as bm
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.dtypes import dtype_named, rounding_named
from bmlang.tpulang.operator import check, known, made, needs, number_of, operator
from bmlang.tpulang.operator import value as value_of
from bmlang.tpulang.scaled import Meaning, from_numbers, numbers
from bmlang.tpulang.tensor import Scalar, Tensor

__all__ = ["broadcast", "concat", "cumsum", "extract", "pad", "permute", "repeat", "roll", "slice", "split", "tile"]

Places = NDArray[np.int64]
PADDED: Final[Mapping[str, Callable[[Places, int], Places]]] = {
    "reflect": lambda places, size: np.minimum(np.abs(places), 2 * size - 2 - np.abs(places)),
    "symmetric": lambda places, size: np.minimum(np.maximum(places, -1 - places), 2 * size - 1 - np.maximum(places, -1 - places)),
    "edge": lambda places, size: places.clip(0, size - 1),
}
"""Which element stands at a place before (below 0) or behind a dimension of some size."""


@operator
def permute(input: Tensor, order: Sequence[int], out_name: str | None = None) -> Tensor:
    """The tensor with its dimensions in another order: dimension k of the result is dimension order[k] of the input."""
    return _same(input, bm.permute(value_of(input), order), out_name)


@operator
def tile(input: Tensor, reps: Sequence[int], out_name: str | None = None) -> Tensor:
    """The tensor so many times along each dimension."""
    return _same(input, bm.tile(value_of(input), reps), out_name)


@operator
def broadcast(input: Tensor, reps: Sequence[int], out_name: str | None = None) -> Tensor:
    """The tensor repeated to the common shape of its own and `reps`, which are sizes, as numpy broadcasts."""
    try:
        shape = np.broadcast_shapes(tuple(input.shape), tuple(reps))
    except ValueError:
        shape = ()
    check(bool(shape), f"{input.name} has shape {input.shape}, reps are {list(reps)}", "give sizes that are equal, or 1")
    return _same(input, bm.broadcast_to(value_of(input), shape), out_name)


@operator
def concat(
    inputs: Sequence[Tensor],
    scales: Sequence[float] | None = None,
    zero_points: Sequence[int] | None = None,
    axis: int = 0,
    out_name: str | None = None,
    dtype: str = "float32",
    round_mode: str = "half_away_from_zero",
) -> Tensor:
    """Tensors one behind the other along a dimension.

    Args:
        inputs: two or more of one type.
        scales, zero_points: of integers that stand for numbers: of each input, and that of the result at the end. Inputs of another scale
            are brought to it.
        axis: the dimension.
        out_name: name of the result.
        dtype: the type of the result, which is that of the inputs; TpuLang reads from it only whether `scales` has the scale of the result.
        round_mode: of inputs that are brought to another scale.
    """
    check(len(inputs) > 1, f"{len(inputs)} inputs", "give two or more")
    rounding = rounding_named(round_mode, floats=True)
    dtype_named(dtype)
    if scales is None:
        return _same(inputs[0], bm.concat([value_of(each) for each in inputs], axis), out_name)
    points = [0] * len(scales) if zero_points is None else list(zero_points)
    check(
        len(scales) == len(points) == len(inputs) + 1, f"scales {list(scales)} and zero_points {points}", f"give {len(inputs) + 1} of each"
    )
    *means, target = (Meaning(np.abs(float(step)).item(), int(point)) for step, point in zip(scales, points, strict=True))
    parts: list[Value] = []
    for tensor, meaning in zip(inputs, means, strict=True):
        tensor.quantization(meaning.scale, meaning.zero_point)
        part = value_of(tensor)
        parts.append(part if meaning == target else from_numbers(numbers(part, meaning), target, tensor.dtype, rounding))
    return made(bm.concat(parts, axis), out_name, target.scale, target.zero_point)


@operator
def split(input: Tensor, axis: int = 0, num: int = 1, size: Sequence[int] = (), out_name: str | None = None) -> list[Tensor]:
    """The tensor cut along a dimension into parts, called `<out_name>_0`, `<out_name>_1`, ...

    Args:
        input: the tensor.
        axis: the dimension.
        num: number of parts.
        size: sizes of the parts; equal ones by default.
        out_name: beginning of the names.
    """
    axis = _axis(input, axis)
    length = input.shape[axis]
    sizes = list(size) or [length // num] * num
    check(
        len(sizes) == num > 1 and sum(sizes) == length,
        f"{num} parts of sizes {sizes} of {length} elements",
        "give sizes that make up the whole",
    )
    parts = bm.split(value_of(input), sizes, axis)
    return [_same(input, part, None if out_name is None else f"{out_name}_{place}") for place, part in enumerate(parts)]


@operator
def slice(
    input: Tensor,
    starts: int | Sequence[int],
    ends: int | Sequence[int],
    steps: int | Sequence[int] | None = None,
    axes: int | Sequence[int] | None = None,
    out_name: str | None = None,
) -> Tensor:
    """Elements from `starts` to `ends`, without the last, in `steps`; negative numbers count from the back, as in Python.

    Args:
        input: the tensor.
        starts, ends, steps: for each of `axes`; a number for one.
        axes: the dimensions; the first ones by default.
        out_name: name of the result.
    """
    first, last = _several(starts), _several(ends)
    step = [1] * len(first) if steps is None else _several(steps)
    along = list(range(len(first))) if axes is None else [_axis(input, axis) for axis in _several(axes)]
    check(
        len(first) == len(last) == len(step) == len(along),
        f"{len(first)} starts, {len(last)} ends, {len(step)} steps",
        "give as many of each",
    )
    check(0 not in step, f"steps {step}", "give steps other than 0")
    spans = dict(zip(along, zip(first, last, step, strict=True), strict=True))
    start, end, stride = zip(*(spans.get(axis, (None, None, 1)) for axis in range(len(input.shape))), strict=True)
    return _same(input, bm.extract(value_of(input), start, end, stride), out_name)


@operator
def extract(
    input: Tensor,
    start: Sequence[int] | None = None,
    end: Sequence[int] | None = None,
    stride: Sequence[int] | None = None,
    out_name: str | None = None,
) -> Tensor:
    """`slice` over all dimensions: start (0), end (the shape) and stride (1) of each."""
    rank = len(input.shape)
    spans = [list(given or default) for given, default in ((start, [0] * rank), (end, input.shape), (stride, [1] * rank))]
    check(all(len(span) == rank for span in spans), f"start, end, stride are {spans}", f"give {rank} numbers")
    check(0 not in spans[2], f"stride {spans[2]}", "give strides other than 0")
    return _same(input, bm.extract(value_of(input), *spans), out_name)


@operator
def pad(
    input: Tensor,
    method: str = "constant",
    value: Scalar | float | None = None,
    padding: Sequence[int] | None = None,
    out_name: str | None = None,
) -> Tensor:
    """The tensor with elements more around it.

    Args:
        input: the tensor.
        method: "constant"; "reflect" for the elements next to the border in reverse, "symmetric" for the same with the border, "edge" for
            the border again and again.
        value: what is added with "constant"; 0 by default.
        padding: how many elements before each dimension, then how many behind each.
        out_name: name of the result.
    """
    rank = len(input.shape)
    check(method == "constant" or method in PADDED, f"method is {method!r}", f"choose from constant, {', '.join(PADDED)}")
    counts = [0] * 2 * rank if padding is None else list(padding)
    check(len(counts) == 2 * rank and min(counts) >= 0, f"padding is {counts}", f"give {2 * rank} numbers, none negative")
    before, after = counts[:rank], counts[rank:]
    found = value_of(input)
    if method == "constant":
        return _same(input, bm.pad(found, before, after, 0 if value is None else number_of(value)), out_name)
    for axis, span in enumerate(zip(before, after, strict=True)):
        if span != (0, 0):
            size = found.shape[axis]
            most = {"reflect": size - 1, "symmetric": size}.get(method, max(span))
            check(max(span) <= most, f"padding {span} of {size} elements", "reflect no more than there is")
            found = bm.gather(found, np.asarray(PADDED[method](np.arange(-span[0], size + span[1]), size), np.int32), axis)
    return _same(input, found, out_name)


@operator
def repeat(input: Tensor, reps: Tensor, out_name: str | None = None) -> Tensor:
    """The tensor so many times along each dimension, as `tile`.

    Args:
        input: the tensor.
        reps: a coefficient with a whole number for each dimension.
        out_name: name of the result.
    """
    times = known(reps, "reps").reshape(-1)
    counts = times.astype(np.int64)
    right = bool(np.all(counts == times)) and counts.size == len(input.shape)
    check(right, f"reps are {times.tolist()}", "give a whole number for each dimension")
    return _same(input, bm.tile(value_of(input), counts.tolist()), out_name)


@operator
def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None, out_name: str | None = None) -> Tensor:
    """The tensor moved along dimensions; what leaves it at the end comes in at the beginning.

    Args:
        input: the tensor.
        shifts: by how much.
        dims: along which dimensions; all elements as one row by default.
        out_name: name of the result.
    """
    moves, along = _several(shifts), None if dims is None else _several(dims)
    check(len(moves) == (1 if along is None else len(along)), f"shifts {moves} along {along}", "give a shift for each dimension")
    return _same(input, bm.roll(value_of(input), moves[0] if along is None else moves, along), out_name)


@operator
def cumsum(input: Tensor, axis: int = -1, out_name: str | None = None) -> Tensor:
    """The sum of all elements up to each one along a dimension; floats."""
    needs(input, "float32", "float16", "bfloat16", "int32")
    return made(bm.cumsum(value_of(input), _axis(input, axis)), out_name)


def _same(input: Tensor, found: Value, out_name: str | None) -> Tensor:
    """A result whose integers mean what those of the input do."""
    return made(found, out_name, input.scale, input.zero_point)


def _several(given: int | Sequence[int]) -> list[int]:
    return [given] if isinstance(given, int) else list(given)


def _axis(input: Tensor, axis: int) -> int:
    rank = len(input.shape)
    check(-rank <= axis < rank, f"dimension {axis} of {input.name} {input.shape}", f"give a number from {-rank} to {rank - 1}")
    return axis % rank
