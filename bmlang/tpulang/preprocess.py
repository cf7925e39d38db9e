"""Preprocess operators."""

from __future__ import annotations

from collections.abc import Sequence

import bmlang as bm
from bmlang.tpulang.dtypes import DTYPES, rounding_named
from bmlang.tpulang.operator import check, made, needs, operator, value
from bmlang.tpulang.tensor import Tensor

__all__ = ["mean_std_scale"]

HALVES = {"half_up": ("down", 0.5), "half_down": ("up", -0.5)}
"""Roundings that the chip has for shifts only, as others of a number that is moved by so many steps."""


@operator
def mean_std_scale(
    input: Tensor,
    std: Sequence[float],
    mean: Sequence[float],
    scale: Sequence[float] | None = None,
    zero_points: Sequence[int] | None = None,
    out_name: str | None = None,
    odtype: str = "float16",
    round_mode: str = "half_away_from_zero",
) -> Tensor:
    """(x - mean) / std of each channel, as floats or as integers of a scale.

    Args:
        input: (n, c, h, w) or (n, c, d, h, w), float32, int8 or uint8.
        std, mean: c numbers.
        scale: what a step of the input and of the result means.
        zero_points: the integers of both that mean 0.
        out_name: name of the result.
        odtype: "float32", "float16", "int8" or "uint8".
        round_mode: of integers; float16 is always rounded to the nearest even.
    """
    needs(input, "float32", "int8", "uint8")
    channels = input.shape[1]
    check(len(input.shape) in (4, 5), f"{input.name} {input.shape}", "give a tensor (n, c, h, w) or (n, c, d, h, w)")
    check(
        len(std) == len(mean) == channels and all(std),
        f"{len(std)} deviations and {len(mean)} means",
        f"give {channels} numbers, no deviation 0",
    )
    check(odtype in ("float32", "float16", "int8", "uint8"), f"odtype is {odtype}", "choose float32, float16, int8 or uint8")
    steps = [1.0, 1.0] if scale is None else [float(each) for each in scale]
    points = [0, 0] if zero_points is None else list(zero_points)
    check(len(steps) == len(points) == 2 and all(steps), f"scale {steps} and zero_points {points}", "give two of each")
    # ((x - point) * step - mean) / std, with integers that stand for numbers as for others.
    inputs = [points[0] + each / steps[0] for each in mean]
    deviations = [each / steps[0] for each in std]
    rounding, more = HALVES.get(rounding_named(round_mode), (rounding_named(round_mode), 0.0))
    if odtype.startswith("float"):
        return made(bm.mean_std_scale(value(input), inputs, deviations, DTYPES[odtype]), out_name)
    moved = [each - more * steps[1] * deviation for each, deviation in zip(inputs, deviations, strict=True)]
    found = bm.mean_std_scale(value(input), moved, deviations, DTYPES[odtype], scale=abs(steps[1]), zero_point=points[1], rounding=rounding)
    return made(found, out_name, abs(steps[1]), points[1])
