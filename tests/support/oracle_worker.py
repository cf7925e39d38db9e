"""Child process of ``oracle.py``: loads one official library and runs jobs, each inside a fork of the freshly initialised state.

    python oracle_worker.py OFFICIAL_SCRIPT recorder|cmodel

Requests come on standard input, answers go to a private copy of standard output (the libraries print there and call ``exit`` when an
assertion of theirs fails). A request is a length-prefixed JSON object followed by a length-prefixed blob that holds all byte strings.
Stands alone on purpose: it must start quickly and imports nothing of the test suite.
"""

from __future__ import annotations

import ctypes as C  # noqa: N812
import importlib.util
import json
import os
import signal
import struct
import sys
import tempfile
import traceback
from typing import Any

OK, REJECTED, FAILED = 0, 1, 2
HARNESS_EXIT_CODE = 70
_POINTERS = {"dim4": 4, "dim2": 2, "padding": 4, "dim5": 5, "range": 2}
_PLAIN = {
    "local": C.c_uint32,
    "static": C.c_uint32,
    "system": C.c_uint64,
    "u64": C.c_uint64,
    "uint": C.c_uint32,
    "scalar": C.c_uint32,  # a union passed by value: any bits in an integer register
    "int": C.c_int32,
    "dtype": C.c_int32,
    "rounding": C.c_int32,
    "bool": C.c_bool,
    "u8": C.c_uint8,
    "s8": C.c_int8,
    "float": C.c_float,
}
_VARIABLE = {"const": 1, "addr": 0, "vector": 2}
_CYCLES_AT = 16
"""Byte of `CMD_ID_NODE` (published in customlayer/include/kernel/common.h of the tpu_mlir wheel) where the 64-bit `cycle_count` begins."""
_NODE_WORDS = 64
"""More than `CMD_ID_NODE` has; the first two are the numbers, the fourth the flag of a parallel section (measured)."""
_RESULTS: dict[str, Any] = {"none": None, "int": C.c_int32, "uint": C.c_uint32, "u64": C.c_uint64, "bool": C.c_bool, "range": C.c_uint64}


class _Variable(C.Structure):
    _fields_ = [("type", C.c_int), ("raw", C.c_uint32)]


def _argument(kind: str, value: Any) -> Any:
    if kind == "variable":
        form, raw = value
        return C.byref(_Variable(_VARIABLE[form], raw))
    if kind == "ranges":
        return (C.c_int32 * (2 * len(value)))(*[end for pair in value for end in pair])
    if kind == "node":
        tiu, gdma, parallel = value
        return (C.c_uint32 * _NODE_WORDS)(tiu, gdma, 0, parallel)
    if kind in _POINTERS:
        return None if value is None else C.byref((C.c_int32 * _POINTERS[kind])(*value))
    return _PLAIN[kind](value)


def _memories(chip: Any) -> dict[str, Any]:
    return {"ddr": chip.ddr, "lmem": chip.lmem.reshape(-1), "l2": chip.l2, "static": chip.static}


def _cycle_count(chip: Any) -> int:
    chip.lib.tpu_get_id_node(chip.node)
    return int(C.c_int64.from_address(chip.node.value + _CYCLES_AT).value)


def _record(chip: Any, job: dict[str, Any]) -> list[bytes]:
    """Call the functions of a job and return the bytes of both engines, and the cycles that the library's estimator added up."""
    lib = chip.lib
    lib.backend_api_clear_tpu_inst_data()
    lib.reset_cmd_id(chip.node)
    lib.tpu_set_id_node(chip.node)
    before = _cycle_count(chip)
    for name, kinds, values in job["calls"]:
        getattr(lib, name)(*map(_argument, kinds, values))
    cycles = _cycle_count(chip) - before
    if job["end"]:
        lib.tpu_get_id_node(chip.node)
        lib.store_cmd_end()
    streams: list[bytes] = []
    for key in (b"tiu:0:0", b"gdma:0:0"):
        size, data = lib.backend_api_get_tpu_inst_size(key), lib.backend_api_get_tpu_inst_data(key)
        streams.append(C.string_at(data, size) if size and data else b"")
    return [*streams, struct.pack("<q", cycles)]


def _host_call(lib: Any, name: str, result: str, kinds: list[str], values: list[Any]) -> list[int]:
    """What a function returns; for result "out4" ("4out") what it writes to its first (last) parameter, a dim4."""
    function = getattr(lib, name)
    arguments = list(map(_argument, kinds, values))
    if result in ("out4", "4out"):
        out = (C.c_int32 * 4)()
        function.restype = None
        function(*([out, *arguments] if result == "out4" else [*arguments, out]))
        return list(out)
    function.restype = _RESULTS[result]
    found = function(*arguments)
    if result == "range":
        return [C.c_int32(found & 0xFFFFFFFF).value, C.c_int32(found >> 32).value]
    return [] if found is None else [int(found)]


