"""Verifying the command streams of a BModel: they decode and end, are as many as stated, and keep to the memory of their stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from bmlang.bmodel.errors import AddressRangeError, BModelError, CommandCountError, CommandStreamError
from bmlang.bmodel.schema import Model, NetParameter
from bmlang.bmodel.streams import GroupPlace, groups_of
from tpukernel.chips.chip import CHIPS, Chip
from tpukernel.chips.layout import system_placement
from tpukernel.chips.tensors import SystemTensor
from tpukernel.errors import TpuError

if TYPE_CHECKING:
    from tpukernel.isa.instruction import Instruction
    from tpukernel.isa.program import Program

__all__ = ["Area", "Areas", "check_streams"]


@dataclass(frozen=True)
class Area:
    """A piece of device memory."""

    name: str
    start: int
    size: int

    def __str__(self) -> str:
        return f"{self.name} [{self.start:#x}, {self.start + self.size:#x})"

    def overlaps(self, other: Area) -> bool:
        """Whether they have bytes in common."""
        return self.start < other.start + other.size and other.start < self.start + self.size


@dataclass(frozen=True)
class Areas:
    """The device memory of a stage: coefficients (`coeff`), intermediate tensors (`ctx`), and `io` where inputs and outputs lie apart."""

    areas: tuple[Area, ...]

    @classmethod
    def of(cls, stage: NetParameter) -> Areas:
        """The areas that are not empty."""
        coeff = stage.coeff_mem
        data = coeff.binary_coeff.size if coeff and coeff.binary_coeff else 0
        areas = (
            Area("coeff", coeff.address if coeff else 0, (coeff.decrypt_size or data) if coeff else 0),
            Area("ctx", stage.ctx_addr, sum(stage.ctx_sizes) if stage.ctx_sizes else stage.ctx_size),
            Area("io", stage.io_addr, stage.io_size),
        )
        return cls(tuple(area for area in areas if area.size))

    def __str__(self) -> str:
        return " or ".join(map(str, self.areas)) or "the stage, which has no memory"

    def overlaps(self) -> Iterator[tuple[Area, Area]]:
        """Areas that overlap."""
        return ((first, second) for first, second in combinations(self.areas, 2) if first.overlaps(second))

    def holds(self, start: int, size: int, names: tuple[str, ...]) -> bool:
        """Whether one of the named areas has these bytes."""
        return any(area.start <= start and start + size <= area.start + area.size for area in self.areas if area.name in names)


def check_streams(model: Model, notes: list[str]) -> Iterator[BModelError]:
    """What is wrong with the command streams; what cannot be checked goes to `notes`."""
    chip = CHIPS.get(model.chip)
    if chip is None:
        notes.append(f"command streams are not checked, for chip {model.chip!r} is not known")
        return
    for place in groups_of(model):
        yield from _sizes(place, chip)
        program = _decoded(place, chip, notes)
        if isinstance(program, BModelError):
            yield program
        elif program is not None:
            yield from _counts(place, program)
            yield from _rules(place, program, chip)


def _sizes(place: GroupPlace, chip: Chip) -> Iterator[BModelError]:
    group = place.group
    for engine, binary, stated in (("TIU", group.binary_bdc, group.bdc_cmd_byte), ("GDMA", group.binary_gdma, group.gdma_cmd_byte)):
        size = binary.size if binary else 0
        if stated != size:
            yield CommandCountError(f"{stated} bytes of {engine} commands are stated, but there are {size}", where=place.title)
        if size % chip.stream_alignment:
            yield CommandCountError(
                f"the {engine} stream has {size} bytes, which is no multiple of {chip.stream_alignment}: the official runtime copies more",
                where=place.title,
                help="fill it with zeros",
            )


def _decoded(place: GroupPlace, chip: Chip, notes: list[str]) -> Program | CommandStreamError | None:
    from tpukernel.isa.errors import ChipSupportError
    from tpukernel.isa.program import Program

    group = place.group
    streams = [bytes(binary.data) if binary else b"" for binary in (group.binary_bdc, group.binary_gdma)]
    try:
        return Program.from_streams(chip, tiu=streams[0], gdma=streams[1])
    except ChipSupportError as error:
        notes.append(f"command streams are not decoded: {error.message}")
        return None
    except TpuError as error:
        return _stream_error(place, error)


def _stream_error(place: GroupPlace, error: TpuError) -> CommandStreamError:
    where = f"{place.title}, {error.where}" if error.where else place.title
    return CommandStreamError(f"{error.code}: {error.message}", where=where, help=error.help)


def _counts(place: GroupPlace, program: Program) -> Iterator[BModelError]:
    group, found = place.group, program.groups[0]
    for engine, stated, commands in (("TIU", group.bdc_num, found.tiu), ("GDMA", group.gdma_num, found.gdma)):
        if stated != len(commands):
            yield CommandCountError(
                f"{stated} {engine} commands are stated, but there are {len(commands)} with the end command",
                where=place.title,
                help="a runtime waits for as many as are stated: more hang, less are not executed",
            )
        if not commands or not commands[-1].is_end:
            yield CommandCountError(f"the {engine} stream has no end command", where=place.title, help="close it with an end command")


def _rules(place: GroupPlace, program: Program, chip: Chip) -> Iterator[BModelError]:
    try:
        for instruction in program:
            instruction.check(chip)
    except TpuError as error:
        yield _stream_error(place, error)
        return
    if place.net.addr_mode in (0, 1):
        areas = Areas.of(place.stage)
        for instruction in program.groups[0].gdma:
            yield from _operands(place, instruction, areas, chip)


def _operands(place: GroupPlace, instruction: Instruction, areas: Areas, chip: Chip) -> Iterator[BModelError]:
    ddr = chip.regions["ddr"]
    for use in instruction.operands():
        if not isinstance(use.value, SystemTensor) or use.value.address not in ddr:
            continue
        placement = system_placement(chip, use.value)
        names = ("coeff", "ctx", "io") if use.direction == "in" else ("ctx", "io")
        if not areas.holds(use.value.address, placement.end - use.value.address, names):
            verb = "reads" if use.direction == "in" else "writes"
            yield AddressRangeError(
                f"{use.name} of {instruction.title} {verb} [{use.value.address:#x}, {placement.end:#x}), which is not in {areas}",
                where=f"{place.title}, gdma command {instruction.id}",
            )
