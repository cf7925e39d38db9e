"""Random functions that put their dimensions into other orders, between layers of many kinds."""

from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import strategies as st

import bmlang as bm
from bmlang.graph.graph import Array, Graph
from bmlang.layers.tensor import Tensor, Tracer
from bmlang.program.outputs import with_output_names

__all__ = ["moving_graphs", "whole"]

SIZES = (1, 2, 3, 4, 6, 18)
KINDS = (
    *("arg", "broadcast", "concat", "conv", "depthwise", "heads", "heads", "join", "join", "linear", "max", "norm", "pad"),
    *("permute", "permute", "permute", "permute", "product", "self", "slice", "softmax", "split", "split", "sum", "tile", "turned back"),
)
"""Some of them several times: they are drawn more often."""


def whole(shape: tuple[int, ...], seed: int) -> Array:
    """Small whole numbers: sums of them are exact in any order."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


@st.composite
def _node(draw: st.DrawFn, x: Tensor, seed: int) -> Tensor:
    """A node behind a tensor."""
    rank, shape = x.ndim, x.shape
    axis = draw(st.integers(0, rank - 1))
    order = tuple(draw(st.permutations(range(rank))))
    match draw(st.sampled_from(KINDS)):
        case "permute":
            return bm.permute(x, order)
        case "split":
            part = draw(st.sampled_from([size for size in (1, 2, 3) if shape[axis] % size == 0]))
            return bm.reshape(x, (*shape[:axis], part, shape[axis] // part, *shape[axis + 1 :])) if rank < 5 else x
        case "join" if rank > 1:
            place = min(axis, rank - 2)
            return bm.reshape(x, (*shape[:place], shape[place] * shape[place + 1], *shape[place + 2 :]))
        case "broadcast":
            operand = tuple(size if draw(st.booleans()) else 1 for size in shape)[draw(st.integers(0, rank - 1)) :]
            return x * whole(operand, seed) + whole(operand, seed + 1)
        case "self":
            return x + bm.relu(x)
        case "turned back":
            moved = bm.permute(bm.relu(bm.permute(x, order)), [order.index(place) for place in range(rank)])
            return moved + x
        case "concat" if shape[axis] < 9:
            return bm.concat([x, whole(shape, seed), x], axis)
        case "slice":
            start = draw(st.integers(0, shape[axis] - 1))
            return bm.slice(
                x,
                [start if place == axis else 0 for place in range(rank)],
                [draw(st.integers(1, size - start)) if place == axis else size for place, size in enumerate(shape)],
            )
        case "pad" if shape[axis] < 9:
            return bm.pad(x, [place == axis for place in range(rank)], [2 * (place == axis) for place in range(rank)], 1.0)
        case "tile" if shape[axis] < 5:
            return bm.tile(x, [2 if place == axis else 1 for place in range(rank)])
        case "max":
            return bm.reduce_max(x, axis, keepdims=draw(st.booleans()))
        case "sum":
            return bm.reduce_sum(x, axis, keepdims=draw(st.booleans()))
        case "softmax":
            return bm.round(bm.softmax(x, axis) * 8.0)
        case "norm":
            return bm.round(bm.layer_norm(x, axis=axis) * 4.0)
        case "arg":
            return bm.cast(bm.argmax(x, axis, keepdims=True), bm.f32)
        case "linear" if rank > 1:
            turned = draw(st.booleans())
            weight = whole((5, shape[-1]) if turned else (shape[-1], 5), seed)
            return bm.matmul(x, weight, whole((5,), seed) if draw(st.booleans()) else None, transpose_b=turned)
        case "heads" if rank > 1 and 16 < prod(shape[:-1]) < 40:
            rows = bm.reshape(x, draw(st.sampled_from([(-1, shape[-1]), (1, -1, shape[-1]), (prod(shape[:-1]), 1, shape[-1])])))
            wide = bm.matmul(rows, whole((shape[-1], 48), seed)) + whole((48,), seed)
            return bm.permute(bm.reshape(wide, (*shape[:-1], 3, 16)), (rank - 1, *range(rank - 1), rank))
        case "product" if rank > 1:
            return bm.matmul(x, x, transpose_a=True) if draw(st.booleans()) else bm.matmul(x, x, transpose_b=True)
        case "conv" if rank == 4:
            weight = whole((draw(st.sampled_from([4, 6])), shape[1], 1, 1), seed)
            return bm.conv(x, weight, whole((weight.shape[0],), seed))
        case "depthwise" if rank == 4:
            return bm.conv(x, whole((shape[1], 1, 1, 2), seed), pad=(0, 1, 0, 0), groups=shape[1])
        case _:
            return abs(x)


@st.composite
def moving_graphs(draw: st.DrawFn, most: int = 8) -> Graph:
    """Functions of many kinds of nodes, with dimensions in other orders between them."""
    shape = tuple(draw(st.lists(st.sampled_from(SIZES), min_size=2, max_size=4)))
    tracer = Tracer("moving")
    known = [tracer.input("x", bm.spec(shape))]
    for seed in range(draw(st.integers(2, most))):
        x = draw(st.sampled_from(known[-2:]))
        made = draw(_node(x, seed))
        if prod(made.shape) < 2000:
            known.append(bm.min(bm.max(made, -64.0), 64.0) if seed % 2 else made)
    outputs = [known[-1], *draw(st.lists(st.sampled_from(known), max_size=2))]
    names = [f"output_{k}" for k in range(len(outputs))]
    return with_output_names(tracer.graph(dict(zip(names, outputs, strict=True))), names)
