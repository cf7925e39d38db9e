"""CONV: two-dimensional convolution.

Source: field tables of tpu-mlir's debugger; operands, types and arithmetic as measured on the official library and C model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import IntEnum
from math import prod
from typing import ClassVar, cast

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16
from tpukernel.isa.errors import AttributeRangeError, OperandDtypeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, attribute_range, in_lane_0, operands_by_op, placement, rule, same_lane_of, start_alignment
from tpukernel.isa.spec import Direction, DtypeCode, attribute, local, local_or_constant, optional_attribute, optional_local_or_constant
from tpukernel.isa.sums import SignCode, zero_constant, zero_or_operand
from tpukernel.isa.window import number_ranges, numbers, window_fits

__all__ = ["Conv", "ConvOp"]


class ConvOp(IntEnum):
    """What CONV does with the sums."""

    NORMAL = 0
    """Floating point: `dst = sums + bias`. Integers: `dst = sums`, with `kernel_zero_point` subtracted from the weights."""
    REQUANT = 1
    """Integers: `dst = (sums + bias) >> right_shift`, rounded half up and saturated."""
    REQUANT_RELU = 2
    """The same with negative results replaced by 0; `dst` is unsigned."""


_REQUANTS = {ConvOp.REQUANT, ConvOp.REQUANT_RELU}
_FLOATS = {(f16, f16), (f32, f16), (f32, f32), (f32, bf16), (bf16, bf16)}
"""(type of dst, type of input) of the floating-point forms."""


def _is_float(bits: Bits) -> bool:
    return bits.chip.dtypes_by_code[bits["opd0_prec"], True].is_float


def _is_normal(bits: Bits) -> bool:
    return bits["tsk_eu_typ"] == ConvOp.NORMAL


def _has_zero_point(bits: Bits) -> bool:
    return _is_normal(bits) and not _is_float(bits)


def _has_bias(bits: Bits) -> bool:
    return not _has_zero_point(bits)


def _is_requant(instruction: Instruction) -> bool:
    return instruction.value_of("op") in _REQUANTS


class _ResultDtype(DtypeCode):
    """Width and kind are in `res0_prec`. 32-bit sums are signed; narrower integers saturate as the signs of the operands tell."""

    def __init__(self) -> None:
        super().__init__("res0_prec")

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        signed = any(bits[field] for field in ("opd0_sign", "opd1_sign", "opd2_sign"))
        if _is_normal(bits):
            no_zero_point = bits["opd2_const"] and bits["opd2_addr"] == 0
            signed = signed or not no_zero_point or bits.chip.dtypes_by_code[bits["res0_prec"], True].bits == 32
        return bits.chip.dtypes_by_code[bits["res0_prec"], signed and bits["tsk_eu_typ"] != ConvOp.REQUANT_RELU]

    def same(self, given: Dtype, read: Dtype) -> bool:
        return given == read


class _BiasDtype(SignCode):
    """f32 with floating-point operands, else 16 bits wide."""

    def __init__(self) -> None:
        super().__init__("opd2_sign", i16, u16)

    def read(self, instruction: Instruction, bits: Bits) -> Dtype:
        return f32 if _is_float(bits) else super().read(instruction, bits)

    def write(self, instruction: Instruction, bits: BitWriter, dtype: Dtype, owner: str) -> None:
        if dtype != f32:
            super().write(instruction, bits, dtype, owner)


_INPUT_DTYPE = DtypeCode("opd0_prec", "opd0_sign", float_sign=0)


def _dst_direction(instruction: Instruction) -> Direction:
    return "inout" if instruction.value_of("result_add") else "out"


def _dtype_of(instruction: Instruction, name: str) -> Dtype:
    return cast("LocalTensor", instruction.value_of(name)).dtype


def _bad_dtypes(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    dst, source = _dtype_of(instruction, "dst"), _dtype_of(instruction, "input")
    if _is_requant(instruction) or source.is_int:
        if source not in (i8, u8):
            yield "input", f"input of {instruction.title} has type {source.name}", "use i8 or u8"
        wanted = (i8, u8, i16, u16) if _is_requant(instruction) else (i16, u16, i32)
    else:
        wanted = tuple(result for result, operand in _FLOATS if operand == source)
    if dst not in wanted:
        yield (
            "dst",
            f"dst of {instruction.title} has type {dst.name} with an input of {source.name}",
            f"use {' or '.join(map(repr, wanted))}",
        )


_BY_OP = ("bias", "kernel_zero_point", "pad_value", "right_shift")


def _may_have(instruction: Instruction) -> tuple[str, ...]:
    if _is_requant(instruction):
        return "bias", "right_shift"
    return ("bias", "pad_value") if _dtype_of(instruction, "input").is_float else ("kernel_zero_point", "pad_value")


def _wanted(instruction: Instruction) -> tuple[str, ...]:
    return tuple(name for name in _may_have(instruction) if name not in ("pad_value", "bias") or instruction.value_of(name) is not None)


def _bad_result_add(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    if not instruction.value_of("result_add"):
        return
    dst = _dtype_of(instruction, "dst")
    if _is_requant(instruction):
        yield "result_add", f"{instruction.title} does not add to a partial sum", None
    elif dst.is_int and dst.bits < 32:
        yield "result_add", f"{instruction.title} adds to 32-bit sums only, not to {dst.name}", None


def _in_lane_0(instruction: Instruction) -> tuple[str, ...]:
    return () if _dtype_of(instruction, "input") == f32 else ("input", "pad_value")


def _units(instruction: Instruction, chip: Chip) -> dict[str, int]:
    size = _dtype_of(instruction, "input").itemsize
    return {"pad_value": 2 * size, "weight": size if _dtype_of(instruction, "input") == f32 else chip.eu_bytes}


class Conv(Instruction):
    """Two-dimensional convolution. f32 sums; f16 and bf16 are added up in f32, 8-bit integers in i32.

    Attributes:
        op: what is done with the sums.
        dst: result, (n, oc, oh, ow), EU-aligned. NORMAL: f32 or the input's type with floats; with integers i32 or,
            saturated, i16 or u16 (u16 when nothing is signed and the zero point is a constant 0). REQUANT: 8- or 16-bit, signed when any of
            input, weight and bias is; REQUANT_RELU: unsigned.
        input: (n, ic, h, w), EU-aligned or with strides: f32, f16, bf16, i8 or u8.
        weight: (oc, ic, kh, kw) in layout WEIGHT, or one constant; of the width and kind of the input.
        bias: what is added to the sums: one number per output channel, (1, oc, 1, 1), compact, or a constant; absent for none. f32 with
            floating-point operands; REQUANT: i16 or u16 (a constant 0 of type i16 only makes the result signed).
        kernel_zero_point: what is subtracted from integer weights in NORMAL, i8 or u8: a constant, or (1, oc, 1, 1), compact. It is
            subtracted under padding too.
        pad_value: value of padding, of the input's type: a constant (absent for 0), or pairs (pad value, insert value) per input channel:
            (1, ic, 1, 2), compact. REQUANT pads with 0.
        insert_value: value of inserted elements, of the input's type; absent for 0.
        kernel: (kh, kw).
        padding: (top, bottom, left, right), each 0 to 15.
        stride: (h, w) steps of the window, 1 to 15.
        dilation: (h, w) distance of neighbouring taps, 1 to 15.
        insert: (h, w) elements to put between neighbours of the input, 0 to 14 (transposed convolution).
        kernel_rotate: the kernel is rotated by 180 degrees.
        result_add: the sums are added to the numbers at `dst` (`partial_sum`); NORMAL, and not with 16-bit integer results.
        right_shift: of REQUANT, 0 to 32.
    """

    unit: ClassVar[str] = "CONV"
    family: ClassVar[str] = "conv"
    engine: ClassVar[Engine] = "tiu"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 0}

    op: ConvOp = attribute("tsk_eu_typ", ConvOp, default=ConvOp.NORMAL)
    dst: LocalTensor = local("res0", _ResultDtype(), ("res0_n", "res0_c", "res0_h", "res0_w"), direction=_dst_direction)
    input: LocalTensor = local(
        "opd0",
        _INPUT_DTYPE,
        ("res0_n", "opd0_c", "opd0_h", "opd0_w"),
        layouts={0: Layout.EU_ALIGNED, 3: Layout.FREE},
        strides=("opd0_n_str", "opd0_c_str", "opd0_h_str", "opd0_w_str"),
    )
    weight: LocalTensor | Constant = local_or_constant(
        "opd1",
        DtypeCode("opd0_prec", "opd1_sign", float_sign=0),
        ("res0_c", "opd0_c", "opd1_h", "opd1_w"),
        layout=Layout.WEIGHT,
        const="opd1_const",
    )
    bias: LocalTensor | Constant | None = zero_or_operand(
        "opd2", _BiasDtype(), (1, "res0_c", 1, 1), layout=Layout.COMPACT, const="opd2_const", present=_has_bias, sign="opd2_sign"
    )
    kernel_zero_point: LocalTensor | Constant | None = optional_local_or_constant(
        "opd2",
        SignCode("opd2_sign", i8, u8),
        (1, "res0_c", 1, 1),
        layout=Layout.COMPACT,
        const="opd2_const",
        present=_has_zero_point,
        default=None,
    )
    pad_value: LocalTensor | Constant | None = zero_or_operand(
        "opd3", _INPUT_DTYPE, (1, "opd0_c", 1, 2), layout=Layout.COMPACT, const="opd3_const", present=_is_normal
    )
    insert_value: Constant | None = zero_constant("res1_addr", _INPUT_DTYPE, present=lambda _: True, shared=False)
    kernel: tuple[int, int] = numbers(("opd1_h", "opd1_w"), tuple[int, int])
    padding: tuple[int, int, int, int] = numbers(
        ("opd0_up_pad", "opd0_dn_pad", "opd0_lf_pad", "opd0_rt_pad"), tuple[int, int, int, int], default=(0, 0, 0, 0)
    )
    stride: tuple[int, int] = numbers(("res_op_y_str", "res_op_x_str"), tuple[int, int], default=(1, 1))
    dilation: tuple[int, int] = numbers(("opd1_y_ins0", "opd1_x_ins0"), tuple[int, int], default=(1, 1), bias=1)
    insert: tuple[int, int] = numbers(("opd0_y_ins0", "opd0_x_ins0"), tuple[int, int], default=(0, 0))
    kernel_rotate: bool = attribute("kernel_rotate", bool, default=False)
    result_add: bool = attribute("res_add", bool, default=False)
    right_shift: int | None = optional_attribute("opd3_addr", int, when=_is_requant, default=None)

    rules: ClassVar[tuple[Rule, ...]] = (
        operands_by_op(
            "Floating-point sums can have a bias and a pad value; integer sums have a zero point and can have a pad value; REQUANT has a "
            "shift and can have a bias.",
            _BY_OP,
            _wanted,
        ),
        rule(
            "dtypes",
            "Floating-point results are f32 or of the input's type; integer inputs have 8 bits and results 16 or 32, of REQUANT 8 or 16.",
            OperandDtypeError,
            _bad_dtypes,
        ),
        number_ranges({"kernel": (1, 65535), "padding": (0, 15), "stride": (1, 15), "dilation": (1, 15), "insert": (0, 14)}),
        attribute_range("right_shift", 0, 32),
        window_fits(),
        rule("result_add", "Partial sums are added in NORMAL, and not to 16-bit integers.", AttributeRangeError, _bad_result_add),
        placement,
        start_alignment("`weight` starts at a multiple of the EU bytes, unless it is f32; the pairs of `pad_value` are not split.", _units),
        in_lane_0("`input` and `pad_value` start in lane 0, unless they are f32.", _in_lane_0),
        same_lane_of("dst", "weight", "bias", "kernel_zero_point"),
    )

    @property
    def partial_sum(self) -> LocalTensor | None:
        """What `result_add` reads: at the address of `dst` and of its shape, but of the type of the sums (f32 or i32)."""
        if not self.result_add:
            return None
        return replace(self.dst, dtype=f32 if self.dst.dtype.is_float else i32)

    @property
    def macs(self) -> int:
        return prod(self.dst.shape) * self.input.shape[1] * prod(self.kernel)

    def write_derived(self, bits: BitWriter) -> None:
        if self.op in _REQUANTS:
            bits.put("opd3_const", 1, "right_shift")
