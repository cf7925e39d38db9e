"""Programs: the commands of both engines with their numbers and dependencies.

Each engine works off its own stream in order. A command carries its own number and the number of the last command of the *other* engine
that must be finished before it starts. `Program.append` gives the numbers as the official library does:

* In order (the normal state) a command waits for the latest command of the other engine.
* In a parallel section (`with program.parallel():`, `tpu_parallel_start` and `tpu_parallel_end` of the C API) every command waits for
  what the other engine had been given before the section, so that both engines run side by side; the first command behind the section
  waits for all of it.
* When the numbers of an engine run out, a new group starts: the engines finish the old one, and the numbers begin again at 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tpukernel.chips.chip import Chip, Engine, chip_of
from tpukernel.isa.codec import decode, encode
from tpukernel.isa.dma_sys import DmaSys, DmaSysOp
from tpukernel.isa.errors import DeadlockError, DependencyError, EndCommandError, ParallelSectionError
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.numbering import IdNode, Numbering
from tpukernel.isa.sys import Sys, SysOp
from tpukernel.isa.tables import format_of

if TYPE_CHECKING:
    from tpukernel.cost.result import Mode, Traffic
    from tpukernel.cost.timeline import Timeline

__all__ = ["Group", "Program", "Statistics"]

ENGINES: Final[tuple[Engine, Engine]] = ("tiu", "gdma")
_OTHER: dict[Engine, Engine] = {"tiu": "gdma", "gdma": "tiu"}


@dataclass(frozen=True)
class Statistics:
    """What a program amounts to.

    Attributes:
        commands: number of commands by engine, end commands not counted.
        units: number of commands by the name of their unit.
        bytes_moved: bytes that the GDMA commands write.
        macs: multiply-accumulate operations of the TIU commands.
        stream_bytes: bytes of the encoded streams by engine, filling included.
    """

    commands: dict[Engine, int]
    units: dict[str, int]
    bytes_moved: int
    macs: int
    stream_bytes: dict[Engine, int]


@dataclass
class Group:
    """One command group: what both engines work off before the next group starts. Commands are in the order of their numbers."""

    tiu: list[Instruction] = field(default_factory=list["Instruction"])
    gdma: list[Instruction] = field(default_factory=list["Instruction"])

    def commands(self, engine: Engine) -> list[Instruction]:
        """The commands of one engine, the end command included."""
        return self.tiu if engine == "tiu" else self.gdma

    @property
    def ended(self) -> bool:
        """Whether both engines have their end command."""
        return all(bool(commands) and commands[-1].is_end for commands in (self.tiu, self.gdma))

    def __iter__(self) -> Iterator[Instruction]:
        """The commands in an order that their numbers allow: a TIU command as soon as it may run, otherwise a GDMA command.

        Raises:
            DependencyError: a command waits for a number that never comes.
            DeadlockError: the next commands of both engines wait for each other.
        """
        tiu, gdma = self.tiu, self.gdma
        numbers = [instruction.numbers for instruction in tiu], [instruction.numbers for instruction in gdma]
        next_tiu = next_gdma = finished_tiu = finished_gdma = 0
        while True:
            if next_tiu < len(tiu) and numbers[0][next_tiu][1] <= finished_gdma:
                yield tiu[next_tiu]
                finished_tiu = numbers[0][next_tiu][0]
                next_tiu += 1
            elif next_gdma < len(gdma) and numbers[1][next_gdma][1] <= finished_tiu:
                yield gdma[next_gdma]
                finished_gdma = numbers[1][next_gdma][0]
                next_gdma += 1
            else:
                break
        stuck = [*tiu[next_tiu : next_tiu + 1], *gdma[next_gdma : next_gdma + 1]]
        if stuck:
            raise _stuck(stuck, {"tiu": finished_tiu, "gdma": finished_gdma})


def _stuck(stuck: Sequence[Instruction], finished: dict[Engine, int]) -> DependencyError | DeadlockError:
    def waits(instruction: Instruction) -> str:
        other = _OTHER[instruction.engine]
        return f"{instruction.engine} command {instruction.id} ({instruction.title}) waits for {other} command {instruction.depends}"

    if len(stuck) == 2:
        return DeadlockError(
            f"{waits(stuck[0])} while {waits(stuck[1])}",
            where=stuck[0].where,
            help="one of the two must wait for an earlier command; Program.append gives numbers that cannot do this",
        )
    (instruction,) = stuck
    other = _OTHER[instruction.engine]
    return DependencyError(
        f"{waits(instruction)}, but the last {other} command is {finished[other]}",
        where=instruction.where,
        help=f"add the missing {other} commands: both engines of a command group belong together",
    )


class Program:
    """The commands of both engines for one run.

    Args:
        chip: the chip or its name.
        group_limit: largest command number in a group, the end command included; the chip's limit by default.

    Attributes:
        chip: the chip.
        groups: the command groups; commands are appended to the last one.
        numbers: where the numbers of that group stand.
    """

    def __init__(self, chip: Chip | str, *, group_limit: int | None = None) -> None:
        self.chip = chip_of(chip)
        self.group_limit = self.chip.max_command_id if group_limit is None else group_limit
        if not 2 <= self.group_limit <= self.chip.max_command_id:
            raise ValueError(f"group_limit {self.group_limit} is not between 2 and {self.chip.max_command_id}")
        self.groups: list[Group] = [Group()]
        self.numbers = Numbering()

    @classmethod
    def from_streams(cls, chip: Chip | str, tiu: bytes = b"", gdma: bytes = b"") -> Program:
        """The program of one command group as a BModel holds it.

        Raises:
            StreamError: a stream cannot be read (see `decode`).
            DependencyError: the numbers of an engine are not 1, 2, 3, ...
        """
        program = cls(chip)
        group = program.groups[0]
        group.tiu, group.gdma = decode(program.chip, "tiu", tiu), decode(program.chip, "gdma", gdma)
        for engine in ENGINES:
            for number, instruction in enumerate(group.commands(engine), start=1):
                if instruction.numbers[0] != number:
                    raise DependencyError(
                        f"{engine} command {number} ({instruction.title}) has number {instruction.id}",
                        where=instruction.where,
                        help="give the whole stream of one command group: its numbers are 1, 2, 3, ...",
                    )
        program.numbers.node = IdNode(len(group.tiu), len(group.gdma))
        return program

    # ------------------------------------------------------------------ building

    def append(self, instruction: Instruction, after: Sequence[Instruction] | None = None) -> Instruction:
        """Add an instruction and return it with its numbers.

        Args:
            instruction: what to add.
            after: commands of this program, as `append` returned them, for which it waits and for no others; those of its own engine and of
                earlier groups are finished anyway. By default it waits for what the state of the numbers says.

        Raises:
            EndCommandError: the program has its end commands already, or the instruction is one.
            ChipSupportError: the chip has no such unit.
            DependencyError: `numbers` were set to others than those of this stream.
        """
        if instruction.is_end or self.groups[-1].ended:
            raise EndCommandError(f"{instruction.title} cannot be appended", help="Program.end() adds the end commands, once, at the end")
        format_of(self.chip, type(instruction))
        commands = self.groups[-1].commands(instruction.engine)
        if len(commands) + 2 > self.group_limit:  # the end command needs a number, too
            self.start_group()
            commands = self.groups[-1].commands(instruction.engine)
        number = len(commands) + 1
        awaited = self.numbers.take(instruction.engine, number)
        numbered = instruction.numbered(number, awaited if after is None else self._last_of(after, _OTHER[instruction.engine]))
        commands.append(numbered)
        return numbered

    def _last_of(self, commands: Sequence[Instruction], engine: Engine) -> int:
        """The largest number of those commands that are of this engine and in the last group."""
        given = self.groups[-1].commands(engine)
        return max(
            (each.id for each in commands if each.engine == engine and each.id <= len(given) and given[each.id - 1] is each), default=0
        )

    def extend(self, instructions: Sequence[Instruction]) -> None:
        """Append several instructions."""
        for instruction in instructions:
            self.append(instruction)

    @contextmanager
    def parallel(self) -> Generator[None]:
        """A parallel section: the commands added in it wait only for what was there before it.

        Raises:
            ParallelSectionError: inside another parallel section.
        """
        self.parallel_start()
        try:
            yield
        finally:
            self.parallel_end()

    def parallel_start(self) -> None:
        """Open a parallel section (`tpu_parallel_start`)."""
        self.numbers.open()

    def parallel_end(self) -> None:
        """Close the parallel section (`tpu_parallel_end`)."""
        self.numbers.close()

    @property
    def in_parallel(self) -> bool:
        """Whether a parallel section is open."""
        return self.numbers.parallel

    def end(self) -> Program:
        """Add the end commands of both engines; nothing can be appended afterwards.

        Raises:
            ParallelSectionError: a parallel section is open.
            EndCommandError: they are there already.
        """
        if self.in_parallel:
            raise ParallelSectionError("the program cannot end inside a parallel section", help="close the section first")
        if self.groups[-1].ended:
            raise EndCommandError("the program has its end commands already", help="call end() once")
        _end(self.groups[-1])
        return self

    def start_group(self) -> None:
        """Begin a command group: both engines finish all that was added, and the numbers begin again.

        Raises:
            EndCommandError: the program has its end commands already.
        """
        if self.groups[-1].ended:
            raise EndCommandError("a group cannot begin behind the end commands", help="call start_group() before end()")
        _end(self.groups[-1])
        self.groups.append(Group())
        self.numbers.restart()  # both engines have finished everything before: the rest of a section waits for nothing

    # ------------------------------------------------------------------ reading

    def streams(self, group: int = 0) -> dict[Engine, bytes]:
        """The encoded streams of a command group by engine, with end commands and filling if they were added."""
        return {engine: encode(self.chip, self.groups[group].commands(engine)) for engine in ENGINES}

    def __iter__(self) -> Iterator[Instruction]:
        """All instructions in an order that their numbers allow (see `Group.__iter__`)."""
        for group in self.groups:
            yield from group

    def __len__(self) -> int:
        """Number of commands, end commands included."""
        return sum(len(group.tiu) + len(group.gdma) for group in self.groups)

    def check(self) -> None:
        """Raise the first breach of a rule of the chip.

        Raises:
            LegalityError: the chip forbids an instruction.
            DependencyError, DeadlockError: the engines cannot work the commands off.
        """
        for instruction in self:
            instruction.check(self.chip)

    def statistics(self) -> Statistics:
        """Commands, bytes and multiply-accumulates of the whole program."""
        found = [instruction for group in self.groups for engine in ENGINES for instruction in group.commands(engine)]
        work = [instruction for instruction in found if not instruction.is_end]
        streams = [self.streams(number) for number in range(len(self.groups))]
        return Statistics(
            commands={engine: sum(instruction.engine == engine for instruction in work) for engine in ENGINES},
            units=dict(Counter(instruction.unit for instruction in work).most_common()),
            bytes_moved=sum(instruction.bytes_moved for instruction in work),
            macs=sum(instruction.macs for instruction in work),
            stream_bytes={engine: sum(len(stream[engine]) for stream in streams) for engine in ENGINES},
        )

    def listing(self) -> str:
        """The program as text, one line a command, in an order that the numbers allow."""
        from tpukernel.isa.listing import list_group

        return "\n".join("\n".join(list_group(group, self.chip)) for group in self.groups)

    def timeline(self, *, mode: Mode = "peer", compulsory: Traffic | None = None) -> Timeline:
        """When each command runs, and what the program costs (see `tpukernel.cost.timeline.timeline`).

        Raises:
            NoCostTableError: what commands of the chip cost is not known.
            UnknownCostError: the cost of a command is not known.
            CostModeError: there is no such mode.
            DependencyError, DeadlockError: the engines cannot work the commands off.
        """
        # The one import that goes upward: a program is what people hold, and the cost model stays above the instructions that it counts.
        from tpukernel.cost.timeline import timeline

        return timeline(self, mode=mode, compulsory=compulsory)

    def _repr_html_(self) -> str:
        """The program for notebooks: counts, timeline, listing."""
        from tpukernel.cost.picture import program_page  # upward as in `timeline`, and for the same reason

        return program_page(self)


def _end(group: Group) -> None:
    group.tiu.append(Sys(op=SysOp.END, id=len(group.tiu) + 1))
    group.gdma.append(DmaSys(op=DmaSysOp.END, id=len(group.gdma) + 1))
