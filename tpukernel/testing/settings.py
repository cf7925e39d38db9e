"""What holds for runs that say nothing else: chip, engines, and the folder of scripts that repeat failures. The pytest plugin sets it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tpukernel.sim.machine import ExecutionEngine

__all__ = ["REPRODUCTIONS", "Settings", "current", "reproduction_folder", "use"]

REPRODUCTIONS: Final = "TPUKERNEL_REPRODUCTIONS"
"""Environment variable: the folder for scripts that repeat failures."""


@dataclass(frozen=True)
class Settings:
    """Chip and engines of a run."""

    chip: str = "BM1684X"
    engines: Sequence[ExecutionEngine] = ("interpreter", "jit")


_STACK = [Settings()]


def current() -> Settings:
    """What holds now."""
    return _STACK[-1]


def use(settings: Settings) -> None:
    """From now on these hold."""
    _STACK[-1] = settings


def reproduction_folder() -> Path:
    """Where scripts go without the plugin: `TPUKERNEL_REPRODUCTIONS`, or `.tpukernel` in the current folder."""
    return Path(os.environ.get(REPRODUCTIONS) or ".tpukernel")
