"""Making recordings: a trace that turns events into entries, and a context in which it listens."""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bmlang.runtime.errors import RecordingOptionError
from bmlang.runtime.events import ENGINES, INPUTS, Event
from bmlang.runtime.recording import KEEP, Entry, Keep, MemoryStore, Recording, Value, digest_of, value_path
from bmlang.runtime.recording_file import written_recording
from tpukernel.dtypes import dtype_of
from tpukernel.sim.memory import Array

__all__ = ["DEFAULT_BYTES", "Recorder", "Selection", "recording_to"]

DEFAULT_BYTES: Final = 1 << 30


@dataclass(frozen=True)
class Selection:
    """What a recording keeps.

    Attributes:
        keep: of what the elements are kept.
        engines: only the commands of these (`tiu`, `gdma`, `host`); None for all.
        units: only these, by the name in listings: a family (`conv`) or one operation of it (`arith.add`); None for all.
        commands: only these positions of each launch, in the order of execution, from 0 on; None for all.
        max_bytes: bytes of elements at most; behind it there are digests only.

    Commands that are not selected are named in the recording, without their operands. Inputs and outputs of the net are always recorded.

    Raises:
        RecordingOptionError: an engine or `keep` that does not exist, or a negative size.
    """

    keep: Keep = "results"
    engines: Collection[str] | None = None
    units: Collection[str] | None = None
    commands: range | None = None
    max_bytes: int = DEFAULT_BYTES

    def __post_init__(self) -> None:
        if self.keep not in KEEP:
            raise RecordingOptionError(f"keep is {self.keep!r}", help=f"use one of {', '.join(KEEP)}")
        for name in ("engines", "units"):
            if isinstance(getattr(self, name), str):
                raise RecordingOptionError(f"{name} is a text, not a list of them", help=f"use {name}=[{getattr(self, name)!r}]")
        engines = ENGINES[1:]
        if unknown := sorted(set(self.engines or ()) - set(engines)):
            raise RecordingOptionError(f"there is no engine {', '.join(map(repr, unknown))}", help=f"use one of {', '.join(engines)}")
        if self.max_bytes < 0:
            raise RecordingOptionError(f"max_bytes is {self.max_bytes}", help="give the number of bytes that the recording may have")

    def has(self, event: Event, position: int) -> bool:
        """Whether the operands of an event are recorded."""
        if event.engine == "net":
            return True
        names = (event.title, event.title.partition(".")[0])
        return (
            (self.engines is None or event.engine in self.engines)
            and (self.units is None or any(name in self.units for name in names))
            and (self.commands is None or position in self.commands)
        )


@dataclass
class Recorder:
    """A trace (see `bmlang.runtime.events`) that adds to a recording."""

    recording: Recording
    selection: Selection
    _launch: int = field(default=-1, init=False)
    _position: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)

    def __call__(self, event: Event) -> None:
        if event.engine == "net" and event.title == INPUTS:
            self._launch, self._position = self._launch + 1, 0
        selected = self.selection.has(event, self._position)
        inputs = self._values(event, event.inputs, is_input=True) if selected else {}
        results = self._values(event, event.results, is_input=False) if selected else {}
        where = (event.net, event.stage, event.subnet, event.group, event.engine, event.number, event.title, event.text)
        self.recording.entries.append(Entry(self._launch, self._position, *where, selected, inputs, results, event.node))
        self._position += event.engine != "net"

    def _values(self, event: Event, arrays: Mapping[str, Array], *, is_input: bool) -> dict[str, Value]:
        return {name: self._value(event, name, array, is_input=is_input) for name, array in arrays.items()}

    def _value(self, event: Event, name: str, array: Array, *, is_input: bool) -> Value:
        where = (self._launch, event.subnet, event.group, event.engine, event.number, event.title)
        path = value_path(*where, name, is_input=is_input)
        wanted = self.selection.keep == "all" or (self.selection.keep == "results" and not is_input)
        kept = wanted and self._bytes + array.nbytes <= self.selection.max_bytes
        if kept:
            self.recording.store.put(path, array)
            self._bytes += array.nbytes
        self.recording.dropped += wanted and not kept
        place = None if is_input else event.places.get(name)
        return Value(path, name, dtype_of(array.dtype), array.shape, digest_of(array), kept, place)


@contextmanager
def recording_to(path: str | os.PathLike[str] | None, chip: str, selection: Selection) -> Generator[Recorder]:
    """A recorder whose recording is in memory, or in a file that is there when the context ends, also after an error.

    Raises:
        OSError: the file cannot be written.
    """
    if path is None:
        yield Recorder(Recording(chip, selection.keep, [], MemoryStore()), selection)
    else:
        with written_recording(Path(path), chip, selection.keep) as recording:
            yield Recorder(recording, selection)
