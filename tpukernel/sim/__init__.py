"""The simulator: memories, an exact interpreter, and the checks that find mistakes in programs."""

from tpukernel.sim.machine import Machine, Step

__all__ = ["Machine", "Step"]
