"""Machine code works wherever the linker finds memory for it: between gigabytes of simulated memory, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
from random import Random
from tests.sim.jit.test_targets import kernels
from tpukernel.isa import ArithOp
from tpukernel.sim.jit import llvm
from tpukernel.sim.memory import anonymous

target, random, kept = llvm.host_target(), Random(1), []
objects = [llvm.compile_object(kernel.emit(target), target) for op in (ArithOp.DIV, ArithOp.CAST) for kernel in kernels(op, random)]
assert any(b"rodata" in data for data in objects)
for _ in range(1500):
    choice = random.random()
    if choice < 0.4:
        kept.append(anonymous(random.choice([4096, 8192, 1 << 16, 4 << 30, 6 << 30])))
    elif choice < 0.7 and kept:
        kept.pop(random.randrange(len(kept)))
    else:
        llvm.link(random.choice(objects))
print("linked")
"""


def test_code_and_constants_may_be_far_apart() -> None:
    """With a code model of 32-bit distances, LLVM ended the process here."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "linked"), done.stderr
