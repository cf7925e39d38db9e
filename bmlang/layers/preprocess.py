"""Images on their way into a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bmlang.graph.graph import Array
from bmlang.layers.cast import cast
from bmlang.layers.errors import OperatorArgumentError
from bmlang.layers.integers import along
from bmlang.layers.quantise import quantise
from bmlang.layers.tensor import Tensor, apply, here
from tpukernel.dtypes import Dtype, dtype_of, f32

__all__ = ["mean_std_scale"]

Numbers = float | Sequence[float] | Array


def mean_std_scale(
    x: Tensor,
    mean: Numbers,
    std: Numbers,
    dtype: Dtype | str = f32,
    *,
    scale: float = 1.0,
    zero_point: int = 0,
    rounding: str = "half_away_from_zero",
) -> Tensor:
    """(x - mean) / std of each channel, in f32; as integers also over a scale.

    Args:
        x: (n, c, ...), any type.
        mean, std: a number, or one for each channel; std is not 0.
        dtype: of the result: f32, f16, bf16, or i8, u8, i16, u16.
        scale, zero_point: of results that are integers, as of `quantise`.
        rounding: of the last step, as of `cast`.
    """
    target = dtype_of(dtype)
    shift, spread = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if not (np.isfinite(shift).all() and np.isfinite(spread).all() and spread.all()):
        raise OperatorArgumentError(f"mean {mean!r} and std {std!r}", position=here(), help="give numbers; those of std are not 0")
    if target.is_float and (scale != 1 or zero_point):
        raise OperatorArgumentError(
            f"mean_std_scale to {target.name} with a scale or zero point", position=here(), help="leave them out: integers have them"
        )
    factor, moved = (along("an argument of mean_std_scale", each, x.shape, 1) for each in (1 / spread, -shift / spread))
    numbers = x if x.dtype == f32 else cast(x, f32)
    found = apply("bm::add", apply("bm::mul", numbers, factor.astype(np.float32)), moved.astype(np.float32))
    if target.is_int:
        return quantise(found, scale, zero_point, target, rounding=rounding)
    return found if target == f32 else cast(found, target, rounding)
