"""What a run can choose: exact or fast numbers; and which runs are not worth machine code.

Loading LLVM takes longer than the interpreter needs for a few small commands. As long as native execution is not loaded, small programs go
to the interpreter; what that costs is added up, and when it amounts to the loading, everything is native from then on. So nobody ever
pays more than twice. The bits are the same either way.
"""

from __future__ import annotations

import sys
from math import prod
from time import perf_counter
from typing import Final, Literal, get_args

from tpukernel.chips.tensors import Constant
from tpukernel.isa.program import Program
from tpukernel.sim.errors import EngineChoiceError
from tpukernel.sim.interpreter import Interpretation

__all__ = ["NUMERICS", "Numerics", "ShortInterpretation", "checked_numerics", "is_short"]

Numerics = Literal["exact", "fast"]
"""Whether products of floats are added up as the chip does it, or as the computer does it fastest."""
NUMERICS: Final[tuple[Numerics, ...]] = get_args(Numerics)


def checked_numerics(numerics: Numerics) -> Numerics:
    """The same.

    Raises:
        EngineChoiceError: it is neither "exact" nor "fast".
    """
    if numerics not in NUMERICS:
        raise EngineChoiceError(f"there are no numerics {numerics!r}", help="use 'exact' or 'fast'")
    return numerics


NATIVE: Final = "tpukernel.sim.jit.run"
"""The module that is there once native execution is loaded."""

LOADING_SECONDS: Final = 0.15
MOST_COMMANDS: Final = 48
MOST_WORK: Final = 1 << 18
"""Elements of all operands, and multiply-accumulates: some 10 milliseconds of the interpreter."""

_spent = [0.0]


def is_short(program: Program) -> bool:
    """Whether the interpreter is the faster way to run the program, here and now."""
    if NATIVE in sys.modules or _spent[0] > LOADING_SECONDS or len(program) > MOST_COMMANDS:
        return False
    work = 0
    for group in program.groups:
        for instruction in (*group.tiu, *group.gdma):
            work += instruction.macs + sum(prod(use.value.shape) for use in instruction.operands() if not isinstance(use.value, Constant))
            if work > MOST_WORK:
                return False
    return True


class ShortInterpretation(Interpretation):
    """The interpreter instead of native execution; the time that it takes is remembered."""

    def run(self, begin: int, end: int) -> None:
        """As `Interpretation.run`."""
        start = perf_counter()
        try:
            super().run(begin, end)
        finally:
            _spent[0] += perf_counter() - start
