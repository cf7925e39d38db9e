"""Field specifiers that the DMA commands share: an operand anywhere in the address map, and the lane mask.

A DMA command has one type for all its data and does not tell signed from unsigned. Addresses are absolute: an operand whose address lies in
the `lmem` region is a local tensor. Strides are given for all operands or for none; without them a local tensor is EU-aligned, as the TIU
has it, and a system tensor has no gaps (measured on the C model).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict, Unpack, cast

from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.isa.errors import OperandKindError, OperandLayoutError, OperandShapeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.spec import REQUIRED, Direction, DtypeCode, OperandField, Shape, Spec

__all__ = [
    "ALL_LANES",
    "EVERY_LANE",
    "DmaField",
    "Entries",
    "LaneMask",
    "dma_operand",
    "dma_source",
    "in_lanes",
    "lane_mask",
    "sizes_of",
    "strides_of",
]

Entries = Shape | Callable[[Instruction, Bits], Shape]
"""Where dimensions or strides come from; or a function of (instruction, bits). While writing, the address of the operand is in the bits."""

ALL_LANES = (1 << 64) - 1
"""Lane mask with which every lane is written."""

EVERY_LANE = {"localmem_mask_l32": 0xFFFF_FFFF, "localmem_mask_h32": 0xFFFF_FFFF}
"""The fields of that mask, for units that write no local memory."""


def sizes_of(prefix: str) -> Shape:
    """The four size fields of `src` or `dst`."""
    return f"{prefix}_nsize", f"{prefix}_csize", f"{prefix}_hsize", f"{prefix}_wsize"


def strides_of(prefix: str) -> Shape:
    """The four stride fields of `src` or `dst`."""
    return f"{prefix}_nstride", f"{prefix}_cstride", f"{prefix}_hstride", f"{prefix}_wstride"


def in_lanes(bits: Bits, prefix: str) -> bool:
    """Whether the address of that operand lies in local memory."""
    return _address(bits, prefix) in bits.chip.regions["lmem"]


def _address(bits: Bits, prefix: str) -> int:
    return bits[f"{prefix}_start_addr_h8"] << 32 | bits[f"{prefix}_start_addr_l32"]


class DmaOptions(TypedDict, total=False):
    """The keyword arguments of `DmaField`, for the functions below."""

    strides: Entries
    direction: Direction
    dtype: DtypeCode
    strided: Callable[[Bits], bool]
    layout: Layout


class DmaField(OperandField[LocalTensor | SystemTensor | Constant]):
    """A tensor anywhere in the address map.

    Args:
        prefix: `src`, `dst`, `index` or `mask`: stem of the address fields.
        shape: where its dimensions are; numbers stand for themselves.
        strides: where its strides are, likewise; the stride of a dimension of size 1 has no effect and may be any number then.
        direction: whether it is read or written.
        dtype: where its type is.
        strided: tells from the bits whether strides are given; by default the field `stride_enable`.
        layout: layout of a local tensor without strides.
        fill: the operand is the fill constant where `fill_constant_en` is set.
    """

    def __init__(
        self,
        prefix: str,
        shape: Entries,
        *,
        strides: Entries | None = None,
        direction: Direction = "in",
        dtype: DtypeCode | None = None,
        strided: Callable[[Bits], bool] | None = None,
        layout: Layout = Layout.EU_ALIGNED,
        fill: bool = False,
    ) -> None:
        super().__init__(REQUIRED, direction)
        self.prefix = prefix
        self.shape = shape
        self.strides = strides
        self.dtype = dtype or DtypeCode("src_data_format")
        self.strided = strided or _stride_enable
        self.layout = layout
        self.fill = fill
        self.address_fields = (f"{prefix}_start_addr_l32", f"{prefix}_start_addr_h8")

    def read(self, instruction: Instruction, bits: Bits) -> LocalTensor | SystemTensor | Constant:
        dtype = self.dtype.read(instruction, bits)
        if self.fill and bits["fill_constant_en"]:
            return Constant(bits["constant_value"], dtype)
        address = _address(bits, self.prefix)
        shape = _read(self.shape, instruction, bits)
        strides = _read(self.strides, instruction, bits) if self.strides and self.strided(bits) else None
        lmem = bits.chip.regions["lmem"]
        if address in lmem:
            return LocalTensor(address - lmem.base, shape, dtype, self.layout if strides is None else Layout.FREE, strides)
        return SystemTensor(address, shape, dtype, strides)

    def write(self, instruction: Instruction, bits: BitWriter, value: LocalTensor | SystemTensor | Constant) -> None:
        self.dtype.write(instruction, bits, value.dtype, self.name)
        if isinstance(value, Constant):
            if not self.fill:
                raise OperandKindError(
                    f"{instruction.title} needs a tensor as {self.name}, not a constant",
                    instruction=instruction.title,
                    operand=self.name,
                    rule="kind",
                )
            bits.put("fill_constant_en", 1, self.name)
            bits.put("constant_value", value.bits, self.name)
            return
        address = value.address
        if isinstance(value, LocalTensor):
            address += bits.chip.regions["lmem"].base
            if value.strides is None and value.layout is not self.layout:
                raise OperandLayoutError(
                    f"{self.name} of {instruction.title} is {value.layout.name}, which the command cannot say",
                    instruction=instruction.title,
                    operand=self.name,
                    rule="layout",
                    help="give its strides",
                )
        bits.put(f"{self.prefix}_start_addr_l32", address & 0xFFFF_FFFF, self.name)
        bits.put(f"{self.prefix}_start_addr_h8", address >> 32, self.name)
        self._write_entries(instruction, bits, self.shape, value.shape, None)
        if value.strides is not None:
            if self.strides is None:
                raise OperandLayoutError(
                    f"{self.name} of {instruction.title} has strides, which the command cannot say",
                    instruction=instruction.title,
                    operand=self.name,
                    rule="layout",
                )
            if "stride_enable" in bits and self.strided is _stride_enable:
                bits.put("stride_enable", 1, self.name)
            self._write_entries(instruction, bits, self.strides, value.strides, value.shape)

    def _write_entries(self, instruction: Instruction, bits: BitWriter, entries: Entries, numbers: Dim4, sizes: Dim4 | None) -> None:
        """Write sizes (`sizes` is None) or strides (of a tensor of these sizes)."""
        fields = entries(instruction, bits) if callable(entries) else entries
        for entry, number, dimension, size in zip(fields, numbers, "nchw", sizes or (0, 0, 0, 0), strict=True):
            if isinstance(entry, str):
                bits.put(entry, number, self.name)
            elif number != entry and size != 1:
                what = f"{dimension} stride" if sizes else f"size {dimension}"
                raise OperandShapeError(
                    f"{self.name} of {instruction.title} has {what} {number}, but it must be {entry}",
                    instruction=instruction.title,
                    operand=self.name,
                    rule="shape",
                )

    def same(self, given: LocalTensor | SystemTensor | Constant, read: LocalTensor | SystemTensor | Constant) -> bool:
        if not self.dtype.same(given.dtype, read.dtype):
            return False
        if isinstance(given, Constant) or isinstance(read, Constant):
            return isinstance(given, Constant) and isinstance(read, Constant) and given.bits == read.bits
        if type(given) is not type(read) or (given.address, given.shape) != (read.address, read.shape):
            return False
        if isinstance(given, LocalTensor) and given.pack != 1:  # no field says it
            return False
        if given.strides is None or read.strides is None:
            return given.strides is read.strides
        return all(size == 1 or a == b for size, a, b in zip(given.shape, given.strides, read.strides, strict=True))

    def invalid(self, instruction: Instruction, bits: Bits) -> str | None:
        return None if self.dtype.valid(bits) else self.dtype.code


def _stride_enable(bits: Bits) -> bool:
    return bool(bits["stride_enable"])


def _read(entries: Entries, instruction: Instruction, bits: Bits) -> Dim4:
    fields = entries(instruction, bits) if callable(entries) else entries
    n, c, h, w = (bits[entry] if isinstance(entry, str) else entry for entry in fields)
    return n, c, h, w


class LaneMask(Spec[int]):
    """The lanes that a command may write, lane i in bit i; what would go to another lane is dropped."""

    def read(self, instruction: Instruction, bits: Bits) -> int:
        return bits["localmem_mask_h32"] << 32 | bits["localmem_mask_l32"]

    def write(self, instruction: Instruction, bits: BitWriter, value: int) -> None:
        bits.put("localmem_mask_l32", value & 0xFFFF_FFFF, self.name)
        bits.put("localmem_mask_h32", value >> 32, self.name)


def dma_operand(prefix: str, shape: Entries, **options: Unpack[DmaOptions]) -> LocalTensor | SystemTensor:
    """A tensor anywhere in the address map (see `DmaField`)."""
    return cast("LocalTensor | SystemTensor", DmaField(prefix, shape, **options))


def dma_source(prefix: str, shape: Entries, **options: Unpack[DmaOptions]) -> LocalTensor | SystemTensor | Constant:
    """A tensor anywhere in the address map, or the fill constant (see `DmaField`)."""
    return cast("LocalTensor | SystemTensor | Constant", DmaField(prefix, shape, fill=True, **options))


def lane_mask(*, default: int = ALL_LANES) -> int:
    """The lanes that the command may write (see `LaneMask`)."""
    return cast("int", LaneMask(default))
