"""Child process of `_cmodel.py`: runs commands on the official C model and says how long they took.

    python _cmodel_worker.py OFFICIAL_SCRIPT [alone]

Requests are lines of JSON on standard input, answers lines of JSON on a private copy of standard output (the library prints there, and ends
the process when an assertion of it fails). Stands alone, so that it loads nothing that slows it down or is slowed down.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray


class _Chip(Protocol):
    """`Cmodel` of the script."""

    lib: Any
    lmem: NDArray[np.uint8]


_ENGINES = {"tiu": 0, "gdma": 1}


def _loaded(script: str) -> _Chip:
    specification = importlib.util.spec_from_file_location("official", script)
    if specification is None or specification.loader is None:
        raise SystemExit(f"cannot import {script}")
    official = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(official)
    return cast("_Chip", official.Cmodel("bm1684x"))


class _Commands:
    """Commands in buffers that the library takes, so that only its own time counts."""

    def __init__(self, chip: _Chip, commands: list[tuple[str, str]]) -> None:
        self._execute = chip.lib.execute_command
        self._calls = [(ctypes.create_string_buffer(bytes.fromhex(text) + bytes(256)), _ENGINES[engine]) for engine, text in commands]

    def seconds(self) -> float:
        start = time.perf_counter()
        for buffer, engine in self._calls:
            self._execute(0, buffer, engine)
        return time.perf_counter() - start


def _put(chip: _Chip, path: str) -> None:
    """Write the pieces of a file into the memories: an array (lanes, bytes) into local memory, a flat one elsewhere."""
    with np.load(path) as pieces:
        for name in pieces.files:
            space, offset = name.split("@")
            piece, at = pieces[name], int(offset)
            if space == "lmem":
                chip.lmem[:, at : at + piece.shape[1]] = piece
            else:
                getattr(chip, space)[at : at + piece.size] = piece


def _digest(chip: _Chip, places: list[tuple[str, int, int]]) -> str:
    digest = hashlib.sha256()
    for space, offset, size in places:
        memory = chip.lmem[:, offset : offset + size] if space == "lmem" else getattr(chip, space)[offset : offset + size]
        digest.update(np.ascontiguousarray(memory).tobytes())
    return digest.hexdigest()


def _quiet_threads() -> None:
    """Let the library's own threads, which wait in loops, have only what no other thread wants."""
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) != os.getpid():
            os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))


def main(script: str, *, alone: bool) -> None:
    """Serve requests until standard input closes."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: stopped between requests, it does not outlive its parent
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    chip = _loaded(script)
    if alone:
        _quiet_threads()
    commands = _Commands(chip, [])
    for line in sys.stdin:
        request = json.loads(line)
        answer: object = None
        if request["do"] == "put":
            _put(chip, request["file"])
        elif request["do"] == "commands":
            commands = _Commands(chip, request["commands"])
        elif request["do"] == "run":
            answer = commands.seconds()
        elif request["do"] == "digest":
            answer = _digest(chip, request["places"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)  # the library's own end takes a second


if __name__ == "__main__":
    main(sys.argv[1], alone=sys.argv[2:] == ["alone"])
