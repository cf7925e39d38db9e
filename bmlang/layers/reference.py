"""Nodes computed in numpy, rounded to the data types of their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from bmlang.graph.graph import Array, Graph, Node
from bmlang.layers.registry import layer_of
from tpukernel.dtypes import Dtype
from tpukernel.lang.signature import TensorSpec

__all__ = ["evaluated", "rounded", "run_reference", "shaped"]


def run_reference(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Every tensor of a graph for these inputs, by name."""
    values: dict[str, Array] = {**graph.constants, **inputs}
    for node in graph.nodes:
        found = evaluated(node, [values[name] if name else None for name in node.inputs], [graph.specs[name] for name in node.outputs])
        values.update(zip(node.outputs, found, strict=True))
    return values


def evaluated(node: Node, inputs: Sequence[Array | None], specs: Sequence[TensorSpec]) -> list[Array]:
    """The results of a node."""
    with np.errstate(all="ignore"):
        made = layer_of(node.op).reference(inputs, node.attrs)
    arrays = [made] if isinstance(made, np.ndarray | np.generic) else list(made)
    return [shaped(rounded(np.asarray(array), spec.dtype), spec) for array, spec in zip(arrays, specs, strict=True)]


def shaped(array: Array, spec: TensorSpec) -> Array:
    """A result in its shape; one whose size depends on data has fewer elements than its spec says."""
    fewer = array.ndim == len(spec.shape) and array.size < prod(spec.shape)
    return array if fewer and all(size <= most for size, most in zip(array.shape, spec.shape, strict=True)) else array.reshape(spec.shape)


def rounded(array: Array, dtype: Dtype) -> Array:
    """An array in a data type: floats rounded, integers rounded to the nearest (halves away from zero) and limited."""
    if dtype.is_float or array.dtype == dtype.numpy:
        with np.errstate(all="ignore"):
            return array.astype(dtype.numpy)
    wide = array.astype(np.float64) if np.issubdtype(array.dtype, np.floating) else array
    if wide.dtype == np.float64:
        wide = np.trunc(wide + np.copysign(0.5, wide))
    return np.clip(wide, *dtype.limits).astype(dtype.numpy)
