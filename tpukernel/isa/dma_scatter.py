"""DMA_scatter: lines of a tensor, put where an index says.

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library and its C model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tpukernel.chips.chip import Engine
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.dtypes import u32
from tpukernel.isa.dma_fields import ALL_LANES, dma_operand, lane_mask
from tpukernel.isa.dma_gather import channel_field, line_strides, one_channel_or_all
from tpukernel.isa.dma_rules import element_aligned, system_sizes
from tpukernel.isa.format import Bits
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, placement, system_range
from tpukernel.isa.spec import DtypeCode, Shape

__all__ = ["DmaScatter"]


def _dst_shape(instruction: Instruction, bits: Bits) -> Shape:
    return 1, channel_field(instruction), "dst_hsize", "src_wsize"


class DmaScatter(Instruction):
    """`dst[0, c, index[0, c, h, 0]] = src[0, c, h]`, whole lines of w elements.

    Lines of `dst` that no index names stay as they are, of equal indices the last one wins, and lines whose index is `dst.shape[2]` or more
    are dropped.

    Attributes:
        dst: (1, c, rows, w).
        src: (1, c, h, w), or one channel for all c.
        index: u32, (1, c, h, 1), or one channel for all c.
        lane_mask: lanes that a `dst` in local memory is written in.

    The w strides are 1. An index in local memory is EU-aligned unless strides are given.
    """

    unit: ClassVar[str] = "DMA_scatter"
    family: ClassVar[str] = "dma_scatter"
    engine: ClassVar[Engine] = "gdma"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_id_en": 1, "cmd_type": 8}
    indexed: ClassVar[frozenset[str]] = frozenset({"dst"})

    dst: LocalTensor | SystemTensor = dma_operand("dst", _dst_shape, strides=line_strides("dst"), direction="inout")
    src: LocalTensor | SystemTensor = dma_operand("src", (1, "src_csize", "src_hsize", "src_wsize"), strides=line_strides("src"))
    index: LocalTensor | SystemTensor = dma_operand(
        "index", (1, "index_csize", "index_hsize", 1), strides=line_strides("index"), dtype=DtypeCode(None, implied=u32)
    )
    lane_mask: int = lane_mask(default=ALL_LANES)

    rules: ClassVar[tuple[Rule, ...]] = (placement, system_range, system_sizes, element_aligned, one_channel_or_all)

    @property
    def bytes_moved(self) -> int:
        _, channels, _, width = self.dst.shape
        return channels * self.src.shape[2] * width * self.src.dtype.itemsize
