"""Errors of the cost model. Codes: COST101 and following."""

from __future__ import annotations

from tpukernel.errors import TpuError

__all__ = ["CostModeError", "NoCostTableError", "UnknownCostError"]


class NoCostTableError(TpuError, code="COST101"):
    """The cycles of a chip are not known."""


class UnknownCostError(TpuError, code="COST102"):
    """Nobody has measured what a command costs, or the chip forbids it; it is never counted as 0."""


class CostModeError(TpuError, code="COST103"):
    """A mode of the cost model was asked for that does not exist."""
