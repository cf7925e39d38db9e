"""Sys: no effect on the memories (measured on the official model for every operation)."""

from __future__ import annotations

from tpukernel.isa.sys import Sys
from tpukernel.sim.memory import Memory

__all__ = ["execute"]


def execute(instruction: Sys, memory: Memory) -> None:
    """Do nothing."""
