"""Functions of one number, element by element."""

from __future__ import annotations

from collections.abc import Callable
from math import erf as _erf

import numpy as np
from numpy.typing import NDArray

from bmlang.layers.base import FLOATS
from bmlang.layers.elementwise import Elementwise, named, wide
from bmlang.layers.registry import add
from bmlang.layers.tensor import Operand, Tensor, apply
from tpukernel.dtypes import Dtype, f32

__all__ = ["exp", "gelu", "relu", "sigmoid", "tanh"]

Wide = NDArray[np.float64]
SERIES_OPERATIONS = 20
"""Elementwise operations that a function made of a series takes, about."""


def _register(name: str, numpy: Callable[[Wide], Wide], dtypes: tuple[Dtype, ...] = (f32,), operations: int = SERIES_OPERATIONS) -> None:
    layer = Elementwise(
        name=f"bm::{name}",
        inputs=("x",),
        numpy=wide(numpy),
        compute=named(name),
        dtypes=dtypes,
        operations=operations,
        work_buffers=0 if operations == 1 else 4,
    )
    add(layer, __name__)


_register("relu", lambda x: np.maximum(x, 0), FLOATS, 1)
_register("exp", np.exp)
_register("sigmoid", lambda x: 1 / (1 + np.exp(-x)))
_register("tanh", np.tanh)
_register("gelu", lambda x: x * 0.5 * (1 + np.vectorize(_erf, otypes=[np.float64])(x / np.sqrt(2))))


def relu(x: Operand) -> Tensor:
    """The larger one of x and 0."""
    return apply("bm::relu", x)


def exp(x: Operand) -> Tensor:
    """e to the power of x, computed in f32."""
    return apply("bm::exp", x)


def sigmoid(x: Operand) -> Tensor:
    """1 / (1 + exp(-x)), computed in f32."""
    return apply("bm::sigmoid", x)


def tanh(x: Operand) -> Tensor:
    """The hyperbolic tangent of x, computed in f32."""
    return apply("bm::tanh", x)


def gelu(x: Operand) -> Tensor:
    """x * 0.5 * (1 + erf(x / sqrt(2))), computed in f32."""
    return apply("bm::gelu", x)
