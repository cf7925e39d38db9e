"""Normalisations."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

import numpy as np

from bmlang.importers.onnx.families.shapes import cut
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.importers.onnx.values import Known
from bmlang.layers.activations import exp, log, rsqrt
from bmlang.layers.arrange import pad
from bmlang.layers.cast import cast
from bmlang.layers.elementwise import add, mul, square, sub
from bmlang.layers.norm import batch_norm, layer_norm, rms_norm
from bmlang.layers.reduce import reduce_mean
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor
from tpukernel.dtypes import f32

__all__ = ["TABLE"]


def _channels(node: OnnxNode, index: int, rank: int) -> Tensor:
    """An input with one number for each channel, to be broadcast."""
    x = node.tensor(index)
    return reshape(x, (1, x.shape[0], *(1,) * (rank - 2)))


def _batch_norm(node: OnnxNode) -> Result:
    x, eps = node.tensor(0), node.number("epsilon", 1e-5)
    if node.integer("training_mode", 0):
        return _training(node, x, eps)
    if node.wants(1) and node.opset >= 14:
        node.wrong("several outputs without training mode")
    if x.ndim >= 2 and all(isinstance(node.value(index), Known) for index in range(1, 5)):
        weight, bias, mean, variance = (node.known(index) for index in range(1, 5))
        return batch_norm(x, mean, variance, weight, bias, eps=eps)
    weight, bias, mean, variance = (_channels(node, index, x.ndim) for index in range(1, 5))
    return _normalised(x, mean, variance, weight, bias, eps)


def _normalised(x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    factor = mul(weight, rsqrt(add(variance, eps)))
    return add(mul(sub(x, mean), factor), bias)


def _training(node: OnnxNode, x: Tensor, eps: float) -> Result:
    """With the average and variance of the input, which also change the running ones."""
    momentum = node.number("momentum", 0.9)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    mean = x
    for axis in axes:
        mean = reduce_mean(mean, axis, True)
    variance = square(sub(x, mean))
    for axis in axes:
        variance = reduce_mean(variance, axis, True)
    weight, bias = (_channels(node, index, x.ndim) for index in (1, 2))
    y = _normalised(x, mean, variance, weight, bias, eps)
    running = [
        add(mul(node.tensor(3 + place), momentum), mul(reshape(each, (-1,)), 1 - momentum)) for place, each in enumerate((mean, variance))
    ]
    return [y, *running]


def _instance_norm(node: OnnxNode) -> Result:
    x = node.tensor(0)
    rows = layer_norm(reshape(x, (*x.shape[:2], prod(x.shape[2:]))), eps=node.number("epsilon", 1e-5))
    return add(mul(reshape(rows, x.shape), _channels(node, 1, x.ndim)), _channels(node, 2, x.ndim))


def _group_norm(node: OnnxNode) -> Result:
    x, groups = node.tensor(0), node.integer("num_groups")
    channels = x.shape[1]
    rows = layer_norm(reshape(x, (x.shape[0], groups, prod(x.shape[1:]) // groups)), eps=node.number("epsilon", 1e-5))
    made = reshape(rows, x.shape)
    for index, join in ((1, mul), (2, add)):
        numbers = node.tensor(index)
        if numbers.shape[0] != channels:  # before version 21 there is one number for each group
            rows = reshape(numbers, (groups, 1))
            numbers = reshape(mul(rows, np.ones((groups, channels // groups), x.dtype.numpy)), (channels,))
        made = join(made, reshape(numbers, (1, channels, *(1,) * (x.ndim - 2))))
    return made


def _layer_norm(node: OnnxNode) -> Result:
    x, axis, eps = node.tensor(0), node.axis(-1), node.number("epsilon", 1e-5)
    rest = x.shape[axis:]
    weight, bias = node.tensor(1), node.optional(2)
    if any(each is not None and each.shape != rest for each in (weight, bias)):
        y = layer_norm(x, axis=axis, eps=eps)
        y = mul(y, weight)
        y = y if bias is None else add(y, bias)
    else:
        y = layer_norm(x, weight, bias, axis=axis, eps=eps)
    if not node.wants(1) and not node.wants(2):
        return y
    wide = x if x.dtype == f32 else cast(x, f32)
    axes = tuple(range(axis, x.ndim))
    mean = reduce_mean(wide, axes, True)
    variance = reduce_mean(square(sub(wide, mean)), axes, True)
    return [y, mean, rsqrt(add(variance, eps))]


def _rms_norm(node: OnnxNode) -> Result:
    x, axis, eps = node.tensor(0), node.axis(-1), node.number("epsilon", 1e-5)
    weight = node.tensor(1)
    if weight.shape == x.shape[axis:] and weight.dtype == x.dtype:
        return rms_norm(x, weight, axis=axis, eps=eps)
    made = rms_norm(x, axis=axis, eps=eps)
    return mul(made if made.dtype == weight.dtype else cast(made, weight.dtype), weight)


def _lrn(node: OnnxNode) -> Result:
    x, size = node.tensor(0), node.integer("size")
    alpha, beta, bias = node.number("alpha", 1e-4), node.number("beta", 0.75), node.number("bias", 1.0)
    if size < 1 or size > 64:
        raise NotSupported(f"a window of {size} channels")
    low, high = (size - 1) // 2, size - 1 - (size - 1) // 2
    nothing = [0] * x.ndim
    squares = pad(square(x), [0, low, *nothing[2:]], [0, high, *nothing[2:]])
    total = cut(squares, 1, 0, x.shape[1])
    for place in range(1, size):
        total = add(total, cut(squares, 1, place, x.shape[1]))
    return mul(x, exp(mul(log(add(mul(total, alpha / size), bias)), -beta)))


TABLE: Final[Mapping[str, Handler]] = {
    "BatchNormalization": _batch_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _lrn,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
}
