"""TRANS&BC: exchange of channels and columns, copies from lanes to lanes, and reading of the static memory.

Source: field tables of tpu-mlir's debugger; layouts and restrictions as measured on the official library and C model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import ClassVar, cast

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.layout import start_lane
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.isa.errors import LaneMismatchError, OperandDtypeError, OperandShapeError, SystemRangeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, aligned, placement, rule
from tpukernel.isa.spec import DtypeCode, attribute, local

__all__ = ["LaneMove", "LaneMoveOp"]


class LaneMoveOp(IntEnum):
    """How the elements move."""

    CW_TRANSPOSE = 0
    """`dst[n, c, h, w] = src[n, w, h, c]`; `src` starts in lane 0. The faster way for few channels in `src`."""
    WC_TRANSPOSE = 1
    """The same; `dst` starts in lane 0."""
    LANE_COPY = 2
    """`dst = src`, from other lanes."""
    LANE_BROADCAST = 3
    """`dst[n, c, h, w] = src[n, 0, h, w]`."""
    STATIC_BROADCAST = 4
    """`dst[0, c, 0, w] = src[0, 0, 0, w]`, from the static memory."""
    STATIC_DISTRIBUTE = 5
    """`dst[0, c, 0, 0] = src[0, c, 0, 0]`, from the static memory."""


_TRANSPOSES = {LaneMoveOp.CW_TRANSPOSE, LaneMoveOp.WC_TRANSPOSE}
_BROADCASTS = {LaneMoveOp.LANE_BROADCAST, LaneMoveOp.STATIC_BROADCAST}
_STATIC = {LaneMoveOp.STATIC_BROADCAST, LaneMoveOp.STATIC_DISTRIBUTE}
_DTYPE = DtypeCode("res0_prec")


def _op(instruction: Instruction) -> LaneMoveOp:
    return cast("LaneMoveOp", instruction.value_of("op"))


def _tensors(instruction: Instruction) -> tuple[LocalTensor, LocalTensor]:
    return cast("LocalTensor", instruction.value_of("dst")), cast("LocalTensor", instruction.value_of("src"))


def _src_shape(bits: Bits, instruction: Instruction) -> Dim4:
    channels = 1 if _op(instruction) is LaneMoveOp.STATIC_BROADCAST else bits["opd0_c"]
    return bits["res0_n"], channels, bits["res0_h"], bits["opd0_w"]


def _dst_layout(instruction: Instruction) -> Layout:
    special = {LaneMoveOp.CW_TRANSPOSE: Layout.LINE_ALIGNED, LaneMoveOp.STATIC_DISTRIBUTE: Layout.COMPACT}
    return special.get(_op(instruction), Layout.EU_ALIGNED)


def _src_layout(instruction: Instruction) -> Layout:
    return Layout.COMPACT if _op(instruction) in _STATIC else Layout.EU_ALIGNED


def _bad_shapes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    op = _op(instruction)
    dst, src = (tensor.shape for tensor in _tensors(instruction))
    n, c, h, w = dst
    wanted = (n, w, h, c) if op in _TRANSPOSES else (n, 1, h, w) if op in _BROADCASTS else dst
    if src != wanted:
        yield "src", f"src of {instruction.title} has shape {src} for a dst of {dst}", f"use {wanted}"
    if op in _STATIC and (n, h) != (1, 1):
        yield "dst", f"dst of {instruction.title} has shape {dst}", "use n = 1 and h = 1"
    if op is LaneMoveOp.STATIC_DISTRIBUTE and w != 1:
        yield "dst", f"dst of {instruction.title} has shape {dst}", "use w = 1"


def _bad_types(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    dst, src = (tensor.dtype for tensor in _tensors(instruction))
    if not _DTYPE.same(src, dst):
        yield "src", f"{instruction.title} has a src of type {src.name} and a dst of {dst.name}", f"use {dst.name}"


def _bad_lanes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    op = _op(instruction)
    must_be_0 = {LaneMoveOp.CW_TRANSPOSE: "src", LaneMoveOp.WC_TRANSPOSE: "dst", LaneMoveOp.STATIC_DISTRIBUTE: "dst"}
    for name, tensor in zip(("dst", "src"), _tensors(instruction), strict=True):
        lane = start_lane(chip, tensor.address) if 0 <= tensor.address < chip.local_bytes else 0
        if must_be_0.get(op) == name and lane:
            yield name, f"{name} of {instruction.title} starts in lane {lane}", "start it in lane 0"
        if name == "dst" and op in _BROADCASTS and lane + tensor.shape[1] > chip.lanes:
            last = lane + tensor.shape[1]
            yield (
                name,
                f"dst of {instruction.title} reaches over the last lane: {last} of {chip.lanes}",
                f"use {chip.lanes - lane} channels",
            )


def _outside_static(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    _, src = _tensors(instruction)
    if _op(instruction) not in _STATIC:
        return
    static = chip.regions["static"]
    end = src.address + src.shape[1] * src.shape[3] * src.dtype.itemsize
    if src.address < static.base or end > static.end:
        yield (
            "src",
            f"src of {instruction.title} lies at {src.address:#x} to {end:#x}",
            f"the static memory is {static.base:#x} to {static.end:#x}",
        )


class LaneMove(Instruction):
    """Moves elements between lanes, or from the static memory to the lanes. Any type; signed and unsigned are the same.

    Attributes:
        op: how.
        dst: result, (n, c, h, w); EU-aligned; of CW_TRANSPOSE line-aligned, of STATIC_DISTRIBUTE compact.
        src: operand, EU-aligned; in the static memory compact, with its system address. Transposes: (n, w, h, c); LANE_BROADCAST:
            (n, 1, h, w); STATIC_BROADCAST: (1, 1, 1, w); else as `dst`.
    """

    unit: ClassVar[str] = "TRANS&BC"
    family: ClassVar[str] = "move"
    engine: ClassVar[Engine] = "tiu"
    in_place: ClassVar[bool | frozenset[int]] = frozenset({LaneMoveOp.LANE_BROADCAST})
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 5}

    op: LaneMoveOp = attribute("tsk_eu_typ", LaneMoveOp)
    dst: LocalTensor = local("res0", _DTYPE, ("res0_n", "res0_c", "res0_h", "res0_w"), layout=_dst_layout, direction="out")
    src: LocalTensor = local("opd0", _DTYPE, _src_shape, layout=_src_layout)

    rules: ClassVar[tuple[Rule, ...]] = (
        rule(
            "shapes",
            "Transposes exchange c and w, broadcasts have one channel in `src`, else the shapes are the same; `dst` of static operations "
            "has n = h = 1.",
            OperandShapeError,
            _bad_shapes,
        ),
        rule("types", "`src` has the type of `dst`, signed or not.", OperandDtypeError, _bad_types),
        rule(
            "lanes",
            "`src` of CW_TRANSPOSE, `dst` of WC_TRANSPOSE and of STATIC_DISTRIBUTE start in lane 0; broadcasts end with the last lane.",
            LaneMismatchError,
            _bad_lanes,
        ),
        rule("static_range", "`src` of static operations lies in the static memory.", SystemRangeError, _outside_static),
        aligned("src"),
        placement,
    )

    def write_derived(self, bits: BitWriter) -> None:
        source = self.dst if self.op is LaneMoveOp.STATIC_BROADCAST else self.src
        bits.put("opd0_c", source.shape[1], "src")
        bits.put("opd0_w", self.src.shape[3], "src")
