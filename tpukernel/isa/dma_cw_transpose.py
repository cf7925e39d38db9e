"""DMA_cw_transpose: copies that exchange channels and columns.

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library and its C model.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import ClassVar

from tpukernel.chips.chip import Engine
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.isa.dma_fields import ALL_LANES, dma_operand, lane_mask
from tpukernel.isa.dma_rules import element_aligned, system_sizes
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, placement, system_range
from tpukernel.isa.spec import Shape

__all__ = ["DmaCwTranspose"]


def _strides(prefix: str) -> Shape:
    # The fields of the w strides have no effect on the C model, and the official library leaves them 0.
    return f"{prefix}_nstride", f"{prefix}_cstride", f"{prefix}_hstride", 1


class DmaCwTranspose(Instruction):
    """Copy that exchanges c and w.

    Attributes:
        dst: where to, (n, w, h, c).
        src: where from, (n, c, h, w).
        lane_mask: lanes that a copy to local memory may write.

    The w strides are 1.
    """

    unit: ClassVar[str] = "DMA_cw_transpose"
    family: ClassVar[str] = "dma_cw_transpose"
    engine: ClassVar[Engine] = "gdma"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_id_en": 1, "cmd_type": 4, "nchw_copy": 1}

    dst: LocalTensor | SystemTensor = dma_operand(
        "dst", ("src_nsize", "src_wsize", "src_hsize", "src_csize"), strides=_strides("dst"), direction="out"
    )
    src: LocalTensor | SystemTensor = dma_operand("src", ("src_nsize", "src_csize", "src_hsize", "src_wsize"), strides=_strides("src"))
    lane_mask: int = lane_mask(default=ALL_LANES)

    rules: ClassVar[tuple[Rule, ...]] = (placement, system_range, system_sizes, element_aligned)

    @property
    def bytes_moved(self) -> int:
        return prod(self.dst.shape) * self.dst.dtype.itemsize
