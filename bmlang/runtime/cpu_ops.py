"""Operators that run on the host, by the number that a BModel has for them.

The parameters are those of the official host library as they lie in memory (`CpuParam.binary_param`). `cpu_operator` registers a further
operator.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np

from bmlang.runtime.errors import CpuOperatorError
from tpukernel.sim.memory import Array

__all__ = ["CPU_OPERATORS", "CpuOperator", "cpu_operator", "topk"]

CpuOperator = Callable[[bytes, Sequence[Array]], Sequence[Array]]
"""Takes the parameters and the inputs, returns the outputs; of these a subnet may list only the first ones."""
_Function = TypeVar("_Function", bound=CpuOperator)

CPU_OPERATORS: Final[dict[int, CpuOperator]] = {}
"""Operators by number."""

_TOPK = struct.Struct("<ii???")


def cpu_operator(number: int) -> Callable[[_Function], _Function]:
    """Registers the decorated function as the operator of that number.

    Raises:
        ValueError: the number is taken.
    """

    def register(function: _Function) -> _Function:
        if number in CPU_OPERATORS:
            raise ValueError(f"host operator {number} is registered already")
        CPU_OPERATORS[number] = function
        return function

    return register


@cpu_operator(17)
def topk(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """The k largest (or smallest) elements along an axis, and their indices; of equal ones the first comes first.

    Parameters (libsophon's `cpu_topk_param_t`): int32 k (-1 for all), int32 axis, bool sorted (by value, else by index), bool descending,
    bool values_used_only (without effect). The official host library of tpu-mlir 1.30 was seen to return the largest elements also where
    `descending` is false; here these are the smallest.

    Raises:
        CpuOperatorError: there is not one float32 input, or the parameters do not fit it.
    """
    if len(parameters) < _TOPK.size:
        raise CpuOperatorError(f"topk has {len(parameters)} bytes of parameters instead of {_TOPK.size}")
    k, axis, by_value, descending, _ = _TOPK.unpack_from(parameters)
    if len(inputs) != 1 or inputs[0].dtype != np.float32:
        raise CpuOperatorError(f"topk has inputs {[str(array.dtype) for array in inputs]} instead of one of float32")
    (x,) = inputs
    if not -x.ndim <= axis < x.ndim or not (k == -1 or 0 <= k <= x.shape[axis]):
        raise CpuOperatorError(f"topk of {k} along axis {axis} of shape {x.shape} is not possible")
    k = x.shape[axis] if k == -1 else k
    keys = -np.asarray(x, np.float32) if descending else x
    indices = np.take(np.argsort(keys, axis=axis, kind="stable"), range(k), axis=axis)
    if not by_value:
        indices = np.sort(indices, axis=axis)
    values = np.take_along_axis(x, indices, axis=axis)
    return values, indices.astype(np.int32)
