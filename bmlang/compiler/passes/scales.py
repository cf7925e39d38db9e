"""Factors and summands of channels behind a convolution become a part of its weights: what normalisations with known statistics are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array, Graph, Node, unused_name
from tpukernel.dtypes import Dtype, dtype_of
from tpukernel.lang.signature import TensorSpec

__all__ = ["fold_scales"]

Wide = NDArray[np.float64]
Change = Callable[[Wide, Wide, Wide], tuple[Wide, Wide]]
"""Weights (a row for each output channel) and biases, from those before and a number for each channel."""
CHANGES: Final[Mapping[str, Change]] = {
    "bm::mul": lambda weight, bias, number: (weight * number[:, None], bias * number),
    "bm::add": lambda weight, bias, number: (weight, bias + number),
    "bm::sub": lambda weight, bias, number: (weight, bias - number),
}
"""What weights and bias become, by the operator behind the convolution."""
OUTPUT_CHANNELS: Final = {"bm::conv": 0, "bm::deconv": 1}
"""Products with known weights, and the dimension of these along which the output channels lie."""


def fold_scales(graph: Graph, mode: Dtype) -> Graph:
    """The graph in which convolutions with known weights have taken over what is done to each channel of their results.

    Weights and biases are computed in float64 and rounded once for each step, so that results differ in their last bits from those of
    separate operators. Where weights would leave the range of `mode`, nothing is changed.
    """
    return _Folding(graph, mode).run()


class _Folding:
    def __init__(self, graph: Graph, mode: Dtype) -> None:
        self._graph, self._mode = graph, mode
        self._users = graph.users()
        self._nodes: list[Node] = []
        self._places: dict[str, int] = {}
        self._specs = dict(graph.specs)
        self._constants = dict(graph.constants)

    def run(self) -> Graph:
        for node in self._graph.nodes:
            if not self._fold(node):
                self._nodes.append(node)
                self._places.update(dict.fromkeys(node.outputs, len(self._nodes) - 1))
        return self._graph.with_nodes(self._nodes, specs=self._specs, constants=self._constants)

    def _fold(self, node: Node) -> bool:
        """Whether the node became a part of the convolution whose result it takes."""
        if node.op not in CHANGES:
            return False
        for source, number in ((node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0]))[: 1 if node.op == "bm::sub" else 2]:
            conv = self._convolution(source)
            numbers = None if conv is None else self._numbers(number, self._graph.specs[source], self._graph.specs[node.outputs[0]])
            if conv is None or numbers is None:
                continue
            changed = self._changed(conv, CHANGES[node.op], numbers)
            if changed is None:
                continue
            place = self._places[source]
            self._nodes[place] = replace(changed, outputs=node.outputs)
            self._places[node.outputs[0]] = place
            return True
        return False

    def _convolution(self, name: str) -> Node | None:
        """The node that makes a tensor which only one other node takes, if it is a product with known weights."""
        place = self._places.get(name)
        if place is None or len(self._users.get(name, ())) != 1 or name in self._graph.outputs:
            return None
        node = self._nodes[place]
        if node.op not in OUTPUT_CHANNELS or not all(each in self._constants for each in node.inputs[1:] if each):
            return None
        return (
            node if node.op == "bm::conv" or node.attrs["groups"] == 1 else None
        )  # of a deconv in groups, channels lie along two dimensions

    def _numbers(self, name: str, source: TensorSpec, result: TensorSpec) -> Wide | None:
        """A number for each channel, if that is what a tensor is."""
        value = self._constants.get(name)
        if value is None or result.shape != source.shape:
            return None
        shape = (1,) * (len(source.shape) - value.ndim) + value.shape
        if len(shape) != len(source.shape) or any(size != 1 for axis, size in enumerate(shape) if axis != 1):
            return None
        return np.broadcast_to(value.astype(np.float64).reshape(-1), (source.shape[1],))

    def _changed(self, conv: Node, change: Change, numbers: Wide) -> Node | None:
        axis = OUTPUT_CHANNELS[conv.op]
        old = self._constants[conv.inputs[1]]
        rows = np.moveaxis(old.astype(np.float64), axis, 0)
        bias = self._constants[conv.inputs[2]].astype(np.float64).reshape(-1) if conv.inputs[2] else np.zeros(len(rows))
        weight, shifted = change(rows.reshape(len(rows), -1), bias, numbers)
        new = np.moveaxis(weight.reshape(rows.shape), 0, axis)
        if not (self._fits(new, old) and self._fits(shifted, old)):
            return None
        names = [conv.inputs[1] if np.array_equal(new, old) else self._constant(f"{conv.name}_weight", new, old.dtype)]
        names.append(self._constant(f"{conv.name}_bias", shifted, old.dtype) if shifted.any() or conv.inputs[2] else "")
        return replace(conv, inputs=(conv.inputs[0], *names))

    def _fits(self, values: Wide, like: Array) -> bool:
        """Whether numbers stay what they are, but for rounding, in the data type that they have and in that of the mode."""
        for kind in (like.dtype, self._mode.numpy):
            with np.errstate(all="ignore"):
                rounded = values.astype(kind).astype(np.float64)
            lost = np.abs(rounded - values) > np.maximum(np.abs(values) * 2.0**-7, np.abs(values).max(initial=0) * 2.0**-10)
            if lost.any() or not np.isfinite(rounded).all():
                return False
        return True

    def _constant(self, wanted: str, values: Wide, dtype: np.dtype) -> str:
        name = unused_name(wanted, self._specs)
        self._constants[name] = np.ascontiguousarray(values.astype(dtype))
        self._specs[name] = TensorSpec(values.shape, dtype_of(dtype))
        return name
