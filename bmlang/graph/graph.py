"""A function as a graph: named tensors with a spec, nodes in an order in which they can run.

Graphs are immutable; passes make new ones. Every tensor has one maker: an input, a constant, or a node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.dims import Variation
from tpukernel.dtypes import Dtype
from tpukernel.lang.signature import TensorSpec
from tpukernel.source import Position

__all__ = ["Array", "Attribute", "Graph", "Node"]

Array = NDArray[np.generic]
Attribute = bool | int | float | str | Dtype | tuple["Attribute", ...] | None
"""An argument of an operator that is no tensor."""


@dataclass(frozen=True)
class Node:
    """One operator at work.

    Attributes:
        name: unique in the graph; what dumps, timelines and reports call it.
        op: the layer, `domain::name`.
        inputs: names of tensors; empty where an optional one is absent.
        outputs: names of the tensors that it makes.
        attrs: the other arguments.
        position: where the user wrote it.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Attribute] = field(default_factory=dict[str, Attribute])
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class Graph:
    """A function for concrete shapes, or for shapes that vary: then a size or attribute may be a `bmlang.graph.dims.Dim`.

    Attributes:
        name: of the function.
        inputs: names of the tensors that the caller gives, in order.
        outputs: names of those that the caller gets, in order.
        specs: shape and data type of every tensor.
        constants: the values of those that are known.
        nodes: the operators, each behind those whose results it takes.
        variation: what is known of the sizes that vary; None where the shapes are concrete.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    specs: Mapping[str, TensorSpec]
    constants: Mapping[str, Array]
    nodes: tuple[Node, ...]
    variation: Variation | None = None

    def spec(self, name: str) -> TensorSpec | None:
        """Spec of a tensor; None for the empty name of an absent one."""
        return self.specs[name] if name else None

    def makers(self) -> Mapping[str, Node]:
        """The node that makes each tensor which is neither input nor constant."""
        return {output: node for node in self.nodes for output in node.outputs}

    def users(self) -> Mapping[str, list[Node]]:
        """The nodes that take each tensor, in order; a node that takes it twice is there once."""
        found: dict[str, list[Node]] = {name: [] for name in self.specs}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name:
                    found[name].append(node)
        return found

    def renamed(self, names: Mapping[str, str]) -> Graph:
        """With other tensors in the place of some, in inputs of nodes and in outputs of the graph."""
        nodes = tuple(replace(node, inputs=tuple(names.get(each, each) for each in node.inputs)) for node in self.nodes)
        return replace(self, nodes=nodes, outputs=tuple(names.get(each, each) for each in self.outputs))

    def with_nodes(
        self,
        nodes: Sequence[Node],
        *,
        specs: Mapping[str, TensorSpec] | None = None,
        constants: Mapping[str, Array] | None = None,
        outputs: Sequence[str] | None = None,
    ) -> Graph:
        """With other nodes and more tensors; what nobody mentions any more is dropped."""
        all_specs, all_constants = {**self.specs, **(specs or {})}, {**self.constants, **(constants or {})}
        kept = set(self.inputs) | set(self.outputs if outputs is None else outputs)
        kept |= {name for node in nodes for name in (*node.inputs, *node.outputs)}
        return replace(
            self,
            nodes=tuple(nodes),
            outputs=self.outputs if outputs is None else tuple(outputs),
            specs={name: spec for name, spec in all_specs.items() if name in kept},
            constants={name: value for name, value in all_constants.items() if name in kept},
            variation=self.variation and self.variation.kept(kept),
        )

    def equals(self, other: Graph) -> bool:
        """Whether both are the same in everything but the places in the user's source: names, order, and the bits of constants."""
        mine, its = self.constants, other.constants
        return (
            (self.name, self.inputs, self.outputs, dict(self.specs), self.nodes, self.variation)
            == (other.name, other.inputs, other.outputs, dict(other.specs), other.nodes, other.variation)
            and list(mine) == list(its)
            and all(mine[name].dtype == its[name].dtype and mine[name].tobytes() == its[name].tobytes() for name in mine)
            and (self.variation is None or str(self) == str(other))  # sizes are equal whose largest values are
        )

    def __str__(self) -> str:
        from bmlang.graph.text import text_of

        return text_of(self)


def unused_name(wanted: str, taken: Mapping[str, object] | set[str]) -> str:
    """The wanted name, or that with a number, which nothing else has."""
    if wanted not in taken:
        return wanted
    free = 2
    while f"{wanted}_{free}" in taken:
        free *= 2
    used = free // 2
    while free - used > 1:  # numbers are mostly taken one after the other: the first one behind them is found without trying all
        middle = (free + used) // 2
        used, free = (middle, free) if f"{wanted}_{middle}" in taken else (used, middle)
    return f"{wanted}_{free}"
