"""Tools for tests of kernels: inputs that find mistakes, both execution engines at once, tolerances, and scripts that repeat a failure.

Needs the packages of `tpukernel[test]` only where it uses them: hypothesis for the strategies, pytest for the plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpukernel.testing.closeness import Tolerance, assert_close, tolerance_of, ulps
    from tpukernel.testing.errors import EngineDifferenceError, MissingPackageError, NotCloseError, ReproductionError, StrategyError
    from tpukernel.testing.record import Run, last_run
    from tpukernel.testing.reproduce import write_reproduction
    from tpukernel.testing.running import run
    from tpukernel.testing.strategies import FLOATS, INTEGERS, arrays, dtypes, shapes
    from tpukernel.testing.values import random

__all__ = [
    "FLOATS",
    "INTEGERS",
    "EngineDifferenceError",
    "MissingPackageError",
    "NotCloseError",
    "ReproductionError",
    "Run",
    "StrategyError",
    "Tolerance",
    "arrays",
    "assert_close",
    "dtypes",
    "last_run",
    "random",
    "run",
    "shapes",
    "tolerance_of",
    "ulps",
    "write_reproduction",
]

_MODULES = {
    "closeness": ("Tolerance", "assert_close", "tolerance_of", "ulps"),
    "errors": ("EngineDifferenceError", "MissingPackageError", "NotCloseError", "ReproductionError", "StrategyError"),
    "record": ("Run", "last_run"),
    "reproduce": ("write_reproduction",),
    "running": ("run",),
    "strategies": ("FLOATS", "INTEGERS", "arrays", "dtypes", "shapes"),
    "values": ("random",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
"""The module of each name; loaded when it is used, because pytest loads the plugin in this package in every run."""


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'tpukernel.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"tpukernel.testing.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
