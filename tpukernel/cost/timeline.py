"""When each command of a program runs.

Each engine works off its commands in order; a command starts when its predecessor on the engine is finished and the command of the other
engine that it waits for is. Nothing else delays it. This is how the official compiler times its own programs (measured: start times and
totals of its listings are the same).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tpukernel.chips.chip import Chip, Engine
from tpukernel.cost.constants import CostTable, cost_table
from tpukernel.cost.figures import Figures
from tpukernel.cost.model import checked_table, cost_of
from tpukernel.cost.result import Cost, Mode, Traffic
from tpukernel.isa.instruction import Instruction

if TYPE_CHECKING:
    from tpukernel.isa.program import Group, Program

__all__ = ["Entry", "Timeline", "timeline"]

_OTHER: Mapping[Engine, Engine] = {"tiu": "gdma", "gdma": "tiu"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One command on the timeline.

    Attributes:
        group: number of its command group in the program.
        instruction: the command.
        start: cycle in which it starts.
        cost: what it costs.
    """

    group: int
    instruction: Instruction
    start: int
    cost: Cost

    @property
    def end(self) -> int:
        """First cycle in which it does not run any more."""
        return self.start + self.cost.cycles

    @property
    def engine(self) -> Engine:
        """The engine that runs it."""
        return self.instruction.engine


@dataclass(frozen=True)
class Timeline:
    """The commands of a program with their times; end commands are left out.

    Attributes:
        chip: the chip.
        mode: the mode of the cost model.
        entries: the commands in the order in which they start.
        compulsory: bytes that every implementation must read and write (inputs, coefficients, outputs); None when nobody said.
    """

    chip: Chip
    mode: Mode
    entries: tuple[Entry, ...]
    compulsory: Traffic | None = None

    @property
    def table(self) -> CostTable:
        """The figures of the chip."""
        return cost_table(self.chip)

    @property
    def cycles(self) -> int:
        """Cycles until the last command is finished."""
        return max((entry.end for entry in self.entries), default=0)

    @property
    def microseconds(self) -> float:
        """The same in microseconds."""
        return self.cycles / self.table.mhz

    def of(self, engine: Engine) -> tuple[Entry, ...]:
        """The commands of one engine, in order."""
        return tuple(entry for entry in self.entries if entry.engine == engine)

    @cached_property
    def figures(self) -> Figures:
        """What the program amounts to: busy cycles, overlap, utilisation, roofline."""
        return Figures.of(self.table, self.cycles, [(entry.engine, entry.cost) for entry in self.entries], self.compulsory)

    def advice(self) -> list[str]:
        """What would make the program faster under this model, the largest loss first."""
        from tpukernel.cost.advice import advice

        return advice(self)

    def text(self) -> str:
        """A report for people: a table of commands, totals, advice."""
        from tpukernel.cost.report import text

        return text(self)

    def svg(self, *, width: int = 760) -> str:
        """A picture of both engines; `width` in pixels."""
        from tpukernel.cost.picture import timeline_svg

        return timeline_svg(self, width)

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        from tpukernel.cost.picture import timeline_page

        return timeline_page(self)

    def json(self) -> dict[str, object]:
        """The same as data that `json.dumps` takes."""
        from tpukernel.cost.report import data

        return data(self)

    def chrome_trace(self, *, title: str = "program", process: int = 1) -> dict[str, object]:
        """A trace in the Chrome Trace Event Format (Perfetto, chrome://tracing), one track per engine.

        Args:
            title: name of the process in the trace.
            process: its number; traces of several programs with different numbers can be shown side by side.
        """
        from tpukernel.cost.trace import chrome_trace

        return chrome_trace(self, title, process)


def timeline(program: Program, *, mode: Mode = "peer", compulsory: Traffic | None = None) -> Timeline:
    """When each command of a program runs. Command groups run one after the other.

    Args:
        program: the program.
        mode: `peer` or `hw` (see `cost_of`).
        compulsory: bytes that every implementation must read and write, for the roofline; by default what the program itself moves.

    Raises:
        NoCostTableError, UnknownCostError, CostModeError: as `cost_of`.
        DependencyError, DeadlockError: the engines cannot work the commands off.
    """
    checked_table(program.chip, mode)  # also of a program without commands
    entries: list[Entry] = []
    begin = 0
    for number, group in enumerate(program.groups):
        entries += _scheduled(group, number, begin, program.chip, mode)
        begin = max((entry.end for entry in entries), default=0)
    return Timeline(program.chip, mode, tuple(sorted(entries, key=lambda entry: (entry.start, entry.end))), compulsory)


def _scheduled(group: Group, number: int, begin: int, chip: Chip, mode: Mode) -> list[Entry]:
    """The commands of a group, in the order in which they were worked off."""
    entries: list[Entry] = []
    numbers: dict[Engine, list[int]] = {"tiu": [0], "gdma": [0]}
    ends: dict[Engine, list[int]] = {"tiu": [begin], "gdma": [begin]}
    for instruction in group:
        if instruction.is_end:
            continue
        own, other, depends = instruction.engine, _OTHER[instruction.engine], instruction.depends
        waited = ends[other][bisect_right(numbers[other], depends) - 1] if depends else begin
        entry = Entry(number, instruction, max(ends[own][-1], waited), cost_of(instruction, chip, mode))
        numbers[own].append(instruction.id)
        ends[own].append(entry.end)
        entries.append(entry)
    return entries
