"""Where the instructions of TPUKernel functions go."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from tpukernel.api.errors import NotRecordingError
from tpukernel.chips.chip import Chip
from tpukernel.errors import TpuError
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program

__all__ = ["Recorder", "recorder", "recording"]

_HERE = str(Path(__file__).parent)


class Recorder:
    """Takes what TPUKernel functions emit: checks each instruction, and appends it to a program.

    Args:
        program: takes the instructions.
        check: refuse an instruction that the chip forbids when it is emitted.
    """

    def __init__(self, program: Program, *, check: bool = True) -> None:
        self.program = program
        self._check = check

    def emit(self, instructions: Sequence[Instruction]) -> None:
        """Append the instructions of one call.

        Raises:
            LegalityError: the chip forbids one of them; none is appended.
            OperandConflictError, FieldRangeError: no command can say one of them; none is appended.
        """
        if self._check:
            for instruction in instructions:
                instruction.check(self.program.chip)
                instruction.encoded(self.program.chip)  # what no command can say is refused here, too; numbering keeps the bits
        for instruction in instructions:
            self.program.append(instruction)


_CURRENT: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def recorder(function: str) -> Recorder:
    """The recorder of the innermost context.

    Raises:
        NotRecordingError: there is none; `function` is what was called.
    """
    found = _CURRENT.get()
    if found is None:
        raise NotRecordingError(f"{function} was called outside of a recording", help="call it inside `with recording(chip) as program:`")
    return found


@contextmanager
def recorded_by(taker: Recorder) -> Generator[None]:
    """Everything that is called inside goes to that recorder."""
    token = _CURRENT.set(taker)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def recording(chip: Chip | str = "BM1684X", *, program: Program | None = None, check: bool = True) -> Generator[Program]:
    """TPUKernel functions that are called inside append their instructions to a program::

        with recording("BM1684X") as program:
            tpu_gdma_cpy_S2L(0, ddr, (1, 64, 8, 8), None, None, f32)
            tpu_bdc_abs(4096, 0, (1, 64, 8, 8), None, None, f32)
        Machine("BM1684X").run(program)

    Args:
        chip: the chip or its name; a program that is given has its own.
        program: append to this one; by default to a new one.
        check: refuse an instruction that the chip forbids at the call that emits it.

    Recordings nest: the innermost one takes the instructions. A recording belongs to the thread (or task) that opened it.
    """
    taker = Recorder(Program(chip) if program is None else program, check=check)
    with recorded_by(taker):
        yield taker.program


def located(error: TpuError, function: str) -> TpuError:
    """The error with the function and the line of its caller, if it names no place yet."""
    if error.where is None:
        error.where = f"{function}, {_caller()}"
    return error


def _caller() -> str:
    """File and line of the innermost frame outside this package."""
    frame = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
