"""DMA_tensor: strided copies of four-dimensional tensors between any two memories, with their transposing, broadcasting and filling forms.

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from math import prod
from typing import ClassVar

from tpukernel.chips.chip import Engine
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa.dma_fields import ALL_LANES, dma_operand, dma_source, lane_mask, sizes_of, strides_of
from tpukernel.isa.format import Bits
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, placement, system_range, w_stride_bytes
from tpukernel.isa.spec import Shape, attribute

__all__ = ["DmaTensor", "DmaTensorOp"]


class DmaTensorOp(IntEnum):
    """What happens on the way."""

    COPY = 0
    TRANSPOSE = 1
    """n and c are exchanged."""
    BROADCAST = 3
    """One channel is written to several lanes."""


def _dst_sizes(instruction: Instruction, bits: Bits) -> Shape:
    if not bits["nchw_copy"]:
        return sizes_of("dst")
    n, c, h, w = sizes_of("src")
    return (c, n, h, w) if instruction.value_of("op") is DmaTensorOp.TRANSPOSE else (n, c, h, w)


def _strides(prefix: str, instruction: Instruction) -> Shape:
    n, c, h, w = strides_of(prefix)
    return (n, 0, h, 1) if instruction.value_of("op") is DmaTensorOp.BROADCAST else (n, c, h, w)


class DmaTensor(Instruction):
    """Strided copy of a tensor.

    Attributes:
        op: copy, exchange n and c, or write one channel to several lanes.
        dst: where to.
        src: where from, or the constant to fill `dst` with. Without BROADCAST and TRANSPOSE the elements are taken in order of (n,
            c, h, w), so the
            shapes need only have the same number of elements.
        one_shape: the command holds the shape of `src` only; `dst` has the same (the official library does so between local and
            system memory).
        lane_mask: lanes that a copy from system to local memory may write.

    A BROADCAST has no strides of c and w: they are 0 and 1 here.
    """

    unit: ClassVar[str] = "DMA_tensor"
    family: ClassVar[str] = "dma"
    engine: ClassVar[Engine] = "gdma"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_id_en": 1, "cmd_type": 0}

    op: DmaTensorOp = attribute("cmd_special_function", DmaTensorOp, default=DmaTensorOp.COPY)
    one_shape: bool = attribute("nchw_copy", bool, default=False)
    dst: LocalTensor | SystemTensor = dma_operand("dst", _dst_sizes, strides=lambda i, _: _strides("dst", i), direction="out")
    src: LocalTensor | SystemTensor | Constant = dma_source("src", sizes_of("src"), strides=lambda i, _: _strides("src", i))
    lane_mask: int = lane_mask(default=ALL_LANES)

    rules: ClassVar[tuple[Rule, ...]] = (placement, system_range, w_stride_bytes)

    @property
    def bytes_moved(self) -> int:
        return prod(self.dst.shape) * self.dst.dtype.itemsize
