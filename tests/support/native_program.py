"""Runs random kernels natively in a process of its own and prints what they leave: `python -m tests.support.native_program SEED...`.

For tests of what processes share: the cache of compiled objects. The environment says where it is.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from importlib import import_module

import numpy as np

from tests.support.kernels import random_kernel
from tpukernel import BM1684X
from tpukernel.sim import Machine
from tpukernel.sim.choice import NATIVE
from tpukernel.sim.machine import ExecutionEngine

__all__ = ["DDR_BYTES", "digest_of", "filled"]

DDR_BYTES = 1 << 24


def filled(seed: int, threads: int | None = None) -> Machine:
    """A machine with numbers in the DDR."""
    machine = Machine(BM1684X, threads, ddr_bytes=DDR_BYTES)
    machine.write("ddr", 0, np.random.default_rng(seed).standard_normal(DDR_BYTES // 4).astype(np.float32))
    return machine


def digest_of(seed: int, engine: ExecutionEngine, threads: int | None = None) -> str:
    """The hash of what a random kernel leaves in the memories."""
    machine = filled(seed, threads)
    machine.run(random_kernel(seed).program, engine, check=False)
    found = sha256()
    for space in ("ddr", "lmem", "l2"):
        found.update(machine.memory.image(space).tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    import_module(NATIVE)  # once it is loaded, short programs run natively, too
    for argument in sys.argv[1:]:
        print(digest_of(int(argument), "jit"))
