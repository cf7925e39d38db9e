"""The command streams in a BModel, as `tpukernel disasm` reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bmlang.bmodel.container import MAGIC, load
from bmlang.bmodel.memory import command_groups
from bmlang.bmodel.schema import CmdGroup, Model, Net, NetParameter

if TYPE_CHECKING:
    from tpukernel.isa.sources import CommandStreams

__all__ = ["GroupPlace", "groups_of", "read_streams"]


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
    from tpukernel.isa.sources import CommandStreams

    with path.open("rb") as file:
        if file.read(4) != MAGIC.to_bytes(4, "little"):
            return None
    model = load(path).model
    return [
        CommandStreams(
            place.title,
            model.chip,
            tiu=bytes(place.group.binary_bdc.data) if place.group.binary_bdc else b"",
            gdma=bytes(place.group.binary_gdma.data) if place.group.binary_gdma else b"",
        )
        for place in groups_of(model)
    ]
