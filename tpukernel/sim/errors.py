"""Errors of the simulator: access to the memories (SIM101-109), execution (SIM110-119), and what the checks find (SIM120-139)."""

from __future__ import annotations

from tpukernel.errors import TpuError

__all__ = ["EngineChoiceError", "ExecutionError", "HauError", "MemoryRangeError", "MemorySpaceError"]


class MemorySpaceError(TpuError, code="SIM101"):
    """The chip has no memory of that name."""


class MemoryRangeError(TpuError, code="SIM102"):
    """Bytes outside a memory were asked for, or more DDR than the machine was made with."""


class EngineChoiceError(TpuError, code="SIM110"):
    """An execution engine was asked for that does not exist."""


class ExecutionError(TpuError, code="SIM111"):
    """A command met data with which the chip's official model stops, for example an index outside its table."""


class HauError(TpuError, code="SIM113"):
    """The HAU was asked for something that it cannot do: a data type, a count or an alignment."""
