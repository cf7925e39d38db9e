"""PorD: depthwise convolution and pooling, also over regions of interest (ROI).

Source: field tables of tpu-mlir's debugger; operands, types and arithmetic as measured on the official library and C model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from math import prod
from typing import ClassVar, cast

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, i8, i16, i32, u8, u16, u32
from tpukernel.isa.errors import OperandDtypeError, OperandShapeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rounding import Rounding
from tpukernel.isa.rules import Rule, attribute_range, in_lane_0, operands_by_op, placement, rule, same_lane_of, start_alignment
from tpukernel.isa.spec import (
    DtypeCode,
    Spec,
    attribute,
    local,
    optional_attribute,
    optional_constant,
    optional_local,
    optional_local_or_constant,
)
from tpukernel.isa.sums import SignCode, zero_constant, zero_or_operand
from tpukernel.isa.window import number_ranges, numbers, window_fits

__all__ = ["Pool", "PoolOp"]


class PoolOp(IntEnum):
    """What PorD computes from the elements of a window."""

    DEPTHWISE = 0
    """Their sum, weighted, and the bias."""
    AVG_POOL = 1
    """Their sum times `scale`."""
    DEPTHWISE_RELU = 2
    """As DEPTHWISE, with negative results replaced by 0; integers only."""
    MAX_POOL = 4
    """The largest."""
    ROI_DEPTHWISE = 5
    """As DEPTHWISE without bias, one window for each region of interest."""
    ROI_AVG_POOL = 6
    """As AVG_POOL, one window for each region of interest."""
    ROI_MAX_POOL = 7
    """As MAX_POOL, one window for each region of interest."""


_DEPTHWISE = {PoolOp.DEPTHWISE, PoolOp.DEPTHWISE_RELU}
_AVG = {PoolOp.AVG_POOL, PoolOp.ROI_AVG_POOL}
_MAX = {PoolOp.MAX_POOL, PoolOp.ROI_MAX_POOL}
_ROI = {PoolOp.ROI_DEPTHWISE, PoolOp.ROI_AVG_POOL, PoolOp.ROI_MAX_POOL}


def _op(instruction: Instruction) -> PoolOp:
    return cast("PoolOp", instruction.value_of("op"))


def _dtype_of(instruction: Instruction, name: str) -> Dtype:
    return cast("LocalTensor", instruction.value_of(name)).dtype


def _is_float(bits: Bits) -> bool:
    return bits.chip.dtypes_by_code[bits["opd0_prec"], True].is_float


def _is_roi(bits: Bits) -> bool:
    return bits["tsk_eu_typ"] in _ROI


def _is_depthwise(bits: Bits) -> bool:
    return bits["tsk_eu_typ"] in _DEPTHWISE


def _has_weight(bits: Bits) -> bool:
    return _is_depthwise(bits) or bits["tsk_eu_typ"] == PoolOp.ROI_DEPTHWISE


def _is_window(instruction: Instruction) -> bool:
    return _op(instruction) not in _ROI


def _has_rounding(instruction: Instruction) -> bool:
    return _op(instruction) in _DEPTHWISE and _dtype_of(instruction, "input").is_int


def _is_deconv(instruction: Instruction) -> bool:
    return _op(instruction) in _DEPTHWISE and bool(instruction.value_of("kernel_rotate"))


class _ResultDtype(DtypeCode):
    """Width and kind are in `res0_prec`; the result is signed when any operand is, but never of DEPTHWISE_RELU."""

    def __init__(self) -> None:
        super().__init__("res0_prec")

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        signed = any(bits[field] for field in ("opd0_sign", "opd1_sign", "opd2_sign")) and bits["tsk_eu_typ"] != PoolOp.DEPTHWISE_RELU
        return bits.chip.dtypes_by_code[bits["res0_prec"], signed]

    def same(self, given: Dtype, read: Dtype) -> bool:
        return given == read


# The official library sets the sign bits of floats in two cases: of the input with regions of interest, of all in transposed convolutions.
_INPUT_DTYPE = DtypeCode("opd0_prec", "opd0_sign", float_sign=lambda i: int(_op(i) in _ROI or _is_deconv(i)))
_WEIGHT_DTYPE = DtypeCode("opd0_prec", "opd1_sign", float_sign=lambda i: int(_is_deconv(i)))


class _BiasDtype(SignCode):
    """The type of the input when that is a float, else 32 bits wide."""

    def __init__(self) -> None:
        super().__init__("opd2_sign", i32, u32)

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        return bits.chip.dtypes_by_code[bits["opd0_prec"], True] if _is_float(bits) else super().read(instruction, bits)

    def write(self, instruction: Instruction, bits: BitWriter, dtype: Dtype, owner: str) -> None:
        if dtype.is_float:
            bits.put("opd2_sign", int(_is_deconv(instruction)), owner)
        else:
            super().write(instruction, bits, dtype, owner)


class _RightShift(Spec[int | None]):
    """The shift of integer sums: of AVG_POOL in a field of its own, of depthwise convolutions above the insert value."""

    can_be_invalid = False

    def __init__(self) -> None:
        super().__init__(None)

    def _place(self, instruction: Instruction) -> tuple[str, int] | None:
        if _dtype_of(instruction, "input").is_float:
            return None
        op = _op(instruction)
        return ("opd2_addr", 0) if op is PoolOp.AVG_POOL else ("res1_addr", 8) if op in _DEPTHWISE else None

    def read(self, instruction: Instruction, bits: Bits) -> int | None:
        place = self._place(instruction)
        return None if place is None else bits[place[0]] >> place[1] & 0xFF

    def write(self, instruction: Instruction, bits: BitWriter, value: int | None) -> None:
        place = self._place(instruction)
        if place is not None:
            bits.put_part(*place, 8, value or 0, self.name)

    def same(self, given: int | None, read: int | None) -> bool:
        return given == read or (given is None and read == 0)


def _bad_dtypes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    op, dst, source = _op(instruction), _dtype_of(instruction, "dst"), _dtype_of(instruction, "input")
    if source.is_float:
        if op is PoolOp.DEPTHWISE_RELU:
            yield "input", f"{instruction.title} works on integers, not on {source.name}", "use i8 or u8"
            return
        wanted: tuple[Dtype, ...] = (source,)
    elif source not in (i8, u8):
        yield "input", f"input of {instruction.title} has type {source.name}", "use i8, u8 or a float"
        return
    elif op in _MAX:
        wanted = (source,)
    else:
        wanted = (i16, u16) if op in _ROI else (i8, u8, i16, u16, i32, u32)
    if dst not in wanted:
        yield (
            "dst",
            f"dst of {instruction.title} has type {dst.name} with an input of {source.name}",
            f"use {' or '.join(map(repr, wanted))}",
        )


_OPTIONAL = {"pad_value", "insert_value", "bias"}


def _wanted(instruction: Instruction) -> tuple[str, ...]:
    op, is_int = _op(instruction), _dtype_of(instruction, "input").is_int
    names = ["roi", "outside_value"] if op in _ROI else ["pad_value", "insert_value"]
    if op in _AVG:
        names.append("scale")
    elif op not in _MAX:
        names.append("weight")
    if op in _DEPTHWISE:
        names += ["bias", "rounding"] if is_int else ["bias"]
    return tuple(name for name in names if name not in _OPTIONAL or instruction.value_of(name) is not None)


def _bad_regions(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    dst = cast("LocalTensor", instruction.value_of("dst"))
    if _op(instruction) in _ROI and dst.shape[2] != 1:
        yield "dst", f"dst of {instruction.title} has {dst.shape[2]} rows", "give it one row with one element for each region"


def _units(instruction: Instruction, chip: Chip) -> dict[str, int]:
    return {"pad_value": 2 * _dtype_of(instruction, "input").itemsize, "roi": 4 * u16.itemsize}


class Pool(Instruction):
    """Depthwise convolution and pooling: each channel of the result comes from the same channel of the input.

    Attributes:
        op: what is computed.
        dst: result, (n, c, oh, ow), EU-aligned; with regions of interest (n, c, 1, regions). Floats and MAX_POOL: of the input's type.
            Integers: 8, 16 or 32 bits (with regions of interest 16), saturated (ROI_DEPTHWISE wraps); signed when input, weight or bias
            is, but never of DEPTHWISE_RELU.
        input: (n, c, h, w), EU-aligned: f32, f16, bf16, i8 or u8.
        weight: of depthwise convolutions: (1, c, kh, kw), compact, or one constant; of the width and kind of the input.
        scale: of AVG_POOL: a constant of the input's type, u8 with integers.
        bias: of DEPTHWISE: (1, c, 1, 1), compact, or a constant; absent for none. Floats: of the input's type; integers: i32 or u32 (a
            constant 0 of type i32 only makes the result signed).
        pad_value: value of padding, of the input's type: a constant (absent for 0), or pairs (pad value, insert value) per channel:
            (1, c, 1, 2), compact.
        insert_value: value of inserted elements, of the input's type; absent for 0.
        roi: regions of interest: (1, regions, 1, 4) of u16, compact: x and y of the first and of the last element; it starts in lane 0.
        outside_value: what elements outside a region of interest count as, of the input's type.
        kernel: (kh, kw). With regions of interest the window starts at the first element of the region.
        padding: (top, bottom, left, right), each 0 to 15.
        stride: (h, w) steps of the window, 1 to 15.
        dilation: (h, w) distance of neighbouring taps, 1 to 15.
        insert: (h, w) elements to put between neighbours of the input, 0 to 14.
        kernel_rotate: the kernel is rotated by 180 degrees.
        right_shift: of integer sums, 0 to 32, in AVG_POOL and depthwise convolutions; absent for 0.
        rounding: of that shift in depthwise convolutions; AVG_POOL rounds half up.
    """

    unit: ClassVar[str] = "PorD"
    family: ClassVar[str] = "pool"
    engine: ClassVar[Engine] = "tiu"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 1}

    op: PoolOp = attribute("tsk_eu_typ", PoolOp)
    dst: LocalTensor = local("res0", _ResultDtype(), ("res0_n", "res0_c", "res0_h", "res0_w"), direction="out")
    input: LocalTensor = local("opd0", _INPUT_DTYPE, ("res0_n", "res0_c", "opd0_h", "opd0_w"))
    weight: LocalTensor | Constant | None = optional_local_or_constant(
        "opd1",
        _WEIGHT_DTYPE,
        (1, "res0_c", "opd1_h", "opd1_w"),
        layout=Layout.COMPACT,
        const="opd1_const",
        present=_has_weight,
        default=None,
    )
    scale: Constant | None = optional_constant("opd1_addr", _WEIGHT_DTYPE, present=lambda bits: bits["tsk_eu_typ"] in _AVG, default=None)
    bias: LocalTensor | Constant | None = zero_or_operand(
        "opd2", _BiasDtype(), (1, "res0_c", 1, 1), layout=Layout.COMPACT, const="opd2_const", present=_is_depthwise, sign="opd2_sign"
    )
    pad_value: LocalTensor | Constant | None = zero_or_operand(
        "opd3", _INPUT_DTYPE, (1, "res0_c", 1, 2), layout=Layout.COMPACT, const="opd3_const", present=lambda bits: not _is_roi(bits)
    )
    insert_value: Constant | None = zero_constant("res1_addr", _INPUT_DTYPE, present=lambda bits: not _is_roi(bits), shared=True)
    roi: LocalTensor | None = optional_local(
        "opd3", DtypeCode(None, implied=u16), (1, "res0_w", 1, 4), layout=Layout.COMPACT, present=_is_roi, default=None
    )
    outside_value: Constant | None = optional_constant("opd2_addr", _INPUT_DTYPE, present=_is_roi, default=None)
    kernel: tuple[int, int] = numbers(("opd1_h", "opd1_w"), tuple[int, int])
    padding: tuple[int, int, int, int] = numbers(
        ("opd0_up_pad", "opd0_dn_pad", "opd0_lf_pad", "opd0_rt_pad"), tuple[int, int, int, int], default=(0, 0, 0, 0), when=_is_window
    )
    stride: tuple[int, int] = numbers(("res_op_y_str", "res_op_x_str"), tuple[int, int], default=(1, 1), when=_is_window)
    dilation: tuple[int, int] = numbers(("opd1_y_ins0", "opd1_x_ins0"), tuple[int, int], default=(1, 1), bias=1, when=_is_window)
    insert: tuple[int, int] = numbers(("opd0_y_ins0", "opd0_x_ins0"), tuple[int, int], default=(0, 0), when=_is_window)
    kernel_rotate: bool = attribute("kernel_rotate", bool, default=False)
    right_shift: int | None = cast("int | None", _RightShift())
    rounding: Rounding | None = optional_attribute("opd2_n_str", Rounding, when=_has_rounding, default=None)

    rules: ClassVar[tuple[Rule, ...]] = (
        operands_by_op(
            "Depthwise convolutions have a weight (and, without regions of interest, a bias and a rounding mode for integers), averages a "
            "scale; regions of interest come with the value outside them, other windows can have pad and insert values.",
            ("weight", "scale", "bias", "pad_value", "insert_value", "roi", "outside_value", "rounding"),
            _wanted,
        ),
        rule(
            "dtypes",
            "Floats stay what they are, and so do 8-bit integers in MAX_POOL; sums of 8-bit integers become 8, 16 or 32 bits wide, with "
            "regions of interest 16. DEPTHWISE_RELU works on integers.",
            OperandDtypeError,
            _bad_dtypes,
        ),
        number_ranges({"kernel": (1, 65535), "padding": (0, 15), "stride": (1, 15), "dilation": (1, 15), "insert": (0, 14)}),
        attribute_range("right_shift", 0, 32),
        window_fits(_is_window),
        rule("regions", "With regions of interest the result has one row.", OperandShapeError, _bad_regions),
        placement,
        start_alignment("The pairs of `pad_value` and the regions of `roi` start at multiples of their size.", _units),
        in_lane_0("`roi` starts in lane 0.", lambda _: ("roi",)),
        same_lane_of("dst", "input", "weight", "bias", "pad_value"),
    )

    @property
    def macs(self) -> int:
        return 0 if self.op in _MAX else prod(self.dst.shape) * prod(self.kernel)

    def write_derived(self, bits: BitWriter) -> None:
        if self.op in _AVG:
            bits.put("opd1_const", 1, "scale")
        if self.op in _ROI:
            bits.put("opd2_const", 1, "outside_value")
        # Rounding modes that the library writes although nothing depends on them.
        if self.op is PoolOp.AVG_POOL:
            bits.put("opd2_n_str", Rounding.HALF_UP, "op")
        elif _is_deconv(self) and self.input.dtype.is_float:
            bits.put("opd2_n_str", Rounding.HALF_AWAY, "op")
