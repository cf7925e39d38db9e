"""The official C model as a contender: the same commands, executed bare in another process.

It is found as the tests find it (see `tests.support.oracle`); where it is not, its column is empty and a note says why.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import IO, cast

import numpy as np

from tests.support.oracle import oracle_available, oracle_script
from tpukernel import BM1684X
from tpukernel.isa.instruction import Instruction
from tpukernel.sim.memory import Bytes, Memory

__all__ = ["CModel", "CModelError", "Place", "absent", "contents", "digest"]

WORKER = Path(__file__).with_name("_cmodel_worker.py")

Place = tuple[str, int, int]
"""(memory, offset, bytes); in local memory the same bytes of every lane."""


class CModelError(RuntimeError):
    """The C model stopped at a command."""


@cache
def absent() -> str | None:
    """Why there is no official C model; None if there is one."""
    return oracle_available()


def contents(memory: Memory, places: Sequence[Place]) -> Iterator[tuple[str, Bytes]]:
    """What is in these places, by "memory@offset"."""
    for space, offset, size in places:
        image = memory.image(space)
        yield f"{space}@{offset}", image[:, offset : offset + size] if space == "lmem" else image[offset : offset + size]


def digest(memory: Memory, places: Sequence[Place]) -> str:
    """The hash of what is in these places."""
    found = sha256()
    for _, piece in contents(memory, places):
        found.update(np.ascontiguousarray(piece).tobytes())
    return found.hexdigest()


class CModel:
    """A process with the C model. It holds one sequence of commands at a time.

    The library has threads of its own that wait in loops while it executes. On two processors they slow it down to about half.

    Args:
        alone: let these threads have only what the executing one does not want.

    Raises:
        CModelError: the library stopped (all methods). The process is then gone.
    """

    def __init__(self, *, alone: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cmodel")  # the library writes files into its working directory
        self._process = subprocess.Popen(
            [sys.executable, WORKER, oracle_script().resolve(), *(["alone"] if alone else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            text=True,
        )
        self._ask(do="nothing")  # it has loaded the library

    def close(self) -> None:
        """End the process."""
        self._process.send_signal(signal.SIGCONT)
        cast("IO[str]", self._process.stdin).close()
        self._process.wait()
        cast("IO[str]", self._process.stdout).close()
        self._folder.cleanup()

    def prepare(self, commands: Sequence[Instruction], given: Mapping[str, Bytes]) -> None:
        """Put contents (see `contents`) into the memories and take the commands, in the order in which they are executed."""
        file = Path(self._folder.name) / "contents.npz"
        np.savez(file, allow_pickle=False, **given)
        self._ask(do="put", file=str(file))
        self._ask(do="commands", commands=[_encoded(command) for command in commands])

    def run(self) -> float:
        """Execute the commands; seconds."""
        return cast("float", self._ask(do="run"))

    def digest(self, places: Sequence[Place]) -> str:
        """The hash of what is in these places."""
        return cast("str", self._ask(do="digest", places=places))

    def _ask(self, **request: object) -> object:
        try:
            to = cast("IO[str]", self._process.stdin)
            self._process.send_signal(signal.SIGCONT)
            to.write(json.dumps(request) + "\n")
            to.flush()
            answer = cast("IO[str]", self._process.stdout).readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise CModelError(f"the C model's process ended with code {self._process.wait()}")
        self._process.send_signal(signal.SIGSTOP)  # threads of the library wait in loops, and would take the processors from the others
        return json.loads(answer)


def _encoded(command: Instruction) -> tuple[str, str]:
    bits = command.encoded(BM1684X)
    return command.engine, bits.record.to_bytes(bits.format.bytes, "little").hex()
