"""DMA_matrix: copies of matrices between system memory (rows and columns) and local memory (columns spread over the lanes).

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library and its C model.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from math import prod
from typing import ClassVar

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.isa.dma_fields import ALL_LANES, dma_operand, in_lanes, lane_mask
from tpukernel.isa.dma_rules import Broken, element_aligned, system_sizes
from tpukernel.isa.errors import OperandKindError, OperandShapeError
from tpukernel.isa.format import Bits
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, placement, rule, system_range
from tpukernel.isa.spec import Shape, attribute

__all__ = ["DmaMatrix", "DmaMatrixOp"]


class DmaMatrixOp(IntEnum):
    """What happens on the way."""

    COPY = 0
    TRANSPOSE = 1
    """Rows and columns are exchanged."""


def _shape(prefix: str, bits: Bits) -> Shape:
    if in_lanes(bits, prefix):
        return f"{prefix}_nsize", f"{prefix}_csize", 1, f"{prefix}_wsize"
    return 1, 1, f"{prefix}_hsize", f"{prefix}_wsize"


def _strides(prefix: str, bits: Bits) -> Shape:
    if in_lanes(bits, prefix):
        return f"{prefix}_nstride", f"{prefix}_cstride", 0, 1
    return 0, 0, f"{prefix}_hstride", 1


def _sides(instruction: Instruction) -> tuple[LocalTensor, SystemTensor] | None:
    operands = instruction.value_of("dst"), instruction.value_of("src")
    for local, system in (operands, operands[::-1]):
        if isinstance(local, LocalTensor) and isinstance(system, SystemTensor):
            return local, system
    return None


def _not_one_side(instruction: Instruction, chip: Chip) -> Broken:
    if _sides(instruction) is None:
        yield "dst", f"{instruction.title} copies between local and system memory, not within one of them", "use dma.copy"


def _other_matrix(instruction: Instruction, chip: Chip) -> Broken:
    sides = _sides(instruction)
    if sides is None:
        return
    (n, c, _, w), (_, _, rows, cols) = sides[0].shape, sides[1].shape
    if instruction.value_of("op") is DmaMatrixOp.TRANSPOSE:
        rows, cols = cols, rows
    name = "dst" if instruction.value_of("dst") is sides[0] else "src"
    if w and (n, c) != (rows, wanted := -(-cols // w)):
        yield (
            name,
            f"{name} of {instruction.title} has {n} rows of {c} channels, but holds a matrix of {rows} rows and {cols} columns",
            f"with {w} columns per channel it is ({rows}, {wanted}, 1, {w})",
        )


class DmaMatrix(Instruction):
    """Copy of a matrix between system and local memory, in either direction, exchanging rows and columns if wanted.

    Attributes:
        op: copy or transpose.
        dst, src: one of them in system memory: (1, 1, rows, cols), the row stride in h; the other one in local memory: (rows,
            ceil(cols / w), 1, w), w columns per channel, the end of the last channel unused. With TRANSPOSE rows and columns of the
            local matrix are columns and rows of the other.
        lane_mask: lanes that a copy to local memory may write.
    """

    unit: ClassVar[str] = "DMA_matrix"
    family: ClassVar[str] = "dma_matrix"
    engine: ClassVar[Engine] = "gdma"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_id_en": 1, "cmd_type": 1}

    op: DmaMatrixOp = attribute("cmd_special_function", DmaMatrixOp, default=DmaMatrixOp.COPY)
    dst: LocalTensor | SystemTensor = dma_operand(
        "dst", lambda _, bits: _shape("dst", bits), strides=lambda _, bits: _strides("dst", bits), direction="out"
    )
    src: LocalTensor | SystemTensor = dma_operand("src", lambda _, bits: _shape("src", bits), strides=lambda _, bits: _strides("src", bits))
    lane_mask: int = lane_mask(default=ALL_LANES)

    rules: ClassVar[tuple[Rule, ...]] = (
        placement,
        system_range,
        system_sizes,
        element_aligned,
        rule("one_side_local", "One of `dst` and `src` is in local memory, the other is not.", OperandKindError, _not_one_side),
        rule("matrix_shape", "Both operands hold the same matrix: (rows, ceil(cols / w), 1, w) locally.", OperandShapeError, _other_matrix),
    )

    @property
    def bytes_moved(self) -> int:
        system = self.src if isinstance(self.src, SystemTensor) else self.dst
        return prod(system.shape) * system.dtype.itemsize
