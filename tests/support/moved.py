"""Runs an instruction on the interpreter with random bytes all around, and tells what it wrote."""

from __future__ import annotations

from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tpukernel import BM1684X
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.isa.instruction import Instruction
from tpukernel.sim.interpreter import execute
from tpukernel.sim.memory import Array, Memory

__all__ = ["DDR", "L2", "LANE", "random_bits", "run"]

DDR, L2, LANE = BM1684X.regions["ddr"].base, BM1684X.regions["l2"].base, BM1684X.lane_bytes
USED = 1 << 15
"""Bytes of a lane, and of DDR and L2, inside which the operands lie."""


@cache
def _memory() -> Memory:
    memory = Memory(BM1684X, 1 << 20)
    rng = np.random.default_rng(7)
    for window in _windows(memory):
        window[...] = rng.integers(0, 256, window.shape, np.uint8)
    return memory


def _windows(memory: Memory) -> list[NDArray[np.uint8]]:
    lanes = memory.image("lmem")[:, :USED]
    return [lanes, memory.spaces["ddr"][:USED], memory.spaces["l2"][:USED]]


def random_bits(seed: int, tensor: LocalTensor | SystemTensor) -> Array:
    """Any bits, NaN among them, in shape and type of a tensor."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1 << tensor.dtype.bits, tensor.shape, np.uint64).astype(f"u{tensor.dtype.itemsize}").view(tensor.dtype.numpy)


def run(instruction: Instruction, result: str = "dst", **values: Array) -> Array:
    """The bits of a result, of an instruction whose operands hold these values.

    Raises:
        AssertionError: the instruction is not legal, or bytes changed that belong to no result.
    """
    assert not instruction.problems(BM1684X)
    memory = _memory()
    for name, array in values.items():
        memory.store(cast("LocalTensor | SystemTensor", instruction.value_of(name)), array)
    results = [cast("LocalTensor | SystemTensor", use.value) for use in instruction.operands() if use.direction != "in"]
    before, old = [window.copy() for window in _windows(memory)], [memory.load(operand) for operand in results]
    execute(instruction, memory)
    found = memory.load(cast("LocalTensor | SystemTensor", instruction.value_of(result)))
    for operand, values_before in zip(results, old, strict=True):
        memory.store(operand, values_before)
    assert all(map(np.array_equal, before, _windows(memory)))
    return found.copy(order="C").view(f"u{found.itemsize}")
