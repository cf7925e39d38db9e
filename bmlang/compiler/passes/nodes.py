"""Making a graph anew, node by node."""

from __future__ import annotations

from collections.abc import Mapping

from bmlang.graph.graph import Graph, Node, unused_name
from tpukernel.dtypes import Dtype
from tpukernel.lang.signature import TensorSpec

__all__ = ["Rewriter"]


class Rewriter:
    """Takes down the nodes of a new graph.

    Attributes:
        source: the graph that is rewritten.
    """

    def __init__(self, source: Graph) -> None:
        self.source = source
        self._nodes: list[Node] = []
        self._specs = dict(source.specs)
        self._names = set(source.specs)
        self._node_names = {node.name for node in source.nodes}

    def name(self, wanted: str) -> str:
        """A name for a new tensor."""
        found = unused_name(wanted, self._names)
        self._names.add(found)
        return found

    def add(self, node: Node, specs: Mapping[str, TensorSpec] | None = None) -> None:
        """Add a node, with the specs of tensors that are new."""
        self._specs.update(specs or {})
        self._nodes.append(node)

    def cast(self, source: str, result: str, dtype: Dtype, cause: Node) -> None:
        """Add a conversion of a tensor, in the name of the node that needs it."""
        name = unused_name(f"{cause.name}_cast", self._node_names)
        self._node_names.add(name)
        spec = TensorSpec(self._specs[source].shape, dtype)
        self.add(Node(name, "bm::cast", (source,), (result,), {"dtype": dtype, "rounding": "half_to_even"}, cause.position), {result: spec})

    def graph(self) -> Graph:
        """The new graph."""
        return self.source.with_nodes(self._nodes, specs=self._specs)
