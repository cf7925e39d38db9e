"""One instruction with contents for its operands, as a case to measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tpukernel import BM1684X, Dtype
from tpukernel.chips.layout import lane_bytes_needed
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.isa import Program
from tpukernel.isa.instruction import Instruction
from tpukernel.sim import Machine
from tpukernel.sim.memory import Array

__all__ = ["CHIP", "DDR_BYTES", "Arrays", "Case", "Contents", "Memories", "Reference", "elements_of", "numbers"]

CHIP = BM1684X
DDR_BYTES = 1 << 28
"""What the official C model has here, too."""

Arrays = Mapping[str, NDArray[Any]]
"""Operands as numpy arrays, by name."""
Contents = Mapping[str, Array]
Reference = Callable[[Arrays], Callable[[], object]]
"""From the operands to a function that does about the same with numpy or another library."""


class Memories:
    """Places for operands: in local memory one behind the other in all lanes, and in DDR."""

    def __init__(self) -> None:
        self.lane_end = 0
        self.ddr_end = 0

    def tensor(self, shape: Dim4, dtype: Dtype, layout: Layout = Layout.EU_ALIGNED, *, unit: int = 64) -> LocalTensor:
        """A local tensor from lane 0 on, at a multiple of `unit` bytes."""
        start = -(-self.lane_end // unit) * unit
        tensor = LocalTensor(start, shape, dtype, layout)
        self.lane_end = start + lane_bytes_needed(CHIP, tensor)
        assert self.lane_end <= CHIP.lane_bytes, "local memory is full"
        return tensor

    def system(self, shape: Dim4, dtype: Dtype) -> SystemTensor:
        """A tensor without gaps in DDR."""
        n, c, h, w = shape
        tensor = SystemTensor(CHIP.regions["ddr"].base + self.ddr_end, shape, dtype)
        self.ddr_end += -(-n * c * h * w * dtype.itemsize // 64) * 64
        return tensor


def elements_of(instruction: Instruction) -> int:
    """Elements of the result."""
    dst = instruction.value_of("dst")
    assert isinstance(dst, LocalTensor | SystemTensor)
    return prod(dst.shape)


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Dtype) -> Array:
    """Ordinary contents: normally distributed floats, integers of any size."""
    if dtype.is_float:
        return cast("Array", rng.standard_normal(shape).astype(np.float32).astype(dtype.numpy))
    return cast("Array", rng.integers(*dtype.limits, shape, endpoint=True, dtype=dtype.numpy))


@dataclass(frozen=True)
class Case:
    """One instruction.

    Attributes:
        instruction: what is measured.
        contents: of operands that need more than `numbers`.
        work, unit: see `Row`.
        references: other contenders, by name.
    """

    instruction: Instruction
    contents: Contents = field(default_factory=dict[str, Array])
    work: float = 0.0
    unit: str = ""
    references: Mapping[str, Reference] = field(default_factory=dict[str, Reference])

    def program(self) -> Program:
        """The instruction as a program."""
        problems = self.instruction.problems(CHIP)
        assert not problems, problems
        program = Program(CHIP)
        program.append(self.instruction)
        return program

    def fill(self, machine: Machine, seed: int = 1) -> dict[str, NDArray[Any]]:
        """Put the contents into a machine; returns all operands as arrays, constants too."""
        rng = np.random.default_rng(seed)
        arrays: dict[str, NDArray[Any]] = {}
        for use in self.instruction.operands():
            if isinstance(use.value, Constant):
                arrays[use.name] = machine.memory.load(use.value)
            else:
                values = self.contents.get(use.name)
                arrays[use.name] = numbers(rng, use.value.shape, use.value.dtype) if values is None else values
                if use.value.address not in CHIP.regions["static"]:
                    machine.load(use.value, arrays[use.name])
        return arrays
