"""The chips as data: lanes, memories, types, layouts, limits and instruction field tables."""

from tpukernel.chips.bm1684 import BM1684
from tpukernel.chips.bm1684x import BM1684X
from tpukernel.chips.chip import CHIPS, Chip, ChipNameError, Engine, Region, StaticTable, chip_of

__all__ = ["BM1684", "BM1684X", "CHIPS", "Chip", "ChipNameError", "Engine", "Region", "StaticTable", "chip_of"]
