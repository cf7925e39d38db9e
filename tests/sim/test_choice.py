"""Short programs do not load native execution; long ones, and many short ones, do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
import numpy as np
from tpukernel import f32
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.isa import Arith, ArithOp, Program
from tpukernel.sim import Machine
import tpukernel.sim.choice as choice

def run(shape):
    x, y = LocalTensor(0, shape, f32), LocalTensor(0x8000, shape, f32)
    machine, program = Machine("BM1684X"), Program("BM1684X")
    machine.load(x, np.ones(shape, np.float32))
    program.append(Arith(op=ArithOp.ADD, dst=y, src0=x, src1=Constant.of(1.0, f32)))
    machine.run(program)
    assert (machine.dump(y) == 2).all()
    return "llvmlite" in sys.modules
"""
CASES = {
    "a short program": ("print(run((1, 64, 4, 4)))", "False"),
    "a program with much work": ("print(run((1, 64, 64, 64)))", "True"),
    "short programs that have cost as much as the loading": (
        "choice._spent[0] = choice.LOADING_SECONDS + 0.01; print(run((1, 64, 4, 4)))",
        "True",
    ),
    "a short program behind a long one": ("run((1, 64, 64, 64)); print(choice.is_short(Program('BM1684X')))", "False"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_loaded(case: str) -> None:
    code, expected = CASES[case]
    command = [sys.executable, "-c", PROGRAM + code]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == expected
