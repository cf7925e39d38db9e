"""Running plans: native calls, and the interpreter where there is no kernel or a kernel refused the data."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from tpukernel.isa.instruction import Instruction
from tpukernel.isa.program import Program
from tpukernel.sim.choice import Numerics
from tpukernel.sim.interpreter import Interpretation
from tpukernel.sim.jit.plan import Bound, bound, plan_of
from tpukernel.sim.jit.stream import STOPPED, executor
from tpukernel.sim.jit.threads import default_threads, team
from tpukernel.sim.memory import Memory

__all__ = ["NativeExecution"]

CHUNK_NANOSECONDS = 5e7
"""Estimated time of one native call, after which Python gets to see an interrupt."""

LONG_NANOSECONDS = 2 * CHUNK_NANOSECONDS
"""Estimated time of a single command that is left to helpers, while the calling thread waits for an interrupt."""

PARALLEL_NANOSECONDS = 1.5e5
"""Work that is worth waking other threads, which takes some 50 microseconds."""


class NativeExecution:
    """Runs the commands of a program natively.

    Args:
        program: its plan is made here, or taken from the last run.
        memory: the memories to run on.
        threads: threads to compute with; see `default_threads`.
        numerics: whether the sums of CONV, MM and MM2 have to have the chip's bits (see `Machine`).

    Raises:
        DependencyError, DeadlockError: the engines cannot work the commands off.
    """

    def __init__(self, program: Program, memory: Memory, threads: int | None = None, numerics: Numerics = "exact") -> None:
        self._plan = plan_of(program, memory, numerics)
        self._bound = self._plan.bound(memory)
        self._fused = self._plan.fusing.next_run(memory)
        self._bound_fused = self._bound if self._fused is None else bound(self._fused.tables, memory)
        self._interpreter = Interpretation(self._plan.order, memory)
        self._threads = default_threads() if threads is None else threads

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
            fused = self._fused.stretches.get(begin) if self._fused else None
            if fused and fused.end <= end:
                self._rows(self._bound_fused, fused.first, fused.last, fused.cost)
                begin = fused.end
            elif self._plan.native[begin]:
                begin = self._native(begin, self._stretch(begin, end))
            else:
                self._interpreter.run(begin, begin + 1)
                begin += 1

    def _stretch(self, begin: int, end: int) -> int:
        """Where the native commands end that begin there, or where enough work is done for one call."""
        spent = self._plan.tables.spent
        enough = bisect_left(spent, spent[begin] + CHUNK_NANOSECONDS, begin + 1)
        fused = self._fused.following(begin) if self._fused else end
        return min(end, self._plan.native_until[begin], enough, fused)

    def _native(self, begin: int, end: int) -> int:
        """Run rows of the table; where it goes on."""
        starts, spent = self._plan.tables.starts, self._plan.tables.spent
        first, last = starts[begin], starts[end]
        if first == last:
            return end
        row = self._rows(self._bound, first, last, spent[end] - spent[begin])
        if row == last:
            return end
        self._bound.words[:] = 0
        refused = bisect_right(starts, row) - 1
        self._interpreter.run(refused, refused + 1)
        return refused + 1

    def _rows(self, bound: Bound, first: int, last: int, cost: float) -> int:
        """Run these rows; the first one that was not done."""
        table, control, words, threads = bound.table, bound.control, bound.words, self._threads
        execute = executor()
        words[STOPPED] = 0
        alone = threads < 2 or cost < PARALLEL_NANOSECONDS
        if alone and cost < LONG_NANOSECONDS:
            return execute(table, first, last, control, 0, 1)
        threads = 1 if alone else threads
        found = [last] * threads

        def work(number: int) -> None:
            found[number] = execute(table, first, last, control, number, threads)

        def stop() -> None:
            words[STOPPED] = 1

        words[:] = 0
        if cost < LONG_NANOSECONDS:
            team(threads).run(work, stop)
        else:
            team(threads + 1).run(work, stop, wait=True)
        return found[0]
