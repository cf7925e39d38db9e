"""Fusing elementwise commands: one kernel for several commands on the same elements, without the stores that nobody can see."""

from tpukernel.sim.jit.fusion.stretches import Fused, Fusing, Stretch, unfused

__all__ = ["Fused", "Fusing", "Stretch", "unfused"]
