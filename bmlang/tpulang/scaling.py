"""Up/down scaling operators: pooling, reduction, repetition of pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import bmlang as bm
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.dtypes import rounding_named
from bmlang.tpulang.operator import BYTES, FLOATS, check, is_bytes, lists, made, needs, operator, value
from bmlang.tpulang.scaled import Meaning, from_numbers, meanings, numbers, through
from bmlang.tpulang.tensor import Tensor

__all__ = ["avgpool2d", "avgpool3d", "maxpool2d", "maxpool2d_with_mask", "maxpool3d", "reduce", "upsample"]

Lengths = Sequence[int] | None
Scales = Sequence[float] | None
Points = Sequence[int] | None


@operator
def maxpool2d(
    input: Tensor,
    kernel: Lengths = None,
    stride: Lengths = None,
    pad: Lengths = None,
    ceil_mode: bool = False,
    scale: Scales = None,
    zero_point: Points = None,
    out_name: str | None = None,
    round_mode: str = "half_away_from_zero",
) -> Tensor:
    """The largest element of each window; padding does not count.

    Args:
        input: (n, c, h, w), float32, float16, int8 or uint8.
        kernel: rows and columns of a window; all of them by default.
        stride: rows and columns from one window to the next, 1 by default.
        pad: rows and columns around the input: top, left, bottom, right.
        ceil_mode: windows that are partly outside count, too, if they begin inside.
        scale: what a step of the input and of the result means, for integers that stand for numbers.
        zero_point: the integers of both that mean 0.
        out_name: name of the result.
        round_mode: of integers that are brought to another scale.
    """
    needs(input, *FLOATS, *BYTES)
    found = bm.max_pool(value(input), **_windows(2, input, kernel, stride, pad), ceil_mode=ceil_mode)
    return _rescaled(found, input, meanings(scale, zero_point, (input,)), out_name, round_mode)


@operator
def maxpool2d_with_mask(
    input: Tensor,
    kernel: Lengths = None,
    stride: Lengths = None,
    pad: Lengths = None,
    ceil_mode: bool = False,
    out_name: str | None = None,
    mask_name: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The largest element of each window of `maxpool2d`, and its place in the plane of its channel (row * w + column), int32."""
    needs(input, "float32")
    largest, places = bm.max_pool_with_index(value(input), **_windows(2, input, kernel, stride, pad), ceil_mode=ceil_mode)
    return made(largest, out_name), made(places, mask_name)


@operator
def maxpool3d(
    input: Tensor,
    kernel: Sequence[int] | int | None = None,
    stride: Sequence[int] | int | None = None,
    pad: Sequence[int] | int | None = None,
    ceil_mode: bool = False,
    scale: Scales = None,
    zero_point: Points = None,
    out_name: str | None = None,
    round_mode: str = "half_away_from_zero",
) -> Tensor:
    """`maxpool2d` over depth, rows and columns of (n, c, d, h, w); pad is front, top, left, back, bottom, right."""
    needs(input, *FLOATS, *BYTES)
    found = bm.max_pool3d(value(input), **_windows(3, input, kernel, stride, pad), ceil_mode=ceil_mode)
    return _rescaled(found, input, meanings(scale, zero_point, (input,)), out_name, round_mode)


@operator
def avgpool2d(
    input: Tensor,
    kernel: Lengths = None,
    stride: Lengths = None,
    pad: Lengths = None,
    ceil_mode: bool = False,
    scale: Scales = None,
    zero_point: Points = None,
    out_name: str | None = None,
    count_include_pad: bool = False,
    round_mode: str = "half_away_from_zero",
    first_round_mode: str = "half_away_from_zero",
) -> Tensor:
    """The average of each window.

    Args:
        input, kernel, stride, pad, ceil_mode, scale, zero_point, out_name: as of `maxpool2d`.
        count_include_pad: padding counts as zeros, or not at all.
        round_mode: of integers of the result; they are rounded once.
        first_round_mode: of a first rounding, which is not there.
    """
    needs(input, *FLOATS, *BYTES)
    rounding_named(first_round_mode)
    windows = _windows(2, input, kernel, stride, pad)
    if not is_bytes(input):
        return made(bm.avg_pool(value(input), **windows, ceil_mode=ceil_mode, count_include_pad=count_include_pad), out_name)
    means = meanings(scale, zero_point, (input,))
    source, target = means or (Meaning(1.0), Meaning(1.0))
    found = bm.avg_pool_int(
        value(input),
        **windows,
        scale=source.scale / target.scale,
        zero_points=(source.zero_point, target.zero_point),
        dtype=input.kind,
        rounding=rounding_named(round_mode, floats=True),
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )
    return made(found, out_name) if means is None else made(found, out_name, target.scale, target.zero_point)


