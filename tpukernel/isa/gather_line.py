"""SGL: gathering and scattering lines (h) by index.

Source: field tables of tpu-mlir's debugger; shapes, layouts and restrictions as measured on the official library and C model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import ClassVar, cast

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import u8, u16
from tpukernel.isa.errors import OperandDtypeError, OperandShapeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.gather import UnsignedCode, bad_exception, same_types
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.lane_table import lane_table_operand
from tpukernel.isa.rules import Rule, aligned, dtypes, placement, rule, same_lane
from tpukernel.isa.spec import Direction, DtypeCode, attribute, local, optional_constant

__all__ = ["GatherLine", "GatherLineOp"]


class GatherLineOp(IntEnum):
    """What SGL does."""

    GATHER = 17
    """`dst[n, c, i, :] = src[0, c, index[n, c, i, 0], :]`."""
    SCATTER = 18
    """`dst[n, c, index[n, c, i, 0], :] = src[0, c, i, :]`, in the order of i."""


_DTYPE = DtypeCode("res0_prec")


def _is_gather(instruction: Instruction) -> bool:
    return instruction.value_of("op") is GatherLineOp.GATHER


def _index_shape(bits: Bits, instruction: Instruction) -> Dim4:
    return bits["res0_n"], bits["res0_c"], bits["res0_h" if _is_gather(instruction) else "opd0_h"], 1


def _has_fill(bits: Bits) -> bool:
    return bool(bits["opd2_const"])


def _dst_direction(instruction: Instruction) -> Direction:
    keeps_some = instruction.value_of("skip_invalid") and instruction.value_of("fill") is None
    return "out" if _is_gather(instruction) and not keeps_some else "inout"


def _bad_shapes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    dst, src, index = (cast("LocalTensor", instruction.value_of(name)).shape for name in ("dst", "src", "index"))
    for name, shape, wanted in (
        ("src", src, (1, dst[1], src[2], dst[3])),
        ("index", index, (dst[0], dst[1], dst[2] if _is_gather(instruction) else src[2], 1)),
    ):
        if shape != wanted:
            yield name, f"{name} of {instruction.title} has shape {shape} for a dst of {dst}", f"use {wanted}"


class GatherLine(Instruction):
    """Gather and scatter of lines.

    Attributes:
        op: which.
        dst: result, (n, c, h, w), line-aligned. A scatter leaves lines that it does not reach.
        src: lines, (1, c, h', w), line-aligned, of the type of `dst`; may be a line-aligned `lane_table`.
        index: u8 or u16, EU-aligned: (n, c, h, 1) for gathers, (n, c, h', 1) for scatters.
        skip_invalid: as in `Gather`, but the official C model stops at every index outside `src`, all bits set or not.
        fill: of the type of `dst`, with `skip_invalid`.
    """

    unit: ClassVar[str] = "SGL"
    family: ClassVar[str] = "gather_line"
    engine: ClassVar[Engine] = "tiu"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 6}
    indexed: ClassVar[frozenset[str]] = frozenset({"dst", "src"})

    op: GatherLineOp = attribute("tsk_eu_typ", GatherLineOp)
    skip_invalid: bool = attribute("opd3_const", bool, default=False)
    dst: LocalTensor = local("res0", _DTYPE, ("res0_n", "res0_c", "res0_h", "res0_w"), layout=Layout.LINE_ALIGNED, direction=_dst_direction)
    src: LocalTensor = lane_table_operand(
        "opd0", _DTYPE, (1, "res0_c", "opd0_h", "res0_w"), layouts={3: Layout.LINE_ALIGNED, 4: Layout.FREE}, line_aligned=True
    )
    index: LocalTensor = local("opd1", UnsignedCode("opd1_prec"), _index_shape)
    fill: Constant | None = optional_constant("opd2_addr", _DTYPE, present=_has_fill, default=None)

    rules: ClassVar[tuple[Rule, ...]] = (
        rule("types", "`src` and `fill` have the type of `dst`, signed or not.", OperandDtypeError, same_types),
        dtypes("index", u8, u16),
        rule(
            "shapes",
            "`src` has the c and w of `dst`; there is one index per line of `dst` (gather) or of `src` (scatter).",
            OperandShapeError,
            _bad_shapes,
        ),
        bad_exception(_is_gather),
        aligned("src"),
        placement,
        same_lane,
    )

    def write_derived(self, bits: BitWriter) -> None:
        bits.put("opd2_const", int(self.fill is not None), "fill")
