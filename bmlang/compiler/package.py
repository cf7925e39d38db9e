"""Programs become a BModel: nets with their stages, coefficients, inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from bmlang.bmodel import BModel, new_bmodel
from bmlang.bmodel.dynamic_code import is_dynamic_code
from bmlang.bmodel.edit import update_cpuop
from bmlang.bmodel.fields import Binary
from bmlang.bmodel.nodes import NodeMap, NodeName
from bmlang.bmodel.schema import CoeffMem, Net, NetParameter, Tensor
from bmlang.bmodel.stages import coefficients, io_tensor, static_stage
from bmlang.bmodel.subnets import HostSubnet, TpuSubnet, split_stage
from bmlang.compiler.emit import Emission
from bmlang.compiler.subnets import HostPart, TpuPart
from bmlang.graph.graph import Graph
from bmlang.host import OWN
from tpukernel.chips.chip import Chip

__all__ = ["OWN_LIBRARY", "package", "package_stages", "stage_of"]

OWN_LIBRARY: Final = "bmlang.host"
OWN_TEXT: Final = b"Operators of the host in this model are those of bmlang.host, or its nets are dynamic: no other runtime has them.\n"
"""Stands where a library of host operators can be. The official runtime does not load a file in which that is no library; without it, it
would say that it has no function for these operators, and go on with whatever is in memory; code of a dynamic net it would take for that of
its firmware, and crash or compute nothing (measured)."""


def package(nets: Sequence[tuple[str, Sequence[tuple[Graph, Emission]]]], chip: Chip) -> BModel:
    """A BModel of nets by name, each with its stages."""
    return package_stages([(name, [stage_of(graph, emission, chip) for graph, emission in stages]) for name, stages in nets], chip)


def package_stages(nets: Sequence[tuple[str, Sequence[NetParameter]]], chip: Chip) -> BModel:
    """A BModel of nets by name, each with its finished stages."""
    model = new_bmodel(chip.name, [Net(name=name, parameter=tuple(stages)) for name, stages in nets])
    foreign = any(_is_own(stage) for _, stages in nets for stage in stages)
    return update_cpuop(model, OWN_LIBRARY, OWN_TEXT) if foreign else model


def _is_own(stage: NetParameter) -> bool:
    """Whether no other runtime can run a stage."""
    params = (param for subnet in stage.subnets for param in subnet.cpu_param or ())
    return is_dynamic_code(stage) or any(param.op_type >= OWN for param in params)


def stage_of(graph: Graph, emission: Emission, chip: Chip) -> NetParameter:
    """A static stage of a graph and its program."""
    emission.program.check()
    memory = emission.memory
    arrays = cast("dict[str, NDArray[np.generic]]", dict(emission.coefficients))
    given: _Stage = {
        "inputs": _tensors(graph, emission, graph.inputs),
        "outputs": _tensors(graph, emission, graph.outputs),
        "ctx_addr": memory.start,
        "ctx_size": memory.size,
        "coeff": coefficients(chip, arrays) if arrays else None,
    }
    if any(isinstance(part, HostPart) for part in emission.parts):
        stage = split_stage(emission.program, [_subnet(graph, emission, part) for part in emission.parts], **given)
    else:
        stage = static_stage(emission.program, **given)
    return replace(stage, net_profile=Binary(_nodes(graph, emission).data()))


class _Stage(TypedDict):
    """What stages of one subnet and of several are made of."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ctx_addr: int
    ctx_size: int
    coeff: CoeffMem | None


def _subnet(graph: Graph, emission: Emission, part: TpuPart | HostPart) -> TpuSubnet | HostSubnet:
    inputs, outputs = (_tensors(graph, emission, names) for names in (part.inputs, part.outputs))
    if isinstance(part, TpuPart):
        return TpuSubnet(part.groups, inputs, outputs)
    return HostSubnet(part.call.operator, part.call.parameters, inputs, outputs)


def _nodes(graph: Graph, emission: Emission) -> NodeMap:
    """Which commands each node has become, so that listings, costs and dumps of the file can tell."""
    names = [NodeName(node.name, node.op, "" if node.position is None else str(node.position)) for node in graph.nodes]
    hosted = {number: part.node.name for number, part in enumerate(emission.parts) if isinstance(part, HostPart)}
    return NodeMap.of(names, emission.nodes, hosted)


def _tensors(graph: Graph, emission: Emission, names: Sequence[str]) -> tuple[Tensor, ...]:
    specs = [graph.specs[name] for name in names]
    return tuple(io_tensor(name, spec.dtype, spec.shape, emission.memory.addresses[name]) for name, spec in zip(names, specs, strict=True))
