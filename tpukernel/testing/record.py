"""What a test did with kernels, so that a failure can be repeated: the inputs of each run and what was required of its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import local
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tpukernel.lang.kernel import Kernel
    from tpukernel.sim.machine import ExecutionEngine

__all__ = ["Comparison", "Run", "last_run", "remember", "run_of"]

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Comparison:
    """A comparison that failed: the output by name, what was wanted of it, and the keywords of `assert_close`."""

    output: str
    wanted: Array
    keywords: Mapping[str, object]


@dataclass(eq=False)
class Run:
    """One run of a kernel in a test.

    Attributes:
        kernel: the kernel.
        arrays: its inputs.
        keywords: its keywords.
        chip: name of the chip.
        engines: the engines that executed it.
        outputs: its results by name; empty when it failed.
        error: what it failed with.
        failed: the comparison of its results that failed.
    """

    kernel: Kernel
    arrays: tuple[Array, ...]
    keywords: Mapping[str, object]
    chip: str
    engines: tuple[ExecutionEngine, ...]
    outputs: Mapping[str, Array] = field(default_factory=dict[str, Array])
    error: BaseException | None = None
    failed: Comparison | None = None

    def output_of(self, array: Array) -> str | None:
        """The name of the output that an array is; None where it is none, or only a part of one."""
        return next((name for name, output in self.outputs.items() if output is array), None)


class _Runs(local):
    last: Run | None = None


_RUNS = _Runs()


def remember(run: Run) -> None:
    """Take down the run that this thread begins."""
    _RUNS.last = run


def last_run() -> Run | None:
    """The run of a kernel that this thread began last with `tpukernel.testing.run`."""
    return _RUNS.last


def run_of(array: Array) -> tuple[Run, str] | None:
    """The last run and the name of its output, if the array is one."""
    run = _RUNS.last
    name = None if run is None else run.output_of(array)
    return None if run is None or name is None else (run, name)
