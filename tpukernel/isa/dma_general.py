"""DMA_general: copies of consecutive bytes, and the same bytes to several lanes.

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library and its C model.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from math import prod
from typing import ClassVar

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, Layout, LocalTensor, SystemTensor
from tpukernel.isa.dma_fields import ALL_LANES, dma_operand, dma_source, lane_mask
from tpukernel.isa.dma_rules import Broken, channels_in_lanes, element_aligned, system_sizes
from tpukernel.isa.errors import LocalRangeError, OperandShapeError
from tpukernel.isa.format import Bits
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, rule, system_range
from tpukernel.isa.spec import Shape, attribute

__all__ = ["DmaGeneral", "DmaGeneralOp"]


class DmaGeneralOp(IntEnum):
    """What happens on the way."""

    COPY = 0
    BROADCAST = 1
    """The same elements are written to several lanes."""


def _dst_shape(instruction: Instruction, bits: Bits) -> Shape:
    return 1, "dst_csize" if instruction.value_of("op") is DmaGeneralOp.BROADCAST else 1, 1, "src_cstride"


def _outside_local(instruction: Instruction, chip: Chip) -> Broken:
    for operand in instruction.operands():
        value = operand.value
        if isinstance(value, LocalTensor):
            lanes = min(value.shape[1], chip.lanes - value.address // chip.lane_bytes)  # a broadcast past the last lane has its own rule
            end = value.address + (lanes - 1) * chip.lane_bytes + value.shape[3] * value.dtype.itemsize
            if not (0 <= value.address < end <= chip.local_bytes and min(value.shape) > 0):
                what = f"{operand.name} of {instruction.title} at {value.address:#x} has {value.shape[3]} elements"
                yield operand.name, f"{what} that are not all inside local memory", f"end before {chip.local_bytes:#x}"


def _outside_lanes(instruction: Instruction, chip: Chip) -> Broken:
    if instruction.value_of("op") is DmaGeneralOp.BROADCAST:
        yield from channels_in_lanes(instruction, chip)


class DmaGeneral(Instruction):
    """Copy of consecutive elements.

    Attributes:
        op: copy, or write the same elements to several lanes.
        dst: where to: (1, 1, 1, count); for BROADCAST (1, lanes, 1, count) in local memory.
        src: where from: (1, 1, 1, count), or the constant to fill `dst` with.
        lane_mask: lanes of local memory that may be written.

    Local memory is one array of bytes here, of layout COMPACT: a copy that reaches the end of a lane goes on at the start of the next one.
    """

    unit: ClassVar[str] = "DMA_general"
    family: ClassVar[str] = "dma_general"
    engine: ClassVar[Engine] = "gdma"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_id_en": 1, "cmd_type": 3}

    op: DmaGeneralOp = attribute("cmd_special_function", DmaGeneralOp, default=DmaGeneralOp.COPY)
    dst: LocalTensor | SystemTensor = dma_operand("dst", _dst_shape, direction="out", layout=Layout.COMPACT)
    src: LocalTensor | SystemTensor | Constant = dma_source("src", (1, 1, 1, "src_cstride"), layout=Layout.COMPACT)
    lane_mask: int = lane_mask(default=ALL_LANES)

    rules: ClassVar[tuple[Rule, ...]] = (
        rule("local_range", "Operands in local memory end inside it.", LocalRangeError, _outside_local),
        system_range,
        system_sizes,
        element_aligned,
        rule("broadcast_lanes", "BROADCAST writes to local memory, up to the last lane.", OperandShapeError, _outside_lanes),
    )

    @property
    def bytes_moved(self) -> int:
        return prod(self.dst.shape) * self.dst.dtype.itemsize
