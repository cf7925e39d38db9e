"""SG: gathering and scattering elements by index, and selecting them by mask.

Source: field tables of tpu-mlir's debugger; shapes, layouts and restrictions as measured on the official library and C model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from enum import IntEnum
from itertools import combinations
from typing import ClassVar, Final, cast

from tpukernel.chips.bm1684x import BM1684X
from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.layout import lane_bytes_needed, lane_offset
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, u8, u16, u32
from tpukernel.errors import TpuError
from tpukernel.isa.errors import AttributeRangeError, LocalRangeError, OperandDtypeError, OperandLayoutError, OperandShapeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction, OperandUse
from tpukernel.isa.lane_table import lane_table_operand
from tpukernel.isa.rules import Rule, aligned, dtypes, operands_by_op, placement, rule, same_lane_by_op
from tpukernel.isa.spec import Direction, DtypeCode, attribute, local, optional_constant, optional_local

__all__ = ["Gather", "GatherOp", "UnsignedCode", "share_bank"]


class GatherOp(IntEnum):
    """How elements are chosen. The `_SHARED` operations do the same as those without; they are for operands that share a bank."""

    GATHER_W = 0
    """`dst[n, c, 0, i] = src[n, c, 0, index[i]]`."""
    GATHER_HW = 1
    """`dst[n, c, 0, i] = src[n, c, index[i, 1], index[i, 0]]`."""
    SCATTER_W = 3
    """`dst[n, c, 0, index[i]] = src[n, c, 0, i]`, in the order of i."""
    SCATTER_HW = 4
    """`dst[n, c, index[i, 1], index[i, 0]] = src[n, c, 0, i]`, in the order of i."""
    BATCH_GATHER = 5
    """`dst[n, c, 0, i] = src[0, c, 0, index[n, c, 0, i]]`."""
    BATCH_SCATTER = 6
    """`dst[n, c, 0, index[n, c, 0, i]] = src[0, c, 0, i]`, in the order of i."""
    BATCH_GATHER_BANKS = 7
    """As BATCH_GATHER for n = 1, with `src` four times in every lane, two banks apart, so that four banks answer at once. `index` lies in
    banks 0 to 3, `dst` in 4 to 7, the first `src` in 8 and 9."""
    MASK_SELECT = 8
    """`dst[n, c, 0, :]` starts with the `src[0, c, 0, i]` where `mask[n, c, 0, i]` is not 0; `count[n, c, 0, 0]` is their number."""
    BATCH_GATHER_SHARED = 13
    BATCH_SCATTER_SHARED = 14
    MASK_SELECT_SHARED = 15


COPIES: Final = 4
"""How often `src` of a BATCH_GATHER_BANKS lies in a lane."""
COPY_DISTANCE: Final = 2 * BM1684X.bank_bytes
_BANKS: Final = {"index": (0, 4), "dst": (4, 8), "src": (8, 10)}
"""First bank, and the one behind the last."""
_SHARED_FORM = {
    GatherOp.BATCH_GATHER: GatherOp.BATCH_GATHER_SHARED,
    GatherOp.BATCH_SCATTER: GatherOp.BATCH_SCATTER_SHARED,
    GatherOp.MASK_SELECT: GatherOp.MASK_SELECT_SHARED,
}
_SELECTS = {GatherOp.MASK_SELECT, GatherOp.MASK_SELECT_SHARED}
_PAIRS = {GatherOp.GATHER_HW, GatherOp.SCATTER_HW}
_ONE_INDEX = {GatherOp.GATHER_W, GatherOp.SCATTER_W, *_PAIRS}
_GATHERS = {GatherOp.GATHER_W, GatherOp.GATHER_HW, GatherOp.BATCH_GATHER, GatherOp.BATCH_GATHER_BANKS, GatherOp.BATCH_GATHER_SHARED}
_SCATTERS = {GatherOp.SCATTER_W, GatherOp.SCATTER_HW, GatherOp.BATCH_SCATTER, GatherOp.BATCH_SCATTER_SHARED}
_DST_SHAPE = ("res0_n", "res0_c", "res0_h", "res0_w")


class UnsignedCode(DtypeCode):
    """A type code of integers that the unit always reads as unsigned."""

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        return bits.chip.dtypes_by_code[bits[cast("str", self.code)], False]

    def same(self, given: Dtype, read: Dtype) -> bool:
        return given == read


def _op(instruction: Instruction) -> GatherOp:
    return cast("GatherOp", instruction.value_of("op"))


def _tensor(instruction: Instruction, name: str) -> LocalTensor | None:
    value = instruction.value_of(name)
    return value if isinstance(value, LocalTensor) else None


def _src_shape(bits: Bits, instruction: Instruction) -> Dim4:
    batches = bits["res0_n"] if _op(instruction) in _ONE_INDEX else 1
    return batches, bits["res0_c"], bits["opd0_h"], bits["opd0_w"]


def _index_shape(bits: Bits, instruction: Instruction) -> Dim4:
    op = _op(instruction)
    if op in _ONE_INDEX:
        return 1, bits["opd1_c"], 1, 2 if op in _PAIRS else 1
    return bits["res0_n"], bits["opd1_c"], 1, bits["opd1_w"]


def _index_layout(instruction: Instruction) -> Layout:
    return Layout.COMPACT if _op(instruction) in _ONE_INDEX else Layout.EU_ALIGNED


def _selects(bits: Bits) -> bool:
    return bits["tsk_eu_typ"] in _SELECTS


def _uses_index(bits: Bits) -> bool:
    return bits["tsk_eu_typ"] not in _SELECTS


def _has_fill(bits: Bits) -> bool:
    return bool(bits["opd2_const"])


def _dst_direction(instruction: Instruction) -> Direction:
    keeps_some = instruction.value_of("skip_invalid") and instruction.value_of("fill") is None
    return "out" if _op(instruction) in _GATHERS and not keeps_some else "inout"


def _operands(instruction: Instruction) -> tuple[str, ...]:
    return ("mask", "count") if _op(instruction) in _SELECTS else ("index",)


def _one_lane(instruction: Instruction) -> tuple[str, ...]:
    return ("dst", "src") if _op(instruction) in _ONE_INDEX else ()


def bad_exception(gathers: Callable[[Instruction], bool]) -> Rule:
    """What goes with indices that name no element: only gathers may skip, and only those that skip may fill."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        skips = bool(instruction.value_of("skip_invalid"))
        if skips and not gathers(instruction):
            yield "skip_invalid", f"{instruction.title} cannot skip indices", "use it in gathers only"
        if not skips and instruction.value_of("fill") is not None:
            yield "fill", f"{instruction.title} has a fill without skip_invalid", "set skip_invalid"

    return rule("exception", "`skip_invalid` is for gathers, `fill` for gathers with `skip_invalid`.", AttributeRangeError, broken)


