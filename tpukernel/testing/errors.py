"""Errors of `tpukernel.testing`. What a test finds is an `AssertionError`, so that test runners show it as a failure."""

from __future__ import annotations

from tpukernel.errors import TpuError

__all__ = ["EngineDifferenceError", "MissingPackageError", "NotCloseError", "ReproductionError", "StrategyError"]


class EngineDifferenceError(TpuError, AssertionError, code="KER180"):
    """The interpreter and native execution gave different bits: a mistake of this project, not of the kernel."""


class NotCloseError(TpuError, AssertionError, code="KER181"):
    """An array differs from the wanted one by more than its data type and the length of its sums explain."""


class MissingPackageError(TpuError, ImportError, code="KER182"):
    """A package is missing that comes with `tpukernel[test]`."""


class StrategyError(TpuError, ValueError, code="KER183"):
    """A strategy was asked for values that do not exist."""


class ReproductionError(TpuError, code="KER184"):
    """A kernel or a keyword cannot be written down as a script of its own."""
