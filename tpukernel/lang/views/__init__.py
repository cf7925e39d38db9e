"""Kernels to look at: what lies where in local memory, pages for notebooks."""

from tpukernel.lang.views.memory_map import MappedBuffer, MemoryMap

__all__ = ["MappedBuffer", "MemoryMap"]
