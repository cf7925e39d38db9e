"""DMA_tensor: strided copies of four-dimensional tensors between any two memories, with their transposing, broadcasting and filling forms.

Source: field tables of tpu-mlir's debugger; use of the fields as measured on the official library.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from math import prod
from typing import ClassVar

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa.dma_fields import ALL_LANES, dma_operand, dma_source, lane_mask, sizes_of, strides_of
from tpukernel.isa.dma_rules import Broken, channels_in_lanes, dims_of, element_aligned, system_sizes, w_stride_not_zero
from tpukernel.isa.errors import AttributeRangeError, OperandKindError, OperandLayoutError, OperandShapeError
from tpukernel.isa.format import Bits
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, placement, rule, system_range, w_stride_bytes
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


def _other_elements(instruction: Instruction, chip: Chip) -> Broken:
    dst, src = dims_of(instruction, "dst"), dims_of(instruction, "src")
    if dst is None or src is None:
        return
    match instruction.value_of("op"):
        case DmaTensorOp.COPY if prod(dst) != prod(src):
            yield "src", f"src of {instruction.title} has {prod(src)} elements, but dst has {prod(dst)}", "give as many"
        case DmaTensorOp.TRANSPOSE if src != (wanted := (dst[1], dst[0], dst[2], dst[3])):
            yield "src", f"src of {instruction.title} has shape {src}, but dst has {dst}", f"src has to be {wanted}"
        case DmaTensorOp.BROADCAST if src[1] != 1 or prod(src) * dst[1] != prod(dst):
            yield "src", f"src of {instruction.title} has shape {src}, but dst has {dst}", f"src has to be {(dst[0], 1, dst[2], dst[3])}"
        case _:
            pass


def _transposed_constant(instruction: Instruction, chip: Chip) -> Broken:
    if instruction.value_of("op") is DmaTensorOp.TRANSPOSE and isinstance(instruction.value_of("src"), Constant):
        yield "src", f"{instruction.title} needs a tensor as src, not a constant", "fill with dma.copy"


def _transposed_columns(instruction: Instruction, chip: Chip) -> Broken:
    if instruction.value_of("op") is not DmaTensorOp.TRANSPOSE:
        return
    for operand in instruction.operands():
        value = operand.value
        strides = None if isinstance(value, Constant) else value.strides
        if not isinstance(value, Constant) and strides is not None and strides[3] > 1 and value.shape[3] > 1:
            yield (
                operand.name,
                f"the w stride of {operand.name} of {instruction.title} is {strides[3]}",
                "use 1, or copy without transposing",
            )


def _broadcast_one_shape(instruction: Instruction, chip: Chip) -> Broken:
    if instruction.value_of("op") is DmaTensorOp.BROADCAST and instruction.value_of("one_shape"):
        yield "one_shape", f"{instruction.title} needs the shapes of both operands", "leave out one_shape"


def _outside_lanes(instruction: Instruction, chip: Chip) -> Broken:
    if instruction.value_of("op") is DmaTensorOp.BROADCAST:
        yield from channels_in_lanes(instruction, chip)


class DmaTensor(Instruction):
    """Strided copy of a tensor.

    Attributes:
        op: copy, exchange n and c, or write one channel to several lanes.
        dst: where to. For BROADCAST in local memory; its channels are the lanes.
        src: where from, or the constant to fill `dst` with. COPY takes the elements in order of (n, c, h, w), so the shapes need only have
            the same number of elements; for TRANSPOSE `src` has the shape of `dst` with n and c exchanged, for BROADCAST with c = 1.
        one_shape: the command holds the shape of `src` only, and `dst` has the same, or for TRANSPOSE its n and c exchanged. The official
            library does so between local and system memory. A BROADCAST cannot.
        lane_mask: lanes that COPY and TRANSPOSE to local memory may write. Not for BROADCAST: the C model looks at the bits of its first
            and last lane only, once for elements of all lanes.

    Strides, when given, are given for all operands. A BROADCAST ignores those of c and w: they are 0 and 1 here. A TRANSPOSE takes those
    of w as 1, whatever the command says (the official library writes any).
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

    rules: ClassVar[tuple[Rule, ...]] = (
        placement,
        system_range,
        system_sizes,
        element_aligned,
        w_stride_bytes,
        w_stride_not_zero,
        rule("shapes", "The shapes of `dst` and `src` fit together as the operation needs it.", OperandShapeError, _other_elements),
        rule("constant_copy", "A constant is not transposed.", OperandKindError, _transposed_constant),
        rule("transposed_w", "The w strides of a TRANSPOSE are 1: the chip takes them as 1.", OperandLayoutError, _transposed_columns),
        rule("broadcast_shapes", "The command of a BROADCAST holds both shapes.", AttributeRangeError, _broadcast_one_shape),
        rule("broadcast_lanes", "BROADCAST writes to local memory, up to the last lane.", OperandShapeError, _outside_lanes),
    )

    @property
    def bytes_moved(self) -> int:
        return prod(self.dst.shape) * self.dst.dtype.itemsize
