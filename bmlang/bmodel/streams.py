"""The command streams in a BModel, as `tpukernel disasm` and `tpukernel cost` read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from bmlang.bmodel.container import MAGIC, load
from bmlang.bmodel.memory import command_groups
from bmlang.bmodel.nodes import groups_before, nodes_of
from bmlang.bmodel.schema import CmdGroup, Model, Net, NetParameter, Tensor, data_type_bits

if TYPE_CHECKING:
    from tpukernel.chips.chip import Engine
    from tpukernel.isa.sources import CommandStreams

__all__ = ["GroupPlace", "groups_of", "read_streams", "streams_of"]


@dataclass(frozen=True)
class GroupPlace:
    """A command group with the place where the file lists it for execution."""

    net: Net
    stage_number: int
    stage: NetParameter
    subnet: int
    number: int
    group: CmdGroup

    @property
    def title(self) -> str:
        """The place as text."""
        return f"net {self.net.name!r}, stage {self.stage_number}, subnet {self.subnet}, group {self.number}"


def groups_of(model: Model) -> Iterator[GroupPlace]:
    """The command groups of all subnets, in order. The copies that a stage lists are left out."""
    for net in model.net:
        for stage_number, stage in enumerate(net.stages):
            for k, subnet in enumerate(stage.subnets):
                for number, group in enumerate(command_groups(subnet)):
                    yield GroupPlace(net, stage_number, stage, k, number, group)


def read_streams(path: Path) -> list[CommandStreams] | None:
    """The streams of a BModel; None for a file that does not begin like one.

    Raises:
        FormatError: it is damaged.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != MAGIC.to_bytes(4, "little"):
            return None
    return [streams for _, streams in streams_of(load(path).model)]


def streams_of(model: Model) -> list[tuple[GroupPlace, CommandStreams]]:
    """The streams of each command group of a model, in order.

    Raises:
        NodeMapError: what the file tells of its operators is damaged.
    """
    from tpukernel.isa.sources import CommandStreams

    places = list(groups_of(model))
    groups = Counter(id(place.stage) for place in places)
    # Of a stage of several groups, none does all of the work.
    io = [_io_bytes(place.stage) if groups[id(place.stage)] == 1 else (None, None) for place in places]
    return [
        (
            place,
            CommandStreams(
                place.title,
                model.chip,
                tiu=bytes(place.group.binary_bdc.data) if place.group.binary_bdc else b"",
                gdma=bytes(place.group.binary_gdma.data) if place.group.binary_gdma else b"",
                read_bytes=read,
                written_bytes=written,
                names=_names(place),
            ),
        )
        for place, (read, written) in zip(places, io, strict=True)
    ]


def _names(place: GroupPlace) -> dict[tuple[Engine, int], str]:
    """What each command of a group belongs to; nothing where the file does not tell."""
    nodes = nodes_of(place.stage)
    if nodes is None:
        return {}
    group = groups_before(place.stage, place.subnet) + place.number
    found: dict[tuple[Engine, int], str] = {}
    counts: dict[Engine, int] = {"tiu": place.group.bdc_num, "gdma": place.group.gdma_num}
    for engine, count in counts.items():
        for first, size, node in nodes.runs.get((group, engine), ()):
            text = str(nodes.nodes[node])
            found |= {(engine, command): text for command in range(first, min(first + size, count + 1))}
    return found


def _io_bytes(stage: NetParameter) -> tuple[int | None, int | None]:
    """Bytes of the inputs and coefficients, and of the outputs; None where a type is unknown."""
    inputs, outputs = (_sum_bytes(tensors) for tensors in (stage.input_tensor, stage.output_tensor))
    binary = stage.coeff_mem.binary_coeff if stage.coeff_mem else None
    return None if inputs is None else inputs + (binary.size if binary else 0), outputs


def _sum_bytes(tensors: Iterable[Tensor]) -> int | None:
    """Bytes of tensors of their first shapes."""
    total = 0
    for tensor in tensors:
        bits = data_type_bits(tensor.data_type)
        if bits is None or not tensor.shape:
            return None
        total += prod(tensor.shape[0].dim or ()) * bits // 8
    return total
