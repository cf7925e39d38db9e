"""Programs become a BModel: nets with their stages, coefficients, inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bmlang.bmodel import BModel, new_bmodel
from bmlang.bmodel.fields import Binary
from bmlang.bmodel.nodes import NodeMap, NodeName
from bmlang.bmodel.schema import Net, NetParameter, Tensor
from bmlang.bmodel.stages import coefficients, io_tensor, static_stage
from bmlang.compiler.emit import Emission
from bmlang.graph.graph import Graph
from tpukernel.chips.chip import Chip

__all__ = ["package"]


def package(nets: Sequence[tuple[str, Sequence[tuple[Graph, Emission]]]], chip: Chip) -> BModel:
    """A BModel of nets by name, each with its stages."""
    return new_bmodel(
        chip.name, [Net(name=name, parameter=tuple(_stage(graph, emission, chip) for graph, emission in stages)) for name, stages in nets]
    )


def _stage(graph: Graph, emission: Emission, chip: Chip) -> NetParameter:
    emission.program.check()
    memory = emission.memory
    arrays = cast("dict[str, NDArray[np.generic]]", dict(emission.coefficients))
    stage = static_stage(
        emission.program,
        inputs=[_io(graph, emission, name) for name in graph.inputs],
        outputs=[_io(graph, emission, name) for name in graph.outputs],
        ctx_addr=memory.start,
        ctx_size=memory.size,
        coeff=coefficients(chip, arrays) if arrays else None,
    )
    return replace(stage, net_profile=Binary(_nodes(graph, emission).data()))


def _nodes(graph: Graph, emission: Emission) -> NodeMap:
    """Which commands each node has become, so that listings, costs and dumps of the file can tell."""
    names = [NodeName(node.name, node.op, "" if node.position is None else str(node.position)) for node in graph.nodes]
    return NodeMap.of(names, emission.nodes)


def _io(graph: Graph, emission: Emission, name: str) -> Tensor:
    spec = graph.specs[name]
    return io_tensor(name, spec.dtype, spec.shape, emission.memory.addresses[name])
