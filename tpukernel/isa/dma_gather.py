"""DMA_gather: lines of a tensor, chosen by an index.

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library and its C model.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import ClassVar

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.dtypes import u32
from tpukernel.isa.dma_fields import ALL_LANES, dma_operand, lane_mask
from tpukernel.isa.dma_rules import Broken, dims_of, element_aligned, system_sizes
from tpukernel.isa.errors import OperandShapeError
from tpukernel.isa.format import Bits
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, placement, rule, system_range
from tpukernel.isa.spec import DtypeCode, Shape, constant

__all__ = ["DmaGather", "channel_field", "line_strides", "one_channel_or_all"]


def line_strides(prefix: str) -> Shape:
    """The stride fields of an operand whose lines are gathered or scattered: n is 1, w is packed."""
    return 0, f"{prefix}_cstride", f"{prefix}_hstride", 1


def channel_field(instruction: Instruction) -> str:
    """The field with the channels of the result: a `src` of one channel is repeated for every channel of the index."""
    src = dims_of(instruction, "src")
    return "index_csize" if src is not None and src[1] == 1 else "src_csize"


def _other_channels(instruction: Instruction, chip: Chip) -> Broken:
    src, index = dims_of(instruction, "src"), dims_of(instruction, "index")
    if src and index and src[1] != index[1] and 1 not in (src[1], index[1]):
        yield "index", f"index of {instruction.title} has {index[1]} channels, but src has {src[1]}", "give it 1 channel or as many"


one_channel_or_all = rule(
    "index_channels",
    "`src` and `index` have equally many channels, or one of them has one channel, which is repeated.",
    OperandShapeError,
    _other_channels,
)


def _dst_shape(instruction: Instruction, bits: Bits) -> Shape:
    return 1, channel_field(instruction), "dst_hsize", "src_wsize"


class DmaGather(Instruction):
    """`dst[0, c, h] = src[0, c, index[0, c, h, 0]]`, whole lines of w elements; `fill` where the index is `src.shape[2]` or more.

    Attributes:
        dst: result (1, c, h, w).
        src: (1, c, rows, w), or one channel for all c.
        index: u32, (1, c, h, 1), or one channel for all c.
        fill: element of the lines whose index is out of range.
        lane_mask: lanes that a `dst` in local memory is written in.

    The w strides are 1. An index in local memory is EU-aligned unless strides are given.
    """

    unit: ClassVar[str] = "DMA_gather"
    family: ClassVar[str] = "dma_gather"
    engine: ClassVar[Engine] = "gdma"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_id_en": 1, "cmd_type": 7}
    indexed: ClassVar[frozenset[str]] = frozenset({"src"})

    dst: LocalTensor | SystemTensor = dma_operand("dst", _dst_shape, strides=line_strides("dst"), direction="out")
    src: LocalTensor | SystemTensor = dma_operand("src", (1, "src_csize", "src_hsize", "src_wsize"), strides=line_strides("src"))
    index: LocalTensor | SystemTensor = dma_operand(
        "index", (1, "index_csize", "index_hsize", 1), strides=line_strides("index"), dtype=DtypeCode(None, implied=u32)
    )
    fill: Constant = constant("constant_value", DtypeCode("src_data_format"))
    lane_mask: int = lane_mask(default=ALL_LANES)

    rules: ClassVar[tuple[Rule, ...]] = (placement, system_range, system_sizes, element_aligned, one_channel_or_all)

    @property
    def bytes_moved(self) -> int:
        return prod(self.dst.shape) * self.dst.dtype.itemsize
