"""Running plans: native calls, and the interpreter where there is no kernel or a kernel refused the data."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.sim.interpreter import Interpretation
from tpukernel.sim.jit.plan import plan_of
from tpukernel.sim.jit.stream import CONTROL_WORDS, executor
from tpukernel.sim.memory import Memory

__all__ = ["NativeExecution"]

CHUNK_NANOSECONDS = 5e7
"""Estimated time of one native call, after which Python gets to see an interrupt."""


class NativeExecution:
    """Runs the commands of a program natively.

    Args:
        program: its plan is made here, or taken from the last run.
        memory: the memories to run on.
        threads: threads to compute with.

    Raises:
        DependencyError, DeadlockError: the engines cannot work the commands off.
    """

    def __init__(self, program: Program, memory: Memory, threads: int | None = None) -> None:
        self._plan = plan_of(program, memory)
        self._bound = self._plan.bound(memory)
        self._interpreter = Interpretation(self._plan.order, memory)
        self._threads = threads

    @property
    def order(self) -> Sequence[Instruction]:
        """The commands in the order in which they run."""
        return self._plan.order

    def run(self, begin: int, end: int) -> None:
        """Run the commands at these positions: stretches of native ones in one call each.

        Raises:
            ExecutionError: a command met data with which the chip's model stops.
        """
        while begin < end:
            if self._plan.native[begin]:
                begin = self._native(begin, self._stretch(begin, end))
            else:
                self._interpreter.run(begin, begin + 1)
                begin += 1

    def _stretch(self, begin: int, end: int) -> int:
        """Where the native commands end that begin there, or where enough work is done for one call."""
        native, cost, spent = self._plan.native, self._plan.cost, 0.0
        for position in range(begin, end):
            if not native[position] or spent > CHUNK_NANOSECONDS:
                return position
            spent += cost[position]
        return end

    def _native(self, begin: int, end: int) -> int:
        """Run rows of the table; where it goes on."""
        starts = self._plan.starts
        first, last = starts[begin], starts[end]
        if first == last:
            return end
        control = np.zeros(CONTROL_WORDS, np.int64)
        row = executor()(self._bound.table.ctypes.data, first, last, control.ctypes.data, 0, 1)
        if row == last:
            return end
        refused = bisect_right(starts, row) - 1
        self._interpreter.run(refused, refused + 1)
        return refused + 1