def _host_calls(chip: Any, calls: list[Any]) -> bytes:
    """Call functions that record nothing: those of the HAU stop when commands are stored."""
    chip.lib.forbid_store_cmd()
    results = [_host_call(chip.lib, *call) for call in calls]
    chip.lib.allow_store_cmd()
    return b"".join(struct.pack(f"<B{len(each)}q", len(each), *each) for each in results)


def _run(chip: Any, job: dict[str, Any], blob: bytes) -> list[bytes]:
    """Load memory, run the calls or commands of a job, and return its two streams, its cycles and the memory ranges that it asks for."""
    memories = _memories(chip)
    for space, value in job["fill"].items():
        memories[space][:] = value
    for space, offset, start, size in job["initial"]:
        C.memmove(memories[space].ctypes.data + offset, blob[start : start + size], size)
    result = _record(chip, job) if "calls" in job else [b"", b"", bytes(8)]
    if "host" in job:
        result.append(_host_calls(chip, job["host"]))
    for engine, start, size in job.get("commands", ()):
        chip.execute(blob[start : start + size], engine)
    return result + [memories[space][offset : offset + size].tobytes() for space, offset, size in job["reads"]]


def _read(size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(0, min(1 << 20, size - len(parts)))
        if not part:
            os._exit(0)
        parts += part
    return bytes(parts)


def _write(answer: int, status: int, parts: list[bytes]) -> None:
    data = struct.pack(f"<BI{len(parts)}Q", status, len(parts), *map(len, parts)) + b"".join(parts)
    view = memoryview(data)
    while view:
        view = view[os.write(answer, view) :]


def _reason(status: int, text: str) -> tuple[int, str]:
    if os.WIFSIGNALED(status):
        return REJECTED, f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    if os.WEXITSTATUS(status) == HARNESS_EXIT_CODE:
        return FAILED, text
    lines = [line.strip() for line in text.splitlines() if any(word in line.lower() for word in ("assert", "error", "fatal"))]
    return REJECTED, " ".join(lines) or f"exit code {os.WEXITSTATUS(status)}: {text.strip()[-400:]}"


def _child(chip: Any, jobs: list[dict[str, Any]], blob: bytes, answer: int, done: int, timeout: int) -> None:
    """Answer jobs, one dot to ``done`` for each; never returns."""
    try:
        for job in jobs:
            signal.alarm(timeout)
            parts = _run(chip, job, blob)
            signal.alarm(0)
            _write(answer, OK, parts)
            os.write(done, b".")
    except BaseException:  # noqa: BLE001  whatever is wrong with the request, the client must hear of it and the fork must not live on
        os.write(2, traceback.format_exc().encode())
        os._exit(HARNESS_EXIT_CODE)
    os._exit(0)


def _fork_run(chip: Any, jobs: list[dict[str, Any]], blob: bytes, answer: int, timeout: int) -> tuple[int, tuple[int, str] | None]:
    """Run jobs in a fork until one dies; return the number of answered jobs and status and reason of the death."""
    done_read, done_write = os.pipe()
    with tempfile.TemporaryFile() as log:
        child = os.fork()
        if child == 0:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            _child(chip, jobs, blob, answer, done_write, timeout)
        os.close(done_write)
        done = 0
        while part := os.read(done_read, 4096):
            done += len(part)
        os.close(done_read)
        _, status = os.waitpid(child, 0)
        if done == len(jobs):
            return done, None
        log.seek(0)
        return done, _reason(status, log.read().decode(errors="replace"))


def _end_with_parent() -> None:
    C.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: also a process that is stopped


def _leave_threads(answer: int) -> None:
    """Go on in a fork, which has no other threads. This process is stopped till the client lets it end, after the fork.

    The threads of the library wait in loops: they took more time than all the jobs.
    """
    if fork := os.fork():
        os.close(0)  # the client sees the end of the fork
        os.close(answer)
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) & 0xFF)
    _end_with_parent()


def main(script: str, mode: str) -> None:
    """Serve requests until standard input closes."""
    _end_with_parent()
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    specification = importlib.util.spec_from_file_location("official", script)
    if specification is None or specification.loader is None:
        raise SystemExit(f"cannot import {script}")
    official = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(official)
    chip = official.Recorder() if mode == "recorder" else official.Cmodel("bm1684x")
    _leave_threads(answer)
    _write(answer, OK, [])
    while True:
        size, blob_size = struct.unpack("<QQ", _read(16))
        request, blob = json.loads(_read(size)), _read(blob_size)
        if mode == "recorder":
            chip.lib.use_atomic_cmodel() if request["arithmetic"] else chip.lib.forbid_atomic_cmodel()
        jobs: list[dict[str, Any]] = request["jobs"]
        while jobs:
            batch = jobs[: request["batch"]]
            done, reason = _fork_run(chip, batch, blob, answer, request["timeout"])
            if reason is not None:
                _write(answer, reason[0], [reason[1].encode()])
                done += 1
            jobs = jobs[done:]


if __name__ == "__main__":
    main(*sys.argv[1:3])
