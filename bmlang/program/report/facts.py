"""What a report tells: facts of a BModel, from the file alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Final

from bmlang.bmodel import BModel
from bmlang.bmodel.memory import CPU, TPU, Memory, memory_of
from bmlang.bmodel.nodes import NodeName, nodes_of
from bmlang.bmodel.schema import CpuParam, Net, NetParameter, SubNet, Tensor, data_type_bits, data_type_name
from bmlang.bmodel.streams import streams_of
from bmlang.program.report.times import KindTime, LayerTime, joined, kind_times, layer_times
from tpukernel.cost import Timeline
from tpukernel.errors import TpuError
from tpukernel.isa.sources import CommandStreams

__all__ = ["ModelFacts", "NetFacts", "Region", "StageFacts", "SubnetFacts", "TensorFacts", "model_facts"]

_MODES: Final[Mapping[int, str]] = {TPU: "TPU", CPU: "host", 2: "merge", 3: "switch"}


@dataclass(frozen=True)
class TensorFacts:
    """An input or output: where it lies, what it holds."""

    direction: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    address: int
    bytes: int


@dataclass(frozen=True)
class Region:
    """A piece of device memory.

    Attributes:
        address: its first byte.
        bytes: its size.
        segment: `coefficients`, `neurons` (inputs, outputs and what lies between) or `io` (where these have an area of their own).
        what: what lies there.
    """

    address: int
    bytes: int
    segment: str
    what: str


@dataclass(frozen=True)
class SubnetFacts:
    """A part of a stage that runs in one place; for the host with its operators."""

    number: int
    runs_on: str
    dynamic: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True)
class StageFacts:
    """A net for one set of shapes.

    Attributes:
        tensors: inputs and outputs.
        memory: pieces of device memory, by address.
        subnets: the parts of the stage.
        timeline: when each command runs; None where that is not known.
        no_timeline: why it is not.
        layers: the times of the operators; empty where the file does not tell what commands belong to.
        kinds: the times of the kinds of commands.
    """

    tensors: tuple[TensorFacts, ...]
    memory: tuple[Region, ...]
    subnets: tuple[SubnetFacts, ...]
    timeline: Timeline | None
    no_timeline: str
    layers: tuple[LayerTime, ...]
    kinds: tuple[KindTime, ...]


@dataclass(frozen=True)
class NetFacts:
    """A net with its stages."""

    name: str
    dynamic: bool
    stages: tuple[StageFacts, ...]


@dataclass(frozen=True)
class ModelFacts:
    """A BModel."""

    title: str
    chip: str
    version: str
    time: str
    memory: Memory
    nets: tuple[NetFacts, ...]

    def json(self) -> dict[str, object]:
        """The same as data for `json.dumps`, with the totals of each timeline instead of its commands."""
        return {
            "title": self.title,
            "chip": self.chip,
            "version": self.version,
            "time": self.time,
            "memory": asdict(self.memory),
            "nets": [
                {"name": net.name, "dynamic": net.dynamic, "stages": [_stage_data(stage) for stage in net.stages]} for net in self.nets
            ],
        }


def _stage_data(stage: StageFacts) -> dict[str, object]:
    timeline = None if stage.timeline is None else {key: value for key, value in stage.timeline.json().items() if key != "commands"}
    several = {name: [asdict(each) for each in getattr(stage, name)] for name in ("tensors", "memory", "subnets", "layers", "kinds")}
    return {**several, "timeline": timeline, "no_timeline": stage.no_timeline}


def model_facts(bmodel: BModel, title: str) -> ModelFacts:
    """The facts of a model, under a title.

    What cannot be modelled (dynamic stages, chips without a cost table, damaged command streams) is told as such; it is no error.
    """
    model = bmodel.model
    found, reason = dict[int, list[CommandStreams]](), ""
    try:
        for place, streams in streams_of(model):
            found.setdefault(id(place.stage), []).append(streams)
    except TpuError as error:
        reason = str(error)
    return ModelFacts(
        title=title,
        chip=model.chip,
        version=f"{model.type}.{model.version}",
        time=model.time.strip(),
        memory=memory_of(model),
        nets=tuple(_net(net, found, reason) for net in model.net),
    )


def _net(net: Net, streams: Mapping[int, list[CommandStreams]], reason: str) -> NetFacts:
    stages = tuple(_stage(net, stage, streams.get(id(stage), []), reason) for stage in net.stages)
    return NetFacts(net.name, any(stage.is_dynamic for stage in net.stages), stages)


def _stage(net: Net, stage: NetParameter, streams: list[CommandStreams], reason: str) -> StageFacts:
    timeline, nodes = None, dict[str, NodeName]()
    if not streams and not reason:
        reason = "the stage is dynamic: its commands are made when it runs" if stage.is_dynamic else "it has no commands"
    try:
        timeline = joined([_timeline(each) for each in streams])
        told = nodes_of(stage)
        nodes = {str(node): node for node in told.nodes} if told else {}
    except TpuError as error:
        reason = str(error)
    return StageFacts(
        tensors=tuple(_tensors(stage)),
        memory=tuple(sorted(_regions(net, stage), key=lambda region: (region.address, -region.bytes))),
        subnets=tuple(_subnet(number, subnet) for number, subnet in enumerate(stage.subnets)),
        timeline=timeline,
        no_timeline="" if timeline else reason,
        layers=layer_times(timeline, nodes) if timeline and nodes else (),
        kinds=kind_times(timeline) if timeline else (),
    )


def _timeline(streams: CommandStreams) -> Timeline:
    from tpukernel.cost.result import Traffic

    known = streams.read_bytes is not None and streams.written_bytes is not None
    return streams.program().timeline(compulsory=Traffic(streams.read_bytes or 0, streams.written_bytes or 0) if known else None)


# ------------------------------------------------------------------ tensors and memory


def _tensors(stage: NetParameter) -> Iterator[TensorFacts]:
    for direction, tensors in (("input", stage.input_tensor), ("output", stage.output_tensor)):
        for tensor in tensors:
            dtype = data_type_name(tensor.data_type)
            yield TensorFacts(
                direction, tensor.name, dtype, _shape(tensor), tensor.scale, tensor.zero_point, tensor.device_addr, _bytes(tensor)
            )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return (tensor.shape[0].dim or ()) if tensor.shape else ()


def _bytes(tensor: Tensor) -> int:
    """Bytes that a tensor takes: what the file says, or what its shape needs."""
    return tensor.size or prod(_shape(tensor)) * (data_type_bits(tensor.data_type) or 0) // 8


def _regions(net: Net, stage: NetParameter) -> Iterator[Region]:
    """The pieces of device memory that the file tells of. What commands keep in between has no name in it."""
    coeff = stage.coeff_mem
    if coeff is not None and coeff.binary_coeff is not None:
        yield Region(coeff.address, coeff.binary_coeff.size, "coefficients", "all coefficients")
        for place in coeff.location or ():
            yield Region(coeff.address + place.offset, place.size, "coefficients", place.name)
    if stage.ctx_size:
        yield Region(stage.ctx_addr, stage.ctx_size, "neurons", "all neurons")
    if stage.io_size:
        yield Region(stage.io_addr, stage.io_size, "io", "all inputs and outputs")
    segment = "io" if net.addr_mode or stage.io_size else "neurons"
    known = set[tuple[int, str]]()
    for tensor in _tensors(stage):
        known.add((tensor.address, tensor.name))
        yield Region(tensor.address, tensor.bytes, segment, f"{tensor.direction} {tensor.name}")
    for subnet in stage.subnets:
        for tensor in (*(subnet.input_tensor or ()), *(subnet.output_tensor or ())):
            if (tensor.device_addr, tensor.name) not in known:
                known.add((tensor.device_addr, tensor.name))
                yield Region(tensor.device_addr, _bytes(tensor), "neurons", f"between subnets: {tensor.name}")


def _subnet(number: int, subnet: SubNet) -> SubnetFacts:
    inputs, outputs = (tuple(tensor.name for tensor in tensors or ()) for tensors in (subnet.input_tensor, subnet.output_tensor))
    operators = tuple(_operator(param) for param in subnet.cpu_param or ())
    return SubnetFacts(number, _MODES.get(subnet.subnet_mode, "unknown"), bool(subnet.is_dynamic), inputs, outputs, operators)


def _operator(param: CpuParam) -> str:
    return f"{'custom ' if param.is_custom else ''}operator {param.op_type}"
