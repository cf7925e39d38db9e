"""The nodes of a model written down in a function, one after the other."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from bmlang.graph.errors import GraphError
from bmlang.graph.graph import Array
from bmlang.importers.onnx.custom import custom_node, layer_name
from bmlang.importers.onnx.errors import OnnxLimitError, OnnxNodeError, UnsupportedNodesError
from bmlang.importers.onnx.expand import body_of
from bmlang.importers.onnx.fold import LARGEST as LARGEST_CONSTANT
from bmlang.importers.onnx.fold import RANDOM, folded
from bmlang.importers.onnx.node import NeedsValue, NotSupported, OnnxNode
from bmlang.importers.onnx.reader import Source, inner_graphs, sorted_nodes
from bmlang.importers.onnx.sizes import computed, varying
from bmlang.importers.onnx.table import EAGER, OPERATORS
from bmlang.importers.onnx.values import Items, Known, Live, Unknown, Value
from bmlang.layers.registry import all_layers
from bmlang.layers.tensor import Tracer, here
from tpukernel.source import Position, pinned

if TYPE_CHECKING:
    from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, SparseTensorProto

__all__ = ["Importer"]

LARGEST: Final = 200_000
"""Nodes that are imported, with those of loops and functions each time that they are used."""
DEEPEST: Final = 32
"""Graphs and functions inside of each other."""
SMALL: Final = 64
"""Elements that an input may have that is taken for a shape, axes or the like."""
MALFORMED = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What happens to code that was given what its operator does not allow."""
Env = dict[str, Value]


@dataclass(frozen=True)
class _Scope:
    """What holds for the nodes of one graph.

    Attributes:
        opsets: version of the operators of each domain.
        attributes: of the function around the graph, to which its nodes may refer.
        prefix: in front of the names of its nodes.
        depth: how many graphs and functions are around it.
    """

    opsets: Mapping[str, int]
    attributes: Mapping[str, AttributeProto] = field(default_factory=dict[str, "AttributeProto"])
    prefix: str = ""
    depth: int = 0

    def inside(self, prefix: str) -> _Scope:
        """A graph inside of a node."""
        return _Scope(self.opsets, self.attributes, prefix, self.depth + 1)


