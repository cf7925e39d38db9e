"""The graph of a function: tensors, and the operators between them."""

from bmlang.graph.errors import GraphError
from bmlang.graph.graph import Attribute, Graph, Node
from bmlang.graph.parse import parse_graph
from bmlang.graph.verify import verify

__all__ = ["Attribute", "Graph", "GraphError", "Node", "parse_graph", "verify"]
