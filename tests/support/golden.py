"""Typed access to the golden fixtures: instruction bytes and memory images recorded from the official BM1684X library.

``tests/data/golden_bm1684x`` holds

* ``index.json``: what was called (one case per line) and ``doc``, the meaning of the fields;
* ``streams.npz``: the instruction bytes of all cases, one after the other;
* ``memory.npz``: the memory runs of all cases, one after the other;
* ``static.npz``: the 16 KiB static memory (address 0x9000000) that a few cases read.

The files are made by ``make_fixtures.py`` from a recording; nothing is unpickled when they are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parents[1] / "data" / "golden_bm1684x"
ENGINES = ("tiu", "gdma")
SPACES = ("lmem", "ddr", "l2")
PHASES = ("in", "out")
FILL = {"lmem": 0xA7, "ddr": 0, "l2": 0}
"""Byte that fills a memory space before the initial runs are written."""

Bytes = NDArray[np.uint8]
ParamValue = int | float | bool | None | list[int] | dict[str, int]
"""A scalar, ``None`` for a NULL stride, [n, c, h, w] (dim4) and the like, or {"const": raw} / {"addr": local} for a ``variable_t``."""


@dataclass(frozen=True)
class Run:
    """Consecutive bytes of a memory space, ``offset`` counted from the start of the space."""

    offset: int
    data: Bytes


@dataclass(frozen=True)
class GoldenCall:
    """One call of a TPUKernel function, parameters by their names in the public header."""

    function: str
    params: Mapping[str, ParamValue]


@dataclass(frozen=True)
class GoldenTensor:
    """An operand region: ``layout`` is "eu", "compact" or another name of the index, ``role`` one of in, out, inout, work."""

    name: str
    space: str
    addr: int
    shape: tuple[int, ...]
    dtype: str
    layout: str
    role: str


@dataclass(frozen=True)
class GoldenInstruction:
    """A recorded instruction by name, with its non-zero fields (programs list only ``cmd_id`` and ``cmd_id_dep``)."""

    engine: str
    name: str
    subop: int | None
    fields: Mapping[str, int]


@dataclass(frozen=True)
class GoldenCase:
    """One recorded call (``calls`` has one entry), or a program (several), or a hand-assembled instruction (``raw_instruction``, no calls).

    ``initial`` and ``expected`` give memory runs by space: the space starts as ``FILL`` plus the initial runs and ends as that plus the
    expected runs; every other byte is unchanged. ``prelude`` are calls that ran before the initial image was taken.
    """

    id: str
    function: str
    params: Mapping[str, ParamValue]
    calls: tuple[GoldenCall, ...]
    end_command: bool
    raw_instruction: bool
    dtypes: Mapping[str, str | int | bool]
    tensors: tuple[GoldenTensor, ...]
    prelude: tuple[tuple[str, tuple[int, ...]], ...]
    instructions: tuple[GoldenInstruction, ...]
    tiu: bytes
    gdma: bytes
    position: int = field(repr=False)

    @property
    def is_program(self) -> bool:
        return self.function == "program"

    @property
    def initial(self) -> Mapping[str, tuple[Run, ...]]:
        return _memory().runs("in", self.position)

    @property
    def expected(self) -> Mapping[str, tuple[Run, ...]]:
        return _memory().runs("out", self.position)


class _Memory:
    """The memory runs of all cases; ``<phase>_<space>_count`` says how many runs belong to each case."""

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        self._data: dict[str, Bytes] = {}
        self._offset: dict[str, list[int]] = {}
        self._bounds: dict[str, list[int]] = {}
        self._first: dict[str, list[int]] = {}
        for key in (f"{phase}_{space}" for phase in PHASES for space in SPACES):
            self._data[key] = arrays[f"{key}_data"].astype(np.uint8, copy=False)
            self._offset[key] = [int(v) for v in arrays[f"{key}_start"]]
            self._bounds[key] = _starts(arrays[f"{key}_len"])
            self._first[key] = _starts(arrays[f"{key}_count"])

    def runs(self, phase: str, position: int) -> dict[str, tuple[Run, ...]]:
        return {space: tuple(self._space(f"{phase}_{space}", position)) for space in SPACES}

    def _space(self, key: str, position: int) -> Iterator[Run]:
        bounds, data = self._bounds[key], self._data[key]
        for k in range(self._first[key][position], self._first[key][position + 1]):
            yield Run(self._offset[key][k], data[bounds[k] : bounds[k + 1]])


def _starts(lengths: NDArray[np.generic]) -> list[int]:
    return [0, *(int(v) for v in np.cumsum(lengths.astype(np.int64)))]


def _arrays(name: str) -> dict[str, NDArray[np.generic]]:
    with np.load(FOLDER / name, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@cache
def _memory() -> _Memory:
    return _Memory(_arrays("memory.npz"))


class _CallEntry(TypedDict):
    function: str
    params: dict[str, ParamValue]


class _Entry(TypedDict):
    id: str
    function: str
    params: dict[str, ParamValue]
    dtypes: dict[str, str | int | bool]
    tensors: list[list[str | int | list[int]]]
    instructions: list[list[str | int | dict[str, int] | None]]
    calls: NotRequired[list[_CallEntry]]
    end_command: NotRequired[bool]
    raw_instruction: NotRequired[bool]
    prelude: NotRequired[list[list[str | list[int]]]]


class _Index(TypedDict):
    doc: dict[str, str]
    cases: list[_Entry]


def _tensor(row: list[str | int | list[int]]) -> GoldenTensor:
    name, space, addr, shape, dtype, layout, role = row
    extent = tuple(cast("list[int]", shape))
    return GoldenTensor(str(name), str(space), cast(int, addr), extent, str(dtype), str(layout), str(role))


def _case(position: int, entry: _Entry, streams: Mapping[str, bytes]) -> GoldenCase:
    single = [] if entry["function"] == "program" or entry.get("raw_instruction") else [GoldenCall(entry["function"], entry["params"])]
    return GoldenCase(
        id=entry["id"],
        function=entry["function"],
        params=entry["params"],
        calls=tuple([GoldenCall(call["function"], call["params"]) for call in entry.get("calls", [])] or single),
        end_command=entry.get("end_command", False),
        raw_instruction=entry.get("raw_instruction", False),
        dtypes=entry["dtypes"],
        tensors=tuple(_tensor(row) for row in entry["tensors"]),
        prelude=tuple((cast(str, function), tuple(cast("list[int]", args))) for function, args in entry.get("prelude", [])),
        instructions=tuple(
            GoldenInstruction(cast(str, engine), cast(str, name), cast("int | None", subop), cast("dict[str, int]", fields))
            for engine, name, subop, fields in entry["instructions"]
        ),
        position=position,
        **streams,
    )


@cache
def golden_cases() -> tuple[GoldenCase, ...]:
    """All BM1684X cases; the memory images are read from disk when first asked for."""
    index = cast(_Index, json.loads((FOLDER / "index.json").read_text(encoding="utf-8")))
    arrays = _arrays("streams.npz")
    parts: dict[str, list[bytes]] = {}
    for engine in ENGINES:
        data = arrays[engine].tobytes()
        parts[engine] = [data[start:stop] for start, stop in pairwise(_starts(arrays[f"{engine}_len"]))]
    return tuple(_case(k, entry, {engine: parts[engine][k] for engine in ENGINES}) for k, entry in enumerate(index["cases"]))


def golden_case(name: str) -> GoldenCase:
    """The case whose id is ``name`` or starts with ``name + "_"``; raises ``KeyError`` when there is none."""
    for case in golden_cases():
        if case.id == name or case.id.startswith(name + "_"):
            return case
    raise KeyError(name)


@cache
def static_memory() -> Bytes:
    """The 16384 bytes of static memory that the official library sets up (coefficient tables)."""
    return _arrays("static.npz")["smem"].astype(np.uint8, copy=False)
