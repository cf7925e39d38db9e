"""Elaboration: a kernel and concrete shapes become a program.

unroll (loops, pipelines) -> allocate (addresses) -> lower (instructions) -> hazards (numbers to wait for) -> Program
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.cost import Mode, Timeline, Traffic
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.lang.allocate import Allocation, allocate
from tpukernel.lang.errors import KernelError, LocalMemoryError
from tpukernel.lang.fitting import MOST_COMMANDS, Attempt, changes_that_fit
from tpukernel.lang.hazards import Hazards, SystemRange
from tpukernel.lang.ir import KernelIr, Param
from tpukernel.lang.limits import Steps
from tpukernel.lang.lower import Lowering
from tpukernel.lang.unroll import Box, Buffer, Command, unroll
from tpukernel.lang.usage import find_misuse
from tpukernel.lang.verify import verify
from tpukernel.source import Position

__all__ = ["Elaborated", "Part", "Positions", "elaborate", "elaborate_all"]

Positions = dict[tuple[int, Engine, int], Position]
"""Where each command was written, by group, engine and number."""

SYSTEM_ALIGNMENT = 4096
"""Parameters start at multiples of this, as in the device memory of a model."""


@dataclass(frozen=True)
class Elaborated:
    """A kernel for concrete shapes.

    Attributes:
        kernel: what was elaborated.
        program: the commands, with end commands.
        systems: the parameters in system memory by name.
        allocation: the buffers in local memory.
        positions: where each command was written, by group, engine and number.
        origins: the operation of the kernel, with numbers for all sizes, that each command comes from.
        mistakes: reads of buffers that nobody wrote to, which running with checks raises, and results that nobody uses.
    """

    kernel: KernelIr
    program: Program
    systems: Mapping[str, SystemRange]
    allocation: Allocation
    positions: Mapping[tuple[int, Engine, int], Position]
    origins: Mapping[tuple[int, Engine, int], Command] = field(default_factory=dict[tuple[int, Engine, int], Command])
    mistakes: tuple[KernelError, ...] = ()

    @property
    def compulsory(self) -> Traffic:
        """Bytes that every implementation moves: each input read once, each output written once."""
        sizes = [(param.direction, self.systems[param.name]) for param in self.kernel.params]
        return Traffic(
            read=sum(place.end - place.address for direction, place in sizes if direction != "out"),
            written=sum(place.end - place.address for direction, place in sizes if direction != "in"),
        )

    def timeline(self, mode: Mode = "peer") -> Timeline:
        """When each command of the program runs; its roofline counts what is compulsory (errors as of `Program.timeline`)."""
        return self.program.timeline(mode=mode, compulsory=self.compulsory)

    def position(self, instruction: Instruction) -> Position | None:
        """Where a command of the program was written."""
        place = self._place(instruction)
        return None if place is None else self.positions.get(place)

    def where(self, instruction: Instruction, operand: str) -> str | None:
        """Where a command was written, with the indices of the loops around it, and which buffer of the kernel an operand of it is."""
        place = self._place(instruction)
        command = None if place is None else self.origins.get(place)
        text = None if command is None else command.where()
        if command is None or text is None:
            return None
        values = [use.value for use in instruction.operands() if use.name == operand]
        names = [str(box) for _, box in command.boxes() if values and self._is_in(box, values[0])]
        return f"{text}\n     {operand} is {names[0]}" if names else text

    def _is_in(self, box: Box, value: object) -> bool:
        if isinstance(value, SystemTensor) and isinstance(box.base, Param):
            return self.systems[box.base.name].address <= value.address < self.systems[box.base.name].end
        if not isinstance(value, LocalTensor) or not isinstance(box.base, Buffer):
            return False
        size = self.program.chip.lane_bytes
        slots = (slot for slot in self.allocation.slots if slot.key == box.base.slot)
        return any(slot.address % size <= value.address % size < slot.address % size + slot.bytes for slot in slots)

    def _place(self, instruction: Instruction) -> tuple[int, Engine, int] | None:
        for group, commands in enumerate(self.program.groups):
            given = commands.commands(instruction.engine)
            if 0 < instruction.id <= len(given) and given[instruction.id - 1] is instruction:
                return group, instruction.engine, instruction.id
        return None


def elaborate(
    kernel: KernelIr,
    shapes: Mapping[str, tuple[int, ...]],
    chip: Chip,
    *,
    addresses: Mapping[str, int] | None = None,
    group_limit: int | None = None,
    limit: int | None = None,
) -> Elaborated:
    """The program of a kernel.

    Args:
        kernel: the traced kernel.
        shapes: shapes of its parameters by name.
        chip: the chip.
        addresses: system addresses of parameters; the others follow each other from the begin of the DDR on.
        group_limit: largest command number of a group (see `Program`).
        limit: how many steps the kernel may unroll to, commands and turns of loops; None: any number. A kernel with a
            limit may have 1000 buffers.

    Raises:
        UnrollLimitError: it unrolls to more.
        KernelError, TpuError: the kernel cannot be; the message names the line.
    """
    builder = _ProgramBuilder(chip, group_limit)
    try:
        systems, allocation, commands = _add(builder, Part(kernel, shapes, addresses or {}, limit=limit), chip)
    except LocalMemoryError as error:
        count = error.commands
        error.changes = lambda: _changes(kernel, shapes, chip, count, limit)
        raise
    return Elaborated(kernel, builder.program.end(), systems, allocation, builder.positions, builder.origins, tuple(find_misuse(commands)))


@dataclass(frozen=True)
class Part:
    """A kernel that is one of several in a program.

    Attributes:
        kernel: the traced kernel.
        shapes: shapes of its parameters by name.
        addresses: system addresses of parameters.
        first_byte: where buffers without an address of the author's may begin in a lane: below it, everything has one.
        limit: as of `elaborate`.
        apart: it begins a command group: something else happens between the parts before it and this one.
    """

    kernel: KernelIr
    shapes: Mapping[str, tuple[int, ...]]
    addresses: Mapping[str, int]
    first_byte: int = 0
    limit: int | None = None
    apart: bool = False


def elaborate_all(parts: Iterable[Part], chip: Chip) -> tuple[Program, list[Positions], list[int]]:
    """One program of several kernels, one after the other. Raises as `elaborate`.

    Returns:
        The program; for each kernel, where its commands were written; for each, the number of the group in which it begins.
    """
    builder = _ProgramBuilder(chip, None)
    positions: list[Positions] = []
    begins: list[int] = []
    for part in parts:
        if part.apart:
            builder.start_group()
        builder.positions = {}
        begins.append(len(builder.program.groups) - 1)
        _add(builder, part, chip)
        positions.append(builder.positions)
    return builder.program.end(), positions, begins


def _add(builder: _ProgramBuilder, part: Part, chip: Chip) -> tuple[Mapping[str, SystemRange], Allocation, Sequence[Command]]:
    """The commands of a kernel."""
    verify(part.kernel)
    systems = _systems(part.kernel, part.shapes, chip, part.addresses)
    commands = unroll(part.kernel, part.shapes, chip, limit=part.limit)
    allocation = allocate(commands, chip, first_byte=part.first_byte)
    builder.systems += systems.values()
    lowering = Lowering(allocation.addresses, {name: each.address for name, each in systems.items()}, chip)
    steps = Steps(part.kernel.name, part.limit)
    for command in commands:
        before = builder.compared
        builder.add(command, lowering.instructions(command))
        steps.compare(command.position, builder.compared - before)
    return systems, allocation, commands


def _changes(kernel: KernelIr, shapes: Mapping[str, tuple[int, ...]], chip: Chip, commands: int, limit: int | None) -> Sequence[str]:
    """Changes of a representation that make it fit; none for one that takes too long."""
    if commands > MOST_COMMANDS:
        return []
    return changes_that_fit(Attempt(kernel, shapes, chip, lambda other, sizes: elaborate(other, sizes, chip, limit=limit), {}, {}))


def _systems(
    kernel: KernelIr, shapes: Mapping[str, tuple[int, ...]], chip: Chip, addresses: Mapping[str, int]
) -> Mapping[str, SystemRange]:
    found: dict[str, SystemRange] = {}
    free = chip.regions["ddr"].base
    for param in kernel.params:
        given = SystemRange(addresses.get(param.name, free), shapes[param.name], param.dtype.itemsize)
        found[param.name] = given
        free = max(free, -(-given.end // SYSTEM_ALIGNMENT) * SYSTEM_ALIGNMENT)
    return found


class _ProgramBuilder:
    """Appends instructions to a program, each waiting for no more than it has to."""

    def __init__(self, chip: Chip, group_limit: int | None) -> None:
        self.program = Program(chip, group_limit=group_limit)
        self.positions: Positions = {}
        self.origins: dict[tuple[int, Engine, int], Command] = {}
        self.systems: list[SystemRange] = []
        self._hazards = Hazards(chip, self.systems)
        self._last: dict[Command, Instruction] = {}

    @property
    def compared(self) -> int:
        """How many operands were looked at to find whom each command waits for."""
        return self._hazards.compared

    def start_group(self) -> None:
        """What comes now waits for everything before."""
        self.program.start_group()
        self._hazards.forget()

    def add(self, command: Command, instructions: Sequence[Instruction]) -> None:
        """The instructions of one command."""
        asked = [self._last[each] for each in command.waits if each in self._last]
        for instruction in instructions:
            groups = len(self.program.groups)
            touches = self._hazards.touches(instruction)
            derived = self._hazards.awaited(instruction, touches, command.section)
            awaited = [*asked, *([derived] if derived is not None else [])]
            place = command.position
            placed = instruction if place is None else instruction.located(str(place))
            appended = self.program.append(placed, after=awaited)
            if len(self.program.groups) > groups:
                self._hazards.forget()
            self._hazards.issue(appended, touches, command.section, awaited)
            self._last[command] = appended
            key = (len(self.program.groups) - 1, appended.engine, appended.id)
            self.origins[key] = command
            if place is not None:
                self.positions[key] = place
