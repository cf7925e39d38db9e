"""Random functions of BMLang, as graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

import bmlang as bm
from bmlang.graph.graph import Array, Graph
from bmlang.layers.tensor import Tensor, Tracer, apply
from bmlang.program.outputs import with_output_names
from tpukernel.dtypes import Dtype

__all__ = ["arrays_for", "graphs", "shapes"]

UNARY = ("abs", "neg", "relu", "square", "sigmoid", "tanh")
BINARY = ("add", "sub", "mul", "max", "min")
SIZES = (1, 2, 3, 5, 63, 64, 65, 130)
"""Edges of lanes among them."""


@st.composite
def shapes(draw: st.DrawFn, most: int = 40_000) -> tuple[int, ...]:
    """Shapes of up to four dimensions with at most so many elements."""
    found: list[int] = []
    left = most
    for _ in range(draw(st.integers(1, 4))):
        size = draw(st.sampled_from([size for size in SIZES if size <= left]))
        found.append(size)
        left //= size
    return tuple(found)


@st.composite
def _operand_shape(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that is repeated to another one."""
    kept = [size if draw(st.integers(0, 3)) else 1 for size in shape]
    return tuple(kept[draw(st.integers(0, len(shape) - 1)) :])


@st.composite
def _constant(draw: st.DrawFn, shape: tuple[int, ...]) -> Array | float:
    if draw(st.booleans()):
        return draw(st.sampled_from([0.5, -1.0, 3.0]))
    sizes = draw(_operand_shape(shape))
    return np.linspace(-2, 2, int(np.prod(sizes)), dtype=np.float32).reshape(sizes)


@st.composite
def graphs(draw: st.DrawFn, dtypes: Sequence[Dtype] = (bm.f32,), nodes: int = 6, most: int = 40_000) -> Graph:
    """Functions of elementwise operators on inputs of shapes that are repeated to each other, convolutions among them.

    Args:
        draw: given by hypothesis.
        dtypes: data types of the inputs.
        nodes: the largest number of operators.
        most: elements of the largest input.
    """
    shape = draw(shapes(most))
    dtype = draw(st.sampled_from(list(dtypes)))
    tracer = Tracer("random_function")
    inputs = [tracer.input("x", bm.spec(shape, dtype))]
    inputs += [tracer.input(f"y{k}", bm.spec(draw(_operand_shape(shape)), dtype)) for k in range(draw(st.integers(0, 2)))]
    known = list(inputs)
    for _ in range(draw(st.integers(1, nodes))):
        known.append(draw(_node(known, shape)))
    outputs = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
    return with_output_names(
        tracer.graph({f"output_{k}": each for k, each in enumerate(outputs)}), [f"output_{k}" for k in range(len(outputs))]
    )


@st.composite
def _node(draw: st.DrawFn, known: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    x = draw(st.sampled_from(known))
    kind = draw(st.sampled_from(["unary", "binary", "constant", "cast", "conv"]))
    if kind == "conv" and x.ndim == 4 and x.dtype in (bm.f32, bm.f16) and x.shape[1] <= 8:
        weight = np.linspace(-1, 1, 3 * x.shape[1], dtype=np.float32).astype(x.dtype.numpy).reshape(3, x.shape[1], 1, 1)
        return apply("bm::conv", x, weight)
    same = [each for each in known if each.dtype == x.dtype and _fit(each.shape, x.shape)]
    if kind == "binary":
        return apply(f"bm::{draw(st.sampled_from(BINARY))}", x, draw(st.sampled_from(same)))
    if kind == "constant":
        value = draw(_constant(shape))
        if isinstance(value, np.ndarray):
            value = value.astype(x.dtype.numpy) if _fit(value.shape, x.shape) else 1.0
        return apply(f"bm::{draw(st.sampled_from(BINARY))}", x, 2 if x.dtype.is_int else value)
    if kind == "cast":
        return bm.cast(x, draw(st.sampled_from([bm.f32, bm.f16, bm.bf16])))
    return x + x if x.dtype.is_int else apply(f"bm::{draw(st.sampled_from(UNARY))}", x)


def _fit(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(one, other)
    except ValueError:
        return False
    return True


def arrays_for(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Inputs of a graph: numbers from -4 to 4."""
    random = np.random.default_rng(seed)
    return {name: random.uniform(-4, 4, graph.specs[name].shape).astype(graph.specs[name].dtype.numpy) for name in graph.inputs}
