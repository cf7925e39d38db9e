"""Recordings: which commands a run executed, and what they read and wrote.

A recording has an `Entry` for every event of the run (see `bmlang.runtime.events`), in the order of execution, and a `Value` for each of
its operands. A value always has a digest of the elements, which is enough to tell whether two are equal; the elements themselves are kept
where that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal, Protocol
from urllib.parse import quote

import numpy as np

from bmlang.runtime.errors import RecordingElementsError, ReferenceArrayError
from bmlang.runtime.events import Place
from tpukernel.dtypes import Dtype
from tpukernel.sim.memory import Array

__all__ = ["KEEP", "Entry", "Keep", "MemoryStore", "Recording", "Store", "Value", "digest_of", "value_path"]

Keep = Literal["digests", "results", "all"]
KEEP: Final[tuple[Keep, ...]] = ("digests", "results", "all")
"""What a recording keeps the elements of: nothing, results, or also what the commands read."""

DIGEST_BYTES: Final = 16


def digest_of(array: Array) -> str:
    """A digest of the bits of the elements (BLAKE2b, 16 bytes) as hexadecimal text."""
    return blake2b(np.ascontiguousarray(array).view(np.uint8).data, digest_size=DIGEST_BYTES).hexdigest()


@dataclass(frozen=True)
class Value:
    """The elements of one operand at one moment.

    Attributes:
        path: its name in the recording (see `value_path`).
        name: the name of the operand or tensor.
        dtype, shape: of the elements.
        digest: see `digest_of`.
        kept: whether the recording has the elements.
        place: where they lie in the DDR; None for other memories, and for what was read.
    """

    path: str
    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    digest: str
    kept: bool
    place: Place | None = None


@dataclass(frozen=True)
class Entry:
    """One event of a run.

    Attributes:
        launch: which launch of the recording, from 0 on.
        position: how many commands and host operators the launch executed before.
        net, stage, subnet, group, engine, number, title, text: as in `Event`.
        selected: whether inputs and results were recorded; without that, they are empty.
        inputs, results: what was read and written, by the name of the operand or tensor.
        node: as in `Event`.
    """

    launch: int
    position: int
    net: str
    stage: int
    subnet: int | None
    group: int | None
    engine: str
    number: int
    title: str
    text: str
    selected: bool
    inputs: Mapping[str, Value]
    results: Mapping[str, Value]
    node: str = ""

    @property
    def key(self) -> tuple[int, int | None, int | None, str, int]:
        """What two runs of one program have in common for the same command, whatever the order of execution."""
        return self.launch, self.subnet, self.group, self.engine, self.number

    @property
    def where(self) -> str:
        """Which one it is, for people."""
        if self.engine in ("tiu", "gdma"):
            what = f"{self.engine} command {self.number} ({self.title})"
        else:
            what = self.title if self.engine == "host" else self.text
        places = [f"net {self.net!r}", f"stage {self.stage}"]
        places += [f"subnet {self.subnet}"] if self.subnet is not None else []
        places += [f"group {self.group}"] if self.group else []
        places += [f"launch {self.launch}"] if self.launch else []
        return f"{what} of {', '.join(places)}"


def value_path(
    launch: int, subnet: int | None, group: int | None, engine: str, number: int, title: str, name: str, *, is_input: bool
) -> str:
    """The name of a value in a recording: `0/0/0/tiu/3/dst` for the result of a command (launch, subnet, group, engine, number), with `in/`
    before the operand for what it read; `0/0/host/output0`; `0/inputs/x`, `0/outputs/y` and `0/0/subnet/t` for tensors of the net.

    Characters of tensor names that are not usual in file names are written as `%NN`.
    """
    parts = [launch, subnet, group, title if engine == "net" else engine, number if engine in ("tiu", "gdma") else None]
    parts += ["in" if is_input else None, quote(name, safe="", errors="surrogateescape")]
    return "/".join(str(part) for part in parts if part is not None)


class Store(Protocol):
    """Where the elements of a recording are."""

    def put(self, path: str, array: Array) -> None:
        """Keep a copy of an array."""
        ...

    def get(self, value: Value) -> Array:
        """The elements of a value that was kept."""
        ...


class MemoryStore:
    """Keeps arrays in the memory of this process."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def put(self, path: str, array: Array) -> None:
        self._arrays[path] = array.copy()

    def get(self, value: Value) -> Array:
        return self._arrays[value.path].copy()


@dataclass
class Recording:
    """What a run did. `Runtime.record` makes one, `load_recording` reads one from a file.

        recording["tiu/3/dst"]      # the result of a command, by the end of its path
        recording["y"]              # a tensor of the net

    Attributes:
        chip: name of the chip.
        keep: of what the elements were to be kept.
        entries: what happened, in order.
        store: where the elements are.
        error: the error that ended the run early; None where none did.
        dropped: how many values have no elements because the recording had reached its size.
    """

    chip: str
    keep: Keep
    entries: list[Entry]
    store: Store
    error: str | None = None
    dropped: int = 0

    def __repr__(self) -> str:
        launches = len({entry.launch for entry in self.entries})
        commands = [entry for entry in self.entries if entry.engine != "net"]
        recorded = sum(entry.selected for entry in commands)
        notes = [f"keep={self.keep!r}"]
        notes += [f"{self.dropped} values beyond the size limit have digests only"] if self.dropped else []
        notes += [f"ended by {self.error.splitlines()[0]}"] if self.error else []
        return f"<Recording {self.chip}: {launches} launches, {len(commands)} commands, {recorded} recorded, {', '.join(notes)}>"

    def values(self) -> Iterator[tuple[Entry, Value]]:
        """All values, with the entry that each belongs to."""
        for entry in self.entries:
            for values in (entry.inputs, entry.results):
                yield from ((entry, value) for value in values.values())

    def array(self, value: Value) -> Array:
        """The elements of a value: an array of its own.

        Raises:
            RecordingElementsError: they were not kept, or the file has something else in their place.
            RecordingStateError: the recording is still being written to a file.
        """
        if not value.kept:
            raise RecordingElementsError(
                f"the elements of {value.path} were not kept, only their digest",
                help="record with keep='results' (or 'all' for what commands read), and select few commands",
            )
        return self.store.get(value)

    def find(self, name: str) -> tuple[Entry, Value]:
        """The value whose path is `name` or ends with it; tensors of the net (by their name) come before operands of commands.

        Raises:
            ReferenceArrayError: there is none, or there are several.
        """
        tensors = [(entry, value) for entry, value in self.values() if entry.engine == "net" and value.name == name]
        found = tensors or [(entry, value) for entry, value in self.values() if f"/{value.path}".endswith(f"/{name}")]
        if len(found) != 1:
            paths = ", ".join(value.path for _, value in found[:3])
            raise ReferenceArrayError(
                f"the recording has {len(found)} values {name!r}" + (f": {paths}" if found else ""),
                help="say more of the path" if found else "use the name of a tensor of the net, or ENGINE/NUMBER/OPERAND as in tiu/3/dst",
            )
        return found[0]

    def __getitem__(self, name: str) -> Array:
        """The elements of `find(name)`."""
        return self.array(self.find(name)[1])
