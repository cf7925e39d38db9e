"""Groups of 16-bit floats."""

from tpukernel.sim.jit.ir import Function
from tpukernel.sim.jit.llvm import Target


def group_functions(target: Target) -> list[Function]:
    raise NotImplementedError


def group_bytes(rows: int) -> int:
    raise NotImplementedError