@dataclass
class Importer:
    """A model on its way into a function.

    Attributes:
        source: the model.
        tracer: the function.
        refused: what cannot be imported, each with its reason.
        needed: inputs of the model whose numbers would have to be known.
    """

    source: Source
    tracer: Tracer
    refused: dict[str, str] = field(default_factory=dict[str, str])
    needed: list[str] = field(default_factory=list[str])
    _count: int = 0
    _functions: dict[tuple[str, str], FunctionProto] = field(default_factory=dict[tuple[str, str], "FunctionProto"])

    def outputs(self, inputs: Mapping[str, Value]) -> list[Value]:
        """The outputs of the model for these inputs.

        Raises:
            UnsupportedNodesError: some nodes cannot be imported.
            OnnxFileError, OnnxNodeError, OnnxTypeError, OnnxLimitError: the model is not as it must be.
        """
        self._functions = {(each.domain, each.name): each for each in self.source.model.functions}
        graph = self.source.model.graph
        found = self._graph(graph, {}, inputs, _Scope(self.source.opsets))
        for output, value in zip(graph.output, found, strict=True):
            if isinstance(value, Items):
                self.refused.setdefault(f"output {output.name!r}", "a model has tensors as outputs, no sequences")
        if self.refused:
            self._refuse()
        return found

    def _refuse(self) -> None:
        listed = "".join(f"\n  {what}: {why}" for what, why in self.refused.items())
        known = all_layers()
        names = sorted({each for each in (layer_name(node) for node in self._custom()) if each not in known})
        near = [f"did you mean {found[0]}?" for each in names if (found := get_close_matches(each, known, 1, 0.8))]
        advice = [f'register layers of those names, for example @bm.layer("{names[0]}"), before', *near] if names else []
        advice += [f"give values={{{', '.join(f'{each!r}: ...' for each in self.needed)}}}"] if self.needed else []
        raise UnsupportedNodesError(
            f"{self.source.name} has {len(self.refused)} nodes that cannot be imported:{listed}",
            needed=self.needed,
            help="; ".join(advice) or "export the model in another way, or compute these nodes before or behind it",
        )

    def _custom(self) -> Iterator[NodeProto]:
        """Nodes that are refused and whose operators are not those of ONNX."""
        stack = [self.source.model.graph.node, *(each.node for each in self.source.model.functions)]
        while stack:
            for node in stack.pop():
                stack += [graph.node for graph in inner_graphs(node)]
                if node.domain not in ("", "ai.onnx") and (node.domain, node.op_type) not in self._functions:
                    yield node

    # ------------------------------------------------------------------ graphs

    def _graph(self, graph: GraphProto, env: Env, inputs: Mapping[str, Value], scope: _Scope) -> list[Value]:
        """The outputs of a graph; names that it does not make itself are those of `env`."""
        if scope.depth > DEEPEST:
            raise OnnxLimitError(f"graphs and functions of {self.source.name} are {scope.depth} deep in each other", position=here())
        inner: Env = {**env, **{each.name: Known(self.source.array(each)) for each in graph.initializer}, **inputs}
        for sparse in graph.sparse_initializer:
            inner[sparse.values.name] = Known(self._dense(sparse))
        known = [*inner, *(each.name for each in graph.input)]
        self._nodes(sorted_nodes(graph.name, graph.node, known), inner, scope)
        missing = [each.name for each in graph.output if each.name and each.name not in inner]
        if missing:
            raise OnnxNodeError(f"output {missing[0]!r} of graph {graph.name!r} is made by nothing", position=here())
        return [inner[each.name] for each in graph.output]

    def _dense(self, sparse: SparseTensorProto) -> Array:
        """All numbers of a tensor of which the file holds those that are not 0."""
        size = prod(sparse.dims)
        if not 0 < size <= LARGEST_CONSTANT:
            raise OnnxLimitError(f"sparse tensor {sparse.values.name!r} has the shape {list(sparse.dims)}")
        values, indices = self.source.array(sparse.values), self.source.array(sparse.indices)
        found = np.zeros(size, values.dtype)
        if indices.ndim == 2:
            indices = np.asarray(np.ravel_multi_index(tuple(indices.astype(np.int64).T), tuple(sparse.dims)))
        found[indices.astype(np.int64)] = values
        return found.reshape(tuple(sparse.dims))

    def _nodes(self, nodes: Sequence[NodeProto], env: Env, scope: _Scope) -> None:
        for place, node in enumerate(nodes):
            self._count += 1
            if self._count > LARGEST:
                raise OnnxLimitError(f"{self.source.name} has more than {LARGEST:,} nodes", help="loops are written out: make them shorter")
            name = f"{scope.prefix}{node.name or f'{node.op_type}_{place}'}"
            with self._naming(node, name):
                found = self._node(node, [env.get(each) if each else None for each in node.input], env, scope, name)
            names = [each for each in node.output if each]
            for output, value in zip(node.output, found, strict=False):
                if output:
                    env[output] = value
            if len(found) < len(node.output) and any(each not in env for each in names):
                raise OnnxNodeError(f"{node.op_type} {name!r} has {len(node.output)} outputs", position=Position(self._place(node, name)))

    @contextmanager
    def _naming(self, node: NodeProto, name: str) -> Generator[None]:
        """What is written down inside is called like the node, and messages name it."""
        before, self.tracer.naming = self.tracer.naming, name
        try:
            with pinned(Position(self._place(node, name))):
                yield
        finally:
            self.tracer.naming = before

    def _place(self, node: NodeProto, name: str) -> str:
        return f"<{self.source.name}: {node.op_type} {name}>"

    # ------------------------------------------------------------------ nodes

    def _node(self, node: NodeProto, inputs: Sequence[Value | None], env: Env, scope: _Scope, name: str) -> list[Value]:
        """The outputs of a node; where it cannot be imported they are unknown, and the reason is noted."""
        what = f"{layer_name(node) or node.op_type} {name!r}"
        begin = len(self.tracer.nodes)
        try:
            found = self._imported(node, inputs, env, scope, name)
        except NotSupported as reason:
            self.refused[what] = str(reason)
            if isinstance(reason, NeedsValue):
                self._need(reason.tensor.name)
        except UnsupportedNodesError:
            raise
        except GraphError as error:
            if error.code.startswith("IMP"):
                raise
            self.refused[what] = error.message
        except MALFORMED as error:
            raise OnnxNodeError(f"{node.op_type} is not what its operator demands: {error!r}", position=here()) from error
        else:
            for output, value in zip(node.output, found, strict=False):
                if isinstance(value, Live) and output and not scope.prefix:
                    self.tracer.rename(value.tensor, output, begin)
            return found
        return [Unknown() for _ in node.output]

    def _need(self, name: str) -> None:
        """Note the inputs of the model from which a tensor is made, if all of them are as small as shapes and the like."""
        makers = {output: node for node in self.tracer.nodes for output in node.outputs}
        found, stack = set[str](), [name]
        seen: set[str] = set()
        while stack:
            each = stack.pop()
            if each in makers and each not in seen:
                stack += [source for source in makers[each].inputs if source]
            elif each in self.tracer.inputs:
                found.add(each)
            seen.add(each)
        if all(prod(self.tracer.specs[each].shape) <= SMALL for each in found):
            self.needed += sorted(found - set(self.needed))

    def _imported(self, node: NodeProto, inputs: Sequence[Value | None], env: Env, scope: _Scope, name: str) -> list[Value]:
        domain = "" if node.domain == "ai.onnx" else node.domain
        attributes = self._attributes(node, scope)
        site = OnnxNode(
            node,
            scope.opsets.get(domain, 1),
            tuple(inputs),
            self.tracer,
            attributes,
            lambda graph, values: self._graph(graph, env, _named(graph, values), scope.inside(f"{name}/")),
        )
        custom = custom_node(site)
        if custom is not None:
            return custom if not _unknown(inputs) else [Unknown() for _ in node.output]
        function = self._functions.get((node.domain, node.op_type))
        if function is not None:
            return self._function(function, site, scope, name)
        handler = EAGER.get((domain, node.op_type))
        if handler is None and varying(inputs):
            if not domain and (sizes := computed(site)) is not None:
                return [sizes]
        elif handler is None and (done := self._folded(site, scope)) is not None:
            return done
        handler = handler or OPERATORS.get((domain, node.op_type))
        if _unknown(inputs) and handler is not None:
            return [Unknown() for _ in node.output]
        if handler is not None:
            made = handler(site)
            return site.values_of(made)
        body = None if _unknown(inputs) else body_of(site, scope.opsets)
        if body is not None:
            return self._function(body, site, scope, name)
        raise NotSupported("no layer has this name" if domain else "there is no such operator on the TPU")

    def _attributes(self, node: NodeProto, scope: _Scope) -> dict[str, AttributeProto]:
        """The attributes by name; those that refer to the function around are taken from there."""
        found: dict[str, AttributeProto] = {}
        for attribute in node.attribute:
            if not attribute.ref_attr_name:
                found[attribute.name] = attribute
            elif attribute.ref_attr_name in scope.attributes:
                found[attribute.name] = scope.attributes[attribute.ref_attr_name]
        return found

    def _folded(self, site: OnnxNode, scope: _Scope) -> list[Value] | None:
        node = site.proto
        if node.op_type in RANDOM or any(True for _ in inner_graphs(node)):
            return None
        arrays: list[Array | None] = []
        for value in site.inputs:
            if value is not None and not isinstance(value, Known):
                return None
            arrays.append(None if value is None else value.array)
        from onnx import NodeProto

        plain = NodeProto()
        plain.CopyFrom(node)
        del plain.attribute[:]
        for name, attribute in site.attributes.items():
            plain.attribute.add().CopyFrom(attribute)
            plain.attribute[-1].name = name
        found = folded(plain, arrays, scope.opsets)
        return None if found is None else [Known(each) for each in found]

    def _function(self, function: FunctionProto, site: OnnxNode, scope: _Scope, name: str) -> list[Value]:
        """The nodes of a function in the place of the node that calls it."""
        attributes = {each.name: each for each in function.attribute_proto} | dict(site.attributes)
        opsets = {("" if each.domain == "ai.onnx" else each.domain): int(each.version) for each in function.opset_import}
        inner = _Scope({**scope.opsets, **opsets}, attributes, f"{name}/", scope.depth + 1)
        if inner.depth > DEEPEST:
            raise OnnxLimitError(f"functions of {self.source.name} are {inner.depth} deep in each other", position=here())
        env: Env = {key: value for key, value in zip(function.input, site.inputs, strict=False) if value is not None}
        self._nodes(sorted_nodes(function.name, function.node, list(function.input)), env, inner)
        return [env.get(each, Unknown()) for each in function.output[: len(site.proto.output)]]


def _named(graph: GraphProto, values: Sequence[Value | None]) -> dict[str, Value]:
    return {each.name: value for each, value in zip(graph.input, values, strict=False) if value is not None}


def _unknown(inputs: Sequence[Value | None]) -> bool:
    return any(isinstance(each, Unknown) for each in inputs)
