"""The official BM1684X library as a live oracle: records TPUKernel calls and executes encoded commands, in child processes.

Nothing of it is part of this repository. The environment variable ``TPUKERNEL_ORACLE`` names a script that knows how to load the official
libraries (it has classes ``Recorder`` and ``Cmodel`` and a function ``cache_dir``); without it ``../shared/oracle/official.py`` next to the
checkout is tried. Tests that need it carry the marker ``vendor`` and are skipped with the reason that ``oracle_available`` gives.

    [recorded] = record([Call.of("tpu_bdc_fp_add", dst_addr=0, src0_addr=4096, ...)])
    recorded.tiu, recorded.gdma, recorded.rejected

Loading the libraries costs a quarter of a second, once per process and library; after that 10,000 calls take about half a second.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from tests.support.signatures import signatures

VARIABLE = "TPUKERNEL_ORACLE"
DEFAULT_SCRIPT = Path(__file__).resolve().parents[3] / "shared" / "oracle" / "official.py"
WORKER = Path(__file__).with_name("oracle_worker.py")
LIBRARIES = {"recorder": "libbackend.so", "cmodel": "libcmodel.so"}
ENGINE_CODES = {"tiu": 0, "gdma": 1}
JOBS_PER_FORK = 1000

Mode = Literal["recorder", "cmodel"]
Bytes = NDArray[np.uint8]
Value = int | float | bool | None | Sequence[int] | tuple[str, int] | Mapping[str, int]
Image = Mapping[str, Sequence[tuple[int, Bytes]]]
"""Memory contents: space (``ddr``, ``lmem``, ``l2``, ``static``) -> (offset in the space, bytes)."""


class OracleError(RuntimeError):
    """The oracle is not there, or its worker process failed (not: the library rejected a call)."""


@dataclass(frozen=True)
class Call:
    """A TPUKernel call; ``args`` in call order with the values that ``signatures.Parameter`` describes."""

    function: str
    args: tuple[Value, ...] = ()

    @classmethod
    def of(cls, function: str, params: Mapping[str, Value] | None = None, /, **more: Value) -> Call:
        """A call with its parameters by name; raises ``KeyError`` for an unknown function or a missing or unknown name."""
        named = {**(params or {}), **more}
        names = signatures()[function].names
        if set(names) != set(named):
            raise KeyError(f"{function} takes {', '.join(names)}, got {', '.join(named)}")
        return cls(function, tuple(named[name] for name in names))


@dataclass(frozen=True)
class HostCall:
    """A call of a function that records nothing.

    ``result`` is its type (``none``, ``int``, ``uint``, ``u64``, ``bool``, ``range``), or ``out4`` (``4out``) for a function that writes a
    ``dim4`` to its first (last) parameter, which is then not among ``args``. ``args`` are (kind, value) as ``signatures.Parameter``
    describes them, with the kinds ``u64``, ``dim5``, ``range``, ``ranges`` besides.
    """

    function: str
    result: str
    args: Sequence[tuple[str, object]] = ()


@dataclass(frozen=True)
class Recorded:
    """What the library emitted for a call or program; ``rejected`` is the text of the failed assertion, if one failed.

    ``cycles``: what the library's own estimator counts for the calls, with both engines side by side in parallel sections (``cycle_count``
    of ``CMD_ID_NODE``).
    """

    tiu: bytes
    gdma: bytes
    rejected: str | None = None
    memory: tuple[Bytes, ...] = ()
    cycles: int = 0
    returned: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Job:
    """A unit of work on freshly initialised memory: calls (library ``recorder``) or encoded commands (library ``cmodel``).

    ``fill`` sets whole spaces to one byte, then ``initial`` is written, then the work is done, then ``reads`` (space, offset, size) are
    returned. ``end`` closes both streams with the end command. ``commands`` are (engine, bytes of one command); their order is the order
    of execution, dependency ids are ignored. Instead of calls or commands a job may have ``host`` calls; what these return is in
    ``Recorded.returned``.
    """

    calls: Sequence[Call] = ()
    end: bool = False
    commands: Sequence[tuple[str, bytes]] = ()
    host: Sequence[HostCall] = ()
    initial: Image = field(default_factory=dict[str, Sequence[tuple[int, Bytes]]])
    fill: Mapping[str, int] = field(default_factory=dict[str, int])
    reads: Sequence[tuple[str, int, int]] = ()

    @property
    def touches_memory(self) -> bool:
        return bool(self.commands or self.host or self.initial or self.fill or self.reads)


def oracle_script() -> Path:
    """The script that loads the official libraries."""
    return Path(os.environ.get(VARIABLE) or DEFAULT_SCRIPT)


@cache
def oracle_folder() -> Path:
    """The folder with the unpacked libraries and headers (it may not exist yet); raises ``OracleError`` for a file that is no script."""
    specification = importlib.util.spec_from_file_location("tpukernel_test_oracle", oracle_script())
    if specification is None or specification.loader is None:
        raise OracleError(f"{VARIABLE}: {oracle_script()} is not a Python script")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return cast(Path, module.cache_dir())


@cache
def oracle_available() -> str | None:
    """``None`` when the official BM1684X libraries can be used, else the reason why not. Downloads nothing."""
    script = oracle_script()
    if not script.is_file():
        where = f"{VARIABLE} names {script}, which does not exist" if os.environ.get(VARIABLE) else f"{VARIABLE} is not set"
        return f"no official BM1684X library: {where}"
    folder = oracle_folder() / "bm1684x"
    missing = [library for library in LIBRARIES.values() if not (folder / library).is_file()]
    return f"official BM1684X libraries are not unpacked ({', '.join(missing)}): run `{script.name} fetch`" if missing else None


class _Worker:
    """A child process with one library loaded."""

    def __init__(self, mode: Mode) -> None:
        if reason := oracle_available():
            raise OracleError(reason)
        self._folder = tempfile.TemporaryDirectory(prefix="oracle")  # the library writes files into its working directory
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), str(oracle_script().resolve()), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder.name,
        )
        atexit.register(self.close)
        self._answer()

    def close(self) -> None:
        """End the process."""
        cast("IO[bytes]", self.process.stdin).close()
        self._ended()
        self._folder.cleanup()

    def _ended(self) -> int:
        """Wait for the end, and return the code: the process is stopped, and a fork of it does the work."""
        self.process.send_signal(signal.SIGCONT)
        return self.process.wait()

    def _read(self, size: int) -> bytes:
        data = cast("IO[bytes]", self.process.stdout).read(size)
        if len(data) < size:
            raise OracleError(f"the oracle process ended with code {self._ended()}")
        return data

    def _answer(self) -> tuple[int, list[bytes]]:
        status, count = struct.unpack("<BI", self._read(5))
        sizes = struct.unpack(f"<{count}Q", self._read(8 * count))
        return status, [self._read(size) for size in sizes]

    def run(self, jobs: Sequence[Job], *, arithmetic: bool, timeout: int, fresh: bool) -> list[Recorded]:
        """Run jobs in order; a rejected one does not disturb the next."""
        blob = bytearray()
        request = {
            "jobs": [_encoded(job, blob) for job in jobs],
            "arithmetic": arithmetic,
            "batch": 1 if fresh and any(job.touches_memory for job in jobs) else JOBS_PER_FORK,
            "timeout": timeout,
        }
        text = json.dumps(request).encode()
        stream = cast("IO[bytes]", self.process.stdin)
        stream.write(struct.pack("<QQ", len(text), len(blob)) + text + blob)
        stream.flush()
        answers = [self._answer() for _ in jobs]  # all of them, so that a failure among them leaves none for the next request
        return [_recorded(job, *answer) for job, answer in zip(jobs, answers, strict=True)]


def _recorded(job: Job, status: int, parts: list[bytes]) -> Recorded:
    if status == 2:
        raise OracleError(parts[0].decode())
    if status == 1:
        return Recorded(b"", b"", rejected=parts[0].decode())
    tiu, gdma, cycles, *memory = parts
    returned = _returned(memory.pop(0)) if job.host else ()
    return Recorded(
        tiu, gdma, returned=returned, memory=tuple(np.frombuffer(part, np.uint8) for part in memory), cycles=struct.unpack("<q", cycles)[0]
    )


def _returned(data: bytes) -> tuple[tuple[int, ...], ...]:
    found: list[tuple[int, ...]] = []
    at = 0
    while at < len(data):
        end = at + 1 + 8 * data[at]
        found.append(struct.unpack(f"<{data[at]}q", data[at + 1 : end]))
        at = end
    return tuple(found)


def _plain(kind: str, value: Value) -> object:
    if kind == "variable" and isinstance(value, Mapping):
        [(form, raw)] = value.items()
        return [form, raw]
    return value


def _encoded_call(call: Call) -> list[object]:
    parameters = signatures()[call.function].parameters
    if len(parameters) != len(call.args):
        raise OracleError(f"{call.function} takes {len(parameters)} arguments, got {len(call.args)}")
    kinds = [parameter.kind for parameter in parameters]
    return [call.function, kinds, [_plain(kind, value) for kind, value in zip(kinds, call.args, strict=True)]]


def _encoded(job: Job, blob: bytearray) -> dict[str, object]:
    def place(data: bytes) -> list[int]:
        blob.extend(data)
        return [len(blob) - len(data), len(data)]

    work: dict[str, object] = {"end": job.end}
    if job.commands:
        work["commands"] = [[ENGINE_CODES[engine], *place(data)] for engine, data in job.commands]
    elif job.host:
        work["host"] = [
            [call.function, call.result, [kind for kind, _ in call.args], [value for _, value in call.args]] for call in job.host
        ]
    else:
        work["calls"] = [_encoded_call(call) for call in job.calls]
    work["fill"] = dict(job.fill)
    work["initial"] = [[space, offset, *place(data.tobytes())] for space, runs in job.initial.items() for offset, data in runs]
    work["reads"] = [list(read) for read in job.reads]
    return work


@cache
def _worker(mode: Mode) -> _Worker:
    return _Worker(mode)


def run_jobs(jobs: Iterable[Job], *, arithmetic: bool = True, timeout: int = 60, fresh: bool = True) -> list[Recorded]:
    """Run jobs; ``arithmetic=False`` skips the computation (only bytes are wanted). ``timeout``: seconds per job. ``fresh=False`` is
    faster, but a job then finds in memory what earlier ones left there: each has to set up all that it reads.

    A job that an assertion of the library, a signal or the timeout ended has ``rejected`` set. Raises ``OracleError`` when the oracle
    itself fails.
    """
    work = list(jobs)
    mode: Mode = "cmodel" if any(job.commands for job in work) else "recorder"
    if mode == "cmodel" and any(job.calls for job in work):
        raise OracleError("calls and commands run on different libraries: use two batches")
    try:
        return _worker(mode).run(work, arithmetic=arithmetic, timeout=timeout, fresh=fresh)
    except KeyboardInterrupt:
        _worker.cache_clear()  # answers may be left in the pipe
        raise


def record(calls: Iterable[Call], *, arithmetic: bool = False) -> list[Recorded]:
    """Record each call alone: command ids start at 1, no dependencies."""
    return run_jobs([Job(calls=[call]) for call in calls], arithmetic=arithmetic)


def record_program(calls: Sequence[Call], *, end: bool = False) -> Recorded:
    """Record calls, among them ``tpu_parallel_start`` and ``tpu_parallel_end``, into one pair of streams."""
    [recorded] = run_jobs([Job(calls=calls, end=end)], arithmetic=False)
    return recorded


def execute(
    commands: Sequence[tuple[str, bytes]],
    initial: Image,
    reads: Sequence[tuple[str, int, int]],
    *,
    fill: Mapping[str, int] | None = None,
) -> tuple[Bytes, ...]:
    """Execute encoded commands on the official C model and return the memory ranges ``reads`` (space, offset, size) as ``uint8`` arrays.

    Use ``run_jobs`` for many at once. Raises ``OracleError`` with the library's assertion when a command is rejected.
    """
    [result] = run_jobs([Job(commands=commands, initial=initial, reads=reads, fill=fill or {})])
    if result.rejected:
        raise OracleError(result.rejected)
    return result.memory