@operator
def avgpool3d(
    input: Tensor,
    kernel: Sequence[int] | int | None = None,
    stride: Sequence[int] | int | None = None,
    pad: Sequence[int] | int | None = None,
    ceil_mode: bool = False,
    scale: Scales = None,
    zero_point: Points = None,
    out_name: str | None = None,
    count_include_pad: bool = False,
    round_mode: str = "half_away_from_zero",
    first_round_mode: str = "half_away_from_zero",
) -> Tensor:
    """`avgpool2d` over depth, rows and columns of (n, c, d, h, w); pad is front, top, left, back, bottom, right."""
    needs(input, *FLOATS, *BYTES)
    rounding_named(first_round_mode)
    windows = _windows(3, input, kernel, stride, pad)

    def average(x: Value) -> Value:
        return bm.avg_pool3d(x, **windows, ceil_mode=ceil_mode, count_include_pad=count_include_pad)

    if not is_bytes(input):
        return made(average(value(input)), out_name)
    means = meanings(scale, zero_point, (input,))
    source, target = means or (Meaning(1.0), Meaning(1.0))
    found = through(value(input), average, source, target, input.dtype, rounding_named(round_mode, floats=True))
    return made(found, out_name) if means is None else made(found, out_name, target.scale, target.zero_point)


@operator
def upsample(input: Tensor, scale: int = 2, out_name: str | None = None) -> Tensor:
    """Each pixel of (n, c, h, w) repeated so many times in both directions; any type."""
    check(scale >= 1 and len(input.shape) == 4, f"scale {scale} of {input.shape}", "give a whole number, and a tensor (n, c, h, w)")
    return made(bm.upsample(value(input), scale), out_name, input.scale, input.zero_point)


@operator
def reduce(
    input: Tensor, method: str = "ReduceSum", axes: Sequence[int] | int = (1, 2), keep_dims: bool = True, out_name: str | None = None
) -> Tensor:
    """One number made of all elements along dimensions.

    Args:
        input: float32 or float16.
        method: "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1" or "ReduceL2".
        axes: the dimensions.
        keep_dims: whether they stay, with size 1.
        out_name: name of the result.
    """
    needs(input, *FLOATS)
    check(method in REDUCTIONS, f"method is {method!r}", f"choose from {', '.join(REDUCTIONS)}")
    rank = len(input.shape)
    along = [axes] if isinstance(axes, int) else list(axes)
    check(bool(along) and all(-rank <= axis < rank for axis in along), f"axes are {along}", f"give numbers from {-rank} to {rank - 1}")
    found = REDUCTIONS[method](value(input), sorted({axis % rank for axis in along}))
    kept = [size for axis, size in enumerate(found.shape) if axis not in {axis % rank for axis in along}]
    return made(found if keep_dims else bm.reshape(found, kept or [1]), out_name)


def _over(function: Callable[..., Value]) -> Callable[[Value, list[int]], Value]:
    """A reduction of `bmlang`, which is over neighbouring dimensions, over any of them."""

    def reduced(x: Value, axes: list[int]) -> Value:
        runs: list[list[int]] = []
        for axis in axes:
            if runs and runs[-1][-1] == axis - 1:
                runs[-1].append(axis)
            else:
                runs.append([axis])
        for run in runs:
            x = function(x, run, True)
        return x

    return reduced


def _product(x: Value, axes: list[int]) -> Value:
    """The product along dimensions: halves times halves."""
    for axis in axes:
        while (size := x.shape[axis]) > 1:
            half = size // 2
            parts = bm.split(x, [half, half, size % 2] if size % 2 else [half, half], axis)
            product = parts[0] * parts[1]
            x = bm.concat([product, parts[2]], axis) if size % 2 else product
    return x


REDUCTIONS: Final[Mapping[str, Callable[[Value, list[int]], Value]]] = {
    "ReduceSum": _over(bm.reduce_sum),
    "ReduceMean": _over(bm.reduce_mean),
    "ReduceMax": _over(bm.reduce_max),
    "ReduceMin": _over(bm.reduce_min),
    "ReduceProd": _product,
    "ReduceL1": lambda x, axes: _over(bm.reduce_sum)(bm.abs(x), axes),
    "ReduceL2": lambda x, axes: bm.sqrt(_over(bm.reduce_sum)(bm.square(x), axes)),
}


def _windows(
    rank: int,
    input: Tensor,
    kernel: Sequence[int] | int | None,
    stride: Sequence[int] | int | None,
    pad: Sequence[int] | int | None,
) -> dict[str, list[int]]:
    """Windows over the last dimensions, with what TpuLang leaves out: all of them, one by one, without padding."""
    names = "(n, c, h, w)" if rank == 2 else "(n, c, d, h, w)"
    check(len(input.shape) == rank + 2, f"{input.name} has shape {input.shape}", f"give a tensor {names}")
    return {
        "kernel": lists(kernel or None, input.shape[2:], "kernel"),
        "stride": lists(stride, [1] * rank, "stride"),
        "pad": lists(pad, [0] * 2 * rank, "pad"),
    }


def _rescaled(found: Value, input: Tensor, means: list[Meaning] | None, out_name: str | None, round_mode: str) -> Tensor:
    """A result in the scale of the input, brought to that of the result."""
    rounding = rounding_named(round_mode, floats=True)
    if means is None:
        return made(found, out_name, input.scale, input.zero_point)
    source, target = means
    if source != target:
        found = from_numbers(numbers(found, source), target, input.dtype, rounding)
    return made(found, out_name, target.scale, target.zero_point)
