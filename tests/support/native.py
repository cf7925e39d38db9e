"""Runs single instructions on the interpreter and natively, and compares the memories around all operands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tests.support.differential import CHIP, hard_values, windows
from tpukernel.chips.tensors import Constant
from tpukernel.errors import TpuError
from tpukernel.isa.codec import decode
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.sim.interpreter import execute
from tpukernel.sim.jit import NativeExecution, plan_of
from tpukernel.sim.memory import Array, Memory

__all__ = ["Comparison", "as_decoded"]

DDR_BYTES = 1 << 28


def as_decoded(instruction: Instruction) -> Instruction:
    """The instruction as its command says it."""
    bits = instruction.encoded(CHIP)
    record: int = bits.record
    return decode(CHIP, instruction.engine, record.to_bytes(bits.format.bytes, "little"))[0]


@dataclass
class Comparison:
    """Compares instructions, one after the other, in one memory.

    Attributes:
        native: titles of the instructions that ran natively.
        interpreted: titles of those that were left to the interpreter.
    """

    seed: int = 0
    memory: Memory = field(default_factory=lambda: Memory(CHIP, DDR_BYTES))
    native: list[str] = field(default_factory=list[str])
    interpreted: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def differences(self, instructions: Iterable[Instruction], **values: Array) -> list[str]:
        """One text for each instruction that leaves other bytes natively. What is not given in `values` is hard (`hard_values`)."""
        return [text for instruction in instructions if (text := self._difference(as_decoded(instruction.numbered(1, 0)), values))]

    def _difference(self, instruction: Instruction, values: Mapping[str, Array]) -> str:
        memory, rng = self.memory, self._rng
        parts = [memory.range(*window) for window in windows(memory, [instruction])]
        for part in parts:
            part[:] = rng.integers(0, 256, part.size, np.uint8)
        for use in instruction.operands():
            if isinstance(use.value, Constant) or use.value.address in CHIP.regions["static"]:
                continue
            given = values.get(use.name)
            memory.store(use.value, hard_values(rng, use.value.shape, use.value.dtype) if given is None else given)
        before = [part.copy() for part in parts]
        memory.registers[:] = 0
        failed = self._outcome(lambda: execute(instruction, memory))
        expected, registers = [part.copy() for part in parts], memory.registers.copy()
        memory.registers[:] = 0
        for part, content in zip(parts, before, strict=True):
            part[:] = content
        program = Program(CHIP)
        program.append(instruction)
        (self.native if plan_of(program, memory).native[0] else self.interpreted).append(instruction.title)
        failed_natively = self._outcome(lambda: NativeExecution(program, memory).run(0, 1))
        if failed != failed_natively:
            return f"{failed} on the interpreter, {failed_natively} natively: {instruction!r}"
        if not np.array_equal(memory.registers, registers):
            return f"registers are {registers} after the interpreter, {memory.registers} natively: {instruction!r}"
        count = sum(int((part != content).sum()) for part, content in zip(parts, expected, strict=True))
        return f"{count} bytes differ: {instruction!r}" if count else ""

    def _outcome(self, run: Callable[[], None]) -> str:
        try:
            run()
        except TpuError as error:
            return error.code
        return "no error"
