"""DMA_nonzero: positions of the elements that are not zero.

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
from tpukernel.isa.spec import DtypeCode, attribute

__all__ = ["DmaNonzero"]


class DmaNonzero(Instruction):
    """Writes `base_index` plus the position in order of (n, c, h, w) of every element of `src` that is not zero, without gaps.

    Attributes:
        dst: where to, in DDR or L2, of the shape of `src`: there may be a position for every element. What is behind the last position
            stays as it is; their number is written nowhere. The official library uses 32 bits; the C model also takes integers of 8
            and 16 bits and writes the lowest bits.
        src: integers, without strides; EU-aligned in local memory.
        base_index: position of the first element.
    """

    unit: ClassVar[str] = "DMA_nonzero"
    family: ClassVar[str] = "dma_nonzero"
    engine: ClassVar[Engine] = "gdma"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_id_en": 1, "cmd_type": 5, **EVERY_LANE}
    indexed: ClassVar[frozenset[str]] = frozenset({"dst"})

    dst: LocalTensor | SystemTensor = dma_operand("dst", sizes_of("src"), dtype=DtypeCode("index_data_format"), direction="inout")
    src: LocalTensor | SystemTensor = dma_operand("src", sizes_of("src"))
    base_index: int = attribute("dst_nstride", int, default=0)

    rules: ClassVar[tuple[Rule, ...]] = (
        placement,
        system_range,
        system_sizes,
        element_aligned,
        in_system("dst"),
        integers("dst"),
        integers("src"),
    )

    @property
    def bytes_moved(self) -> int:
        """As if no element were zero."""
        return prod(self.dst.shape) * self.dst.dtype.itemsize
