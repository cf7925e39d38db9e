"""Kernels of custom layers go into a dynamic model as text: a process that runs it need not have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bmlang.graph.dims import Dim, expr_of, recording
from bmlang.graph.graph import Graph, Node
from bmlang.layers.custom import KernelLayer
from bmlang.layers.registry import layer_of
from tpukernel.chips.chip import Chip
from tpukernel.dtypes import Dtype, f32
from tpukernel.lang.expr import Expr, Var
from tpukernel.lang.ir import KernelIr, Param
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.text.printer import kernel_text

__all__ = ["with_kernel_texts"]


def with_kernel_texts(graph: Graph, mode: Dtype, chip: Chip) -> tuple[Graph, Mapping[str, str]]:
    """The graph with a layer of its own for each use of a kernel with other arguments, ranks or data types, and its kernel as text.

    Args:
        graph: a graph whose sizes vary.
        mode: what f32 is computed in.
        chip: the chip.

    Raises:
        SymbolicValueError: a kernel uses Python's own control flow on a size that varies; it names the line.
        KernelError: a kernel has another mistake.
    """
    writer = _Writer(graph, mode, chip)
    nodes = tuple(map(writer.node, graph.nodes))
    return replace(graph, nodes=nodes), {name: text for text, name in writer.names.items()}


@dataclass
class _Writer:
    graph: Graph
    mode: Dtype
    chip: Chip
    names: dict[str, str] = field(default_factory=dict[str, str])

    def node(self, node: Node) -> Node:
        """The node, with the layer of its kernel's text."""
        layer = layer_of(node.op, node.position)
        if not isinstance(layer, KernelLayer):
            return node
        text = kernel_text(self._ir(layer, node))
        if text not in self.names:
            number = sum(name.rpartition("_of_")[0] == node.op or name == node.op for name in self.names.values())
            self.names[text] = f"{node.op}_of_{number + 1}" if number else node.op
        return replace(node, op=self.names[text], attrs={})

    def _ir(self, layer: KernelLayer, node: Node) -> KernelIr:
        sizes: dict[Expr, Var] = {}
        inputs = [_local(self.graph.specs[name], sizes) for name in node.inputs]
        with recording(None):
            made = layer.infer(inputs, node.attrs)
        outputs = [made] if isinstance(made, TensorSpec) else list(made)
        types = self._types(layer, [*inputs, *outputs])
        specs = {"in": iter(inputs), "out": iter(outputs)}
        params: list[Param] = []
        for name, direction in layer.kernel.signature.tensors.items():
            spec = next(specs[direction])
            params.append(Param(name, direction, tuple(map(expr_of, spec.shape)), types.get(spec.dtype, spec.dtype)))
        return layer.kernel.ir_of(params, self.chip, **node.attrs)

    def _types(self, layer: KernelLayer, specs: Sequence[TensorSpec]) -> Mapping[Dtype, Dtype]:
        """The data types that the compiler chooses for some (see `bmlang.compiler.passes.precision`)."""
        narrow = {f32: self.mode} if self.mode in layer.dtypes else {}
        floats = {narrow.get(spec.dtype, spec.dtype) for spec in specs if spec.dtype.is_float}
        return narrow if floats <= set(layer.dtypes) else {spec.dtype: f32 for spec in specs if spec.dtype.is_float}


def _local(spec: TensorSpec, sizes: dict[Expr, Var]) -> TensorSpec:
    """A tensor as the kernel sees it: a variable for each size that varies, the same for equal ones."""
    shape: list[int] = []
    for size in spec.shape:
        expr = expr_of(size)
        if isinstance(expr, int):
            shape.append(expr)
        else:
            variable = sizes.setdefault(expr, Var(f"d{len(sizes)}"))
            with recording(None):
                shape.append(Dim(int(size), variable))
    return TensorSpec(tuple(shape), spec.dtype)