def same_types(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    """Breaches of the rule that `src` and `fill` have the type of `dst`, signed or not."""
    dst, src = (cast("LocalTensor", instruction.value_of(name)).dtype for name in ("dst", "src"))
    fill = instruction.value_of("fill")
    for name, given in (("src", src), ("fill", fill.dtype if isinstance(fill, Constant) else dst)):
        if given != dst and not (dst.is_int and given.is_int and dst.bits == given.bits):
            yield name, f"{instruction.title} has a {name} of type {given.name} and a dst of {dst.name}", f"use {dst.name}"


def _expected_shapes(instruction: Instruction) -> Iterator[tuple[str, Dim4]]:
    op = _op(instruction)
    (n, c, _, w), src = (cast("LocalTensor", instruction.value_of(name)).shape for name in ("dst", "src"))
    if op is not GatherOp.SCATTER_HW:
        yield "dst", (1 if op is GatherOp.BATCH_GATHER_BANKS else n, c, 1, w)
    yield "src", (n if op in _ONE_INDEX else 1, c, src[2] if op is GatherOp.GATHER_HW else 1, w if op in _SELECTS else src[3])
    count = src[3] if op in _SCATTERS else w
    if op in _ONE_INDEX:
        yield "index", (1, count, 1, 2 if op in _PAIRS else 1)
    else:
        yield "mask" if op in _SELECTS else "index", (n, c, 1, count)
    yield "count", (n, c, 1, 1)


def _bad_shapes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    for name, wanted in _expected_shapes(instruction):
        tensor = _tensor(instruction, name)
        if tensor is not None and tensor.shape != wanted:
            yield name, f"{name} of {instruction.title} has shape {tensor.shape}", f"use {wanted}"


def share_bank(chip: Chip, *tensors: LocalTensor) -> bool:
    """Whether two of these tensors use the same bank of local memory, each counted from its first to its last byte in a lane.

    Raises:
        TpuError: a tensor cannot be on this chip.
    """
    banks = [
        range(offset // chip.bank_bytes, (offset + lane_bytes_needed(chip, tensor) - 1) // chip.bank_bytes + 1)
        for tensor in tensors
        for offset in (lane_offset(chip, tensor.address),)
    ]
    return any(a.start < b.stop and b.start < a.stop for a, b in combinations(banks, 2))


def _bad_form(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    shared_form = _SHARED_FORM.get(_op(instruction))
    if shared_form is None:
        return
    tensors = [tensor for name in ("dst", "src", "index", "mask", "count") if (tensor := _tensor(instruction, name))]
    try:
        shared = share_bank(chip, *tensors)
    except TpuError:
        return  # a breach of `placement`
    if shared:
        yield "op", f"operands of {instruction.title} share a bank", f"use {shared_form.name}, or move an operand to another bank"


def _wrong_banks(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    if _op(instruction) is not GatherOp.BATCH_GATHER_BANKS:
        return
    for name, (first, stop) in _BANKS.items():
        tensor = _tensor(instruction, name)
        try:
            if tensor is None or _is_within(chip, tensor, first * chip.bank_bytes, stop * chip.bank_bytes):
                continue
        except TpuError:
            return  # a breach of `placement`
        yield (
            name,
            f"{name} of {instruction.title} is not in banks {first} to {stop - 1}",
            "it has to start there and to end before their end",
        )


def _is_within(chip: Chip, tensor: LocalTensor, start: int, stop: int) -> bool:
    """The library asserts that the end is before `stop`, not at it; a lane table counts as if every channel had its own."""
    offset = lane_offset(chip, tensor.address)
    needed = lane_bytes_needed(chip, replace(tensor, layout=Layout.LINE_ALIGNED, strides=None))
    return start <= offset and offset + needed < stop


def _wrong_src_layout(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    wanted = Layout.LINE_ALIGNED if _op(instruction) is GatherOp.BATCH_GATHER_BANKS else Layout.EU_ALIGNED
    src = _tensor(instruction, "src")
    if src is not None and src.layout not in (wanted, Layout.FREE):
        yield "src", f"src of {instruction.title} is {src.layout.name}", f"use {wanted.name}, or a table in every lane"


class Gather(Instruction):
    """Gather, scatter and select along w, or along h and w.

    Attributes:
        op: which.
        dst: result, EU-aligned: (n, c, 1, w); SCATTER_HW: (n, c, h, w). Scatters and selects leave elements that they do not reach.
        src: operand of the same type and c, EU-aligned: (n, c, 1, w'); GATHER_HW: (n, c, h', w'); batch operations and selects:
            (1, c, 1, w'), which may be a `lane_table`. BATCH_GATHER_BANKS: LINE_ALIGNED, and the same again 2, 4 and 6 banks further:
            operands `src_copy1` to `src_copy3`; the C model stops if they differ.
        index: u8 or u16. Batch operations: (n, c, 1, count), EU-aligned. Others: (1, count, 1, 1) or, for pairs (w, h) of u16,
            (1, count, 1, 2), compact, starting in any lane. `count` is the w of `dst` for gathers and that of `src` for scatters.
        mask: of selects, (n, c, 1, w), EU-aligned, u8, u16 or u32.
        count: of selects, number of selected elements, (n, c, 1, 1), compact, u16.
        skip_invalid: gathers: an index with all bits set names no element; `dst` gets `fill` there, or keeps what it has. Every other index
            outside `src` is an error.
        fill: see `skip_invalid`; of the type of `dst`.
    """

    unit: ClassVar[str] = "SG"
    family: ClassVar[str] = "gather"
    engine: ClassVar[Engine] = "tiu"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 6}
    indexed: ClassVar[frozenset[str]] = frozenset({"dst", "src", *(f"src_copy{number}" for number in range(1, COPIES))})

    op: GatherOp = attribute("tsk_eu_typ", GatherOp)
    skip_invalid: bool = attribute("opd3_const", bool, default=False)
    dst: LocalTensor = local("res0", DtypeCode("res0_prec"), _DST_SHAPE, direction=_dst_direction)
    src: LocalTensor = lane_table_operand(
        "opd0", DtypeCode("opd0_prec"), _src_shape, layouts={0: Layout.EU_ALIGNED, 3: Layout.LINE_ALIGNED, 4: Layout.FREE}
    )
    index: LocalTensor | None = optional_local(
        "opd1", UnsignedCode("opd1_prec"), _index_shape, layout=_index_layout, present=_uses_index, default=None
    )
    mask: LocalTensor | None = optional_local("opd1", UnsignedCode("opd1_prec"), _index_shape, present=_selects, default=None)
    count: LocalTensor | None = optional_local(
        "res1",
        DtypeCode(None, implied=u16),
        ("res0_n", "res0_c", 1, 1),
        layout=Layout.COMPACT,
        present=_selects,
        direction="out",
        default=None,
    )
    fill: Constant | None = optional_constant("opd2_addr", DtypeCode("res0_prec"), present=_has_fill, default=None)

    rules: ClassVar[tuple[Rule, ...]] = (
        operands_by_op("Selects have `mask` and `count`, the others `index`.", ("index", "mask", "count"), _operands),
        rule("types", "`src` and `fill` have the type of `dst`, signed or not.", OperandDtypeError, same_types),
        dtypes("index", u8, u16),
        dtypes("mask", u8, u16, u32),
        rule("shapes", "The shapes fit together as the operation says.", OperandShapeError, _bad_shapes),
        bad_exception(lambda instruction: _op(instruction) in _GATHERS),
        rule("shared_bank", "Operands that share a bank need the `_SHARED` operation.", AttributeRangeError, _bad_form),
        rule("banks", "The operands of BATCH_GATHER_BANKS lie in the banks that it reads and writes.", LocalRangeError, _wrong_banks),
        rule(
            "src_layout", "`src` is EU-aligned (BATCH_GATHER_BANKS: line-aligned) or in every lane.", OperandLayoutError, _wrong_src_layout
        ),
        aligned("src", "index", "count"),
        placement,
        same_lane_by_op("All operands start in the same lane, except for an `index` that all channels share.", _one_lane),
    )

    def operands(self) -> Iterator[OperandUse]:
        yield from super().operands()
        if self.op is GatherOp.BATCH_GATHER_BANKS:
            for number in range(1, COPIES):
                copy = replace(self.src, address=self.src.address + number * COPY_DISTANCE)
                yield OperandUse(f"src_copy{number}", copy, "in")

    def write_derived(self, bits: BitWriter) -> None:
        bits.put("opd0_h", self.src.shape[2], "src")
        bits.put("opd0_w", self.src.shape[3], "src")
        chosen = self.index if self.index is not None else self.mask
        if chosen is not None:
            bits.put("opd1_c", chosen.shape[1], "index")
            bits.put("opd1_w", 1 if self.op in _ONE_INDEX else chosen.shape[3], "index")
        bits.put("opd2_const", int(self.fill is not None), "fill")
