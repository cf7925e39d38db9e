"""Running the command `tpukernel` in this process, and the streams that the tests show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tpukernel import BM1684X, f32
from tpukernel.chips.tensors import Constant, Layout, LocalTensor, SystemTensor
from tpukernel.cli import main
from tpukernel.isa import Arith, ArithOp, DmaTensor, Program

SHAPE = (1, 64, 7, 7)
DDR = BM1684X.regions["ddr"].base
X, Y = LocalTensor(0x0, SHAPE, f32), LocalTensor(0x100, SHAPE, f32)
LOAD = DmaTensor(dst=X, src=SystemTensor(DDR, SHAPE, f32))
DOUBLE = Arith(op=ArithOp.MUL, dst=Y, src0=X, src1=Constant.of(2.0, f32))
STORE = DmaTensor(
    dst=SystemTensor(DDR + 0x4000, SHAPE, f32, (12800, 200, 14, 1)), src=LocalTensor(0x100, SHAPE, f32, Layout.FREE, (49, 49, 7, 1))
)


@dataclass(frozen=True)
class Run:
    """What one run of the command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of the output, each with single spaces."""
        return [" ".join(line.split()) for line in self.out.splitlines()]


class Command:
    """The command, called in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str | Path) -> Run:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code if isinstance(stop.code, int) else 1
        out, err = self.capsys.readouterr()
        return Run(code, out, err)

    def fails(self, *arguments: str | Path) -> str:
        """The one message of a run that fails: a line, then indented ones; nothing on standard output."""
        run = self(*arguments)
        assert run.code == 1 and run.out == ""
        first, *others = run.err.splitlines()
        assert first.startswith("tpukernel: ") and all(line.startswith("  ") for line in others), run.err
        return run.err


def program() -> Program:
    """Load, double, store."""
    built = Program(BM1684X)
    built.extend([LOAD, DOUBLE, STORE])
    return built.end()


def write_streams(folder: Path, built: Program) -> tuple[Path, Path]:
    """The files of the TIU's and the GDMA's stream."""
    streams = built.streams()
    tiu, gdma = folder / "tiu.bin", folder / "gdma.bin"
    tiu.write_bytes(streams["tiu"])
    gdma.write_bytes(streams["gdma"])
    return tiu, gdma
