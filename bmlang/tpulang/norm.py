"""Normalization operators."""

from __future__ import annotations

from collections.abc import Sequence

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.operator import FLOATS, check, known, made, needs, operator, value
from bmlang.tpulang.tensor import Tensor

__all__ = ["batch_norm", "group_norm", "layer_norm", "normalize", "rms_norm"]


@operator
def batch_norm(
    input: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
    out_name: str | None = None,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta with numbers of each channel.

    Args:
        input: (n, c, ...), float32 or float16.
        mean, variance, gamma, beta: coefficients with c numbers; gamma is 1 and beta 0 by default.
        epsilon: at least 0.
        out_name: name of the result.
    """
    _floats(input, epsilon)
    numbers = [_row(each, input, what) for each, what in ((mean, "mean"), (variance, "variance"), (gamma, "gamma"), (beta, "beta"))]
    means, variances = numbers[:2]
    assert means is not None and variances is not None  # noqa: S101
    return made(bm.batch_norm(value(input), means, variances, numbers[2], numbers[3], eps=epsilon), out_name)


@operator
def layer_norm(
    input: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
    axis: int = 2,
    out_name: str | None = None,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta over the dimensions from `axis` on.

    Args:
        input: float32 or float16.
        gamma, beta: of the shape of these dimensions, or as many numbers.
        epsilon: at least 0.
        axis: the first dimension.
        out_name: name of the result.
    """
    _floats(input, epsilon)
    rank = len(input.shape)
    check(-rank <= axis < rank, f"axis is {axis}", f"give a number from {-rank} to {rank - 1}")
    shape = input.shape[axis % rank :]
    return made(bm.layer_norm(value(input), _factor(gamma, input, shape), _factor(beta, input, shape), axis=axis, eps=epsilon), out_name)


@operator
def group_norm(
    input: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
    num_groups: int = 1,
    out_name: str | None = None,
) -> Tensor:
    """Layer normalisation over groups of the channels, then times gamma and plus beta of each channel.

    Args:
        input: (n, c, ...), float32 or float16.
        gamma, beta: coefficients with c numbers.
        epsilon: at least 0.
        num_groups: a divisor of c.
        out_name: name of the result.
    """
    _floats(input, epsilon)
    return made(bm.group_norm(value(input), num_groups, _row(gamma, input, "gamma"), _row(beta, input, "beta"), eps=epsilon), out_name)


@operator
def rms_norm(input: Tensor, gamma: Tensor | None = None, epsilon: float = 1e-5, axis: int = -1, out_name: str | None = None) -> Tensor:
    """x / sqrt(mean of x * x + epsilon) * gamma over the dimensions from `axis` on.

    Args:
        input: float32 or float16.
        gamma: of the shape of these dimensions.
        epsilon: at least 0.
        axis: the first dimension; TpuLang has the last one only.
        out_name: name of the result.
    """
    _floats(input, epsilon)
    rank = len(input.shape)
    check(-rank <= axis < rank, f"axis is {axis}", f"give a number from {-rank} to {rank - 1}")
    return made(bm.rms_norm(value(input), _factor(gamma, input, input.shape[axis % rank :]), axis=axis, eps=epsilon), out_name)


@operator
def normalize(input: Tensor, p: float = 2.0, axes: Sequence[int] | int = 1, eps: float = 1e-12, out_name: str | None = None) -> Tensor:
    """x / max(norm of order p over neighbouring dimensions, eps).

    Args:
        input: float32 or float16.
        p: the order, above 0.
        axes: the dimensions.
        eps: the smallest divisor.
        out_name: name of the result.
    """
    _floats(input, eps)
    check(p > 0, f"p is {p}", "give a number above 0")
    return made(bm.normalize(value(input), p, axes, eps), out_name)


def _floats(input: Tensor, epsilon: float) -> None:
    needs(input, *FLOATS)
    check(epsilon >= 0, f"epsilon is {epsilon}", "give 0 or more")


def _row(given: Tensor | None, input: Tensor, what: str) -> Array | None:
    return None if given is None else known(given, what).reshape(-1).astype(input.kind.numpy)


def _factor(given: Tensor | None, input: Tensor, shape: Sequence[int]) -> Value | None:
    return None if given is None else bm.cast(bm.reshape(value(given), shape), input.kind)
