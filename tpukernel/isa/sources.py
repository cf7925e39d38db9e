"""Files that hold command streams. Who knows a file format registers a reader for it; nothing here knows any format.

A reader is an entry point of the group `tpukernel.streams`, a function that takes the path of a file:

    [project.entry-points."tpukernel.streams"]
    bmodel = "bmlang.bmodel.streams:read_streams"

It returns the streams, or None when the file is of another format. Errors of a file that is of its format it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from tpukernel.chips.chip import Engine
from tpukernel.isa.errors import StreamSourceError
from tpukernel.isa.program import ENGINES, Program

__all__ = ["GROUP", "CommandStreams", "StreamReader", "read_streams"]

GROUP = "tpukernel.streams"
"""Group of the entry points."""


@dataclass(frozen=True)
class CommandStreams:
    """The streams of one command group.

    Attributes:
        title: where in its file it is, for example `net 'add', stage 0, subnet 0, group 0`.
        chip: name of the chip.
        tiu, gdma: the streams.
        read_bytes, written_bytes: what every program with the same result has to read from system memory (inputs, coefficients) and to
            write to it (outputs); None where that is not known.
        names: by engine and number (from 1 on) what a command belongs to, an operator and the line of the user's source; not every file
            tells it.
    """

    title: str
    chip: str
    tiu: bytes
    gdma: bytes
    read_bytes: int | None = None
    written_bytes: int | None = None
    names: Mapping[tuple[Engine, int], str] = field(default_factory=dict[tuple[Engine, int], str])

    def program(self) -> Program:
        """The streams as a program, whose commands know what they belong to.

        Raises:
            StreamError, DependencyError: as of `Program.from_streams`.
        """
        program = Program.from_streams(self.chip, tiu=self.tiu, gdma=self.gdma)
        for engine in ENGINES:
            commands = program.groups[0].commands(engine)
            for place, command in enumerate(commands):
                name = self.names.get((engine, place + 1))
                commands[place] = command if name is None else command.located(name)
        return program


StreamReader = Callable[[Path], Iterable[CommandStreams] | None]
"""What an entry point of the group is."""


def read_streams(path: Path) -> list[CommandStreams]:
    """The command streams of a file, read by whoever knows its format.

    Raises:
        StreamSourceError: nobody knows the format.
        TpuError: the file is damaged; which error, the reader decides.
        OSError: the file cannot be read.
    """
    readers = {entry.name: entry for entry in entry_points(group=GROUP)}
    for name in sorted(readers):
        found = cast("StreamReader", readers[name].load())(path)
        if found is not None:
            return list(found)
    known = ", ".join(sorted(readers)) or "none"
    raise StreamSourceError(
        f"no reader knows the format of {path}", help=f"registered formats: {known}; raw streams go to --tiu and --gdma"
    )
