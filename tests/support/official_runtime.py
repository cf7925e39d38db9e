"""Many small BModels on the official runtime: a few child processes for all of them, and another one when one dies.

    results = official_outputs([Request(file, "net", {"x": array})])

Loading the libraries takes a third of a second, and each launch half a second, nearly all of it waiting.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bmlang.graph.graph import Array
from tests.support.oracle import oracle_script

__all__ = ["Official", "Request", "official_outputs"]

WORKER = Path(__file__).with_name("official_runtime_worker.py")
PROCESSES = 4
"""The official runtime mostly waits for its emulator's threads."""
DIED = "the official runtime ended"


@dataclass(frozen=True)
class Request:
    """A file, the net of it that is run (each request another name), and its inputs by name."""

    model: bytes
    net: str
    inputs: Mapping[str, Array]


@dataclass(frozen=True)
class Official:
    """What the runtime computed, by output, with bf16 as its bits; or why it did not."""

    outputs: Mapping[str, Array] = field(default_factory=dict[str, Array])
    failure: str = ""


def official_outputs(requests: Sequence[Request]) -> list[Official]:
    """The outputs of all requests, in order."""
    share = -(-len(requests) // PROCESSES)
    parts = [requests[first : first + share] for first in range(0, len(requests), share)] if requests else []
    with ThreadPoolExecutor(PROCESSES) as pool:
        return [each for part in pool.map(_in_one_process, parts) for each in part]


def _in_one_process(requests: Sequence[Request]) -> list[Official]:
    with tempfile.TemporaryDirectory(prefix="official") as name:
        folder = Path(name)
        for number, request in enumerate(requests):
            (folder / f"{number}.bmodel").write_bytes(request.model)
            arrays: dict[str, Any] = {key: _bits(array) for key, array in request.inputs.items()}
            np.savez(folder / f"{number}.in.npz", **arrays)
        found: list[Official] = []
        while len(found) < len(requests):
            found += _until_it_dies(folder, requests, len(found))
        return found


def _until_it_dies(folder: Path, requests: Sequence[Request], first: int) -> Iterator[Official]:
    """Results from a request on, by one process; the last one is a failure where the process died of it."""
    command = [sys.executable, str(WORKER), str(oracle_script().resolve())]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=folder, text=True) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        for number in range(first, len(requests)):
            outputs = folder / f"{number}.out.npz"
            job = {"model": f"{number}.bmodel", "net": requests[number].net, "inputs": f"{number}.in.npz", "outputs": outputs.name}
            try:
                process.stdin.write(json.dumps(job) + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                line = ""
            else:
                line = process.stdout.readline()
            if not line:
                process.wait()
                yield Official(failure=f"{DIED}: {(folder / 'log').read_text(errors='replace')[-300:]}")
                return
            failure = str(json.loads(line))
            yield Official(failure=failure) if failure else Official(_arrays(outputs))
        process.stdin.close()


def _arrays(path: Path) -> dict[str, Array]:
    with np.load(path) as arrays:
        return dict(arrays)


def _bits(array: Array) -> Array:
    """bf16 as u16: numpy's files do not have it."""
    return array.view(np.uint16) if array.dtype.kind == "V" else array
