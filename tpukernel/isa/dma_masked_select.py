"""DMA_masked_select: the elements whose mask is not zero, one after the other.

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library and its C model.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import ClassVar

from tpukernel.chips.chip import Engine
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.isa.dma_fields import EVERY_LANE, dma_operand, sizes_of
from tpukernel.isa.dma_rules import element_aligned, in_system, integers, system_sizes
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, placement, system_range
from tpukernel.isa.spec import DtypeCode

__all__ = ["DmaMaskedSelect"]


class DmaMaskedSelect(Instruction):
    """Writes the elements of `src` whose `mask` is not zero to `dst`, in order of (n, c, h, w), without gaps.

    Attributes:
        dst: where to, in DDR or L2, of the shape of `src`: there may be room for all elements. What is behind the last selected element
            stays as it is; the number of selected elements is written nowhere.
        src: data, without strides; EU-aligned in local memory.
        mask: integers, of the shape of `src`, without strides; EU-aligned in local memory.
    """

    unit: ClassVar[str] = "DMA_masked_select"
    family: ClassVar[str] = "dma_masked_select"
    engine: ClassVar[Engine] = "gdma"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_id_en": 1, "cmd_type": 2, **EVERY_LANE}
    indexed: ClassVar[frozenset[str]] = frozenset({"dst", "src"})

    dst: LocalTensor | SystemTensor = dma_operand("dst", sizes_of("src"), direction="inout")
    src: LocalTensor | SystemTensor = dma_operand("src", sizes_of("src"))
    mask: LocalTensor | SystemTensor = dma_operand("mask", sizes_of("src"), dtype=DtypeCode("mask_data_format"))

    rules: ClassVar[tuple[Rule, ...]] = (placement, system_range, system_sizes, element_aligned, in_system("dst"), integers("mask"))

    @property
    def bytes_moved(self) -> int:
        """As if all elements were selected."""
        return prod(self.dst.shape) * self.dst.dtype.itemsize
