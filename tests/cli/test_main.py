"""The command as such: usage, version, `python -m tpukernel`, and readers that stop reading."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tpukernel as package
from tests.cli.runs import Command
from tpukernel import BM1684X
from tpukernel.isa import Sys, SysOp, encode

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-W", "error", "-m", "tpukernel"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "COMMAND"),
        (("fly",), "fly"),
        (("disasm",), "give --tiu FILE, --gdma FILE or both"),
        (("disasm", "--tiu"), "--tiu"),
        (("disasm", "one.bmodel", "two.bmodel"), "two.bmodel"),
        (("disasm", "one.bmodel", "--tiu", "stream.bin"), "or a FILE that has both"),
        (("chips", "--yaml"), "--yaml"),
    ],
)
def test_wrong_usage(tpukernel: Command, arguments: tuple[str, ...], complaint: str) -> None:
    run = tpukernel(*arguments)
    assert run.code == 2 and run.out == ""
    assert run.err.startswith("usage: tpukernel") and complaint in run.err.splitlines()[-1]


@pytest.mark.parametrize("arguments", [("--help",), ("disasm", "--help"), ("chips", "-h"), ("doctor", "-h")])
def test_help(tpukernel: Command, arguments: tuple[str, ...]) -> None:
    run = tpukernel(*arguments)
    assert run.code == 0 and run.err == "" and run.out.startswith("usage: tpukernel")


def test_version(tpukernel: Command) -> None:
    assert tpukernel("--version").out == f"tpukernel {package.__version__}\n"


def test_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "chips", "--json"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "BM1684X" in json.loads(done.stdout)
    done = subprocess.run([*COMMAND, "disasm", "--tiu", "none"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tpukernel: ") and "Traceback" not in done.stderr


@pytest.mark.parametrize("commands", [1, 20_000])
def test_a_reader_may_stop_reading(tmp_path: Path, commands: int) -> None:
    """`| head -1`, for an output that fits the pipe and for one that does not."""
    stream = tmp_path / "stream"
    stream.write_bytes(encode(BM1684X, [Sys(op=SysOp.NOP, id=number) for number in range(1, commands + 1)]))
    command = [*COMMAND, "disasm", "--tiu", str(stream)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        if commands > 1:
            assert process.stdout.readline().split() == [b"tiu", b"1", b"sys.nop"]
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
