"""Elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from tests.support.builders.common import SIGNED, Builder, Params, dims, dtype, f32_of, number, numbered, scalar, strided, tensor
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, f32, i8, i16, u16
from tpukernel.isa import Arith, ArithOp, Instruction, Rounding

Operand = LocalTensor | Constant
Kind = Callable[[Params], Dtype]

ITERATIONS = 3
"""Newton steps of a division where the call does not say."""

COMMUTATIVE = {
    *(ArithOp.ADD, ArithOp.MUL, ArithOp.ADDS, ArithOp.MULS, ArithOp.MAC, ArithOp.MAX, ArithOp.MIN),
    *(ArithOp.AND, ArithOp.OR, ArithOp.XOR, ArithOp.SELECT_EQUAL, ArithOp.ABS_DIFF),
}
"""The library exchanges two tensors of these when only the second one has strides."""


def _given(params: Params) -> Dtype:
    return dtype(params)


def _bits(params: Params) -> Dtype:
    """The type, but integers for the bits of floats."""
    kind = dtype(params)
    return SIGNED[kind.bits] if kind.is_float else kind


def _always_f32(params: Params) -> Dtype:
    return f32


class _Sources(TypedDict):
    src0: Operand
    src1: Operand


class _Shift(TypedDict, total=False):
    src2: Operand
    rounding: Rounding


def _sources(op: ArithOp, src0: Operand, src1: Operand) -> _Sources:
    if op in COMMUTATIVE and _has_strides(src0) is False and _has_strides(src1) is True:
        return {"src0": src1, "src1": src0}
    return {"src0": src0, "src1": src1}


def _has_strides(operand: Operand) -> bool | None:
    """None for a constant."""
    return operand.strides is not None if isinstance(operand, LocalTensor) else None


def _constant(params: Params, kind: Dtype) -> Constant:
    return f32_of(params["C"]) if isinstance(params["C"], float) else scalar(params, "C", kind)


def _pair(params: Params, form: str, src0: Dtype, src1: Dtype) -> tuple[Operand, Operand]:
    """The sources of a call: "" for two tensors; "_C" for a tensor and a constant; "C_" for a constant and a tensor."""
    if not form:
        return strided(params, "src0", src0), strided(params, "src1", src1)
    src = strided(params, "src", src0)
    constant = _constant(params, src1)
    return (src, constant) if form == "_C" else (constant, src)


# ---------------------------------------------------------------------------- two operands of one type


def _binary(op: ArithOp, form: str = "", kind: Kind = _given) -> Builder:
    def build(params: Params) -> list[Instruction]:
        shared = kind(params)
        iterations = number(params, "num_iter") if "num_iter" in params else ITERATIONS
        src0, src1 = _pair(params, form, shared, shared)
        return numbered(
            Arith(
                op=op,
                dst=strided(params, "dst", shared),
                iterations=iterations if op is ArithOp.DIV else None,
                **_sources(op, src0, src1),
            )
        )

    return build


@dataclass(frozen=True)
class _Family:
    """A function name, its operation, the forms with a constant that exist, and the type it computes in."""

    name: str
    op: ArithOp
    forms: tuple[str, ...] = ("", "_C")
    kind: Kind = _given


_DIV_FORMS = ("", "_C", "C_")
_FAMILIES = (
    _Family("and", ArithOp.AND, kind=_bits),
    _Family("or", ArithOp.OR, kind=_bits),
    _Family("xor", ArithOp.XOR, kind=_bits),
    _Family("min", ArithOp.MIN),
    _Family("max", ArithOp.MAX),
    _Family("fp_add", ArithOp.ADD),
    _Family("fp_sub", ArithOp.SUB, ("", "_C", "C_")),
    _Family("fp_mul", ArithOp.MUL),
    _Family("fp_diff_abs", ArithOp.ABS_DIFF),
    _Family("fp_div", ArithOp.DIV, _DIV_FORMS),
    _Family("fp_tunable_div", ArithOp.DIV, _DIV_FORMS),
    _Family("fp32_div", ArithOp.DIV, _DIV_FORMS, _always_f32),
    _Family("fp32_tunable_div", ArithOp.DIV, _DIV_FORMS, _always_f32),
    _Family("fp32_mac", ArithOp.MAC, kind=_always_f32),
)


def _function(name: str, form: str) -> str:
    """`fp_sub`, `fp_sub_C` or `fp_C_sub`."""
    if form != "C_":
        return f"tpu_bdc_{name}{form}"
    stem, _, operation = name.rpartition("_")
    return f"tpu_bdc_{stem}_C_{operation}"


# ---------------------------------------------------------------------------- integers with shift, rounding and saturation


def _rounding(params: Params, name: str = "rounding_mode") -> Rounding:
    return Rounding(number(params, name))


def _shift(params: Params) -> _Shift:
    """`src2` and rounding: one shift per channel, one for all, or (shift 0) none."""
    if "shift_addr" in params:
        shift = tensor(params, "shift", (1, dims(params)[1], 1, 1), i8, Layout.COMPACT)
    elif number(params, "shift"):
        shift = Constant(number(params, "shift") & 0xFF, i8)
    else:
        return {}
    return {"src2": shift, "rounding": _rounding(params)}


def _integers(wrapping: ArithOp, saturating: ArithOp, form: str) -> Builder:
    def build(params: Params) -> list[Instruction]:
        op = saturating if params["saturation"] else wrapping
        names = ("src_dtype", "C_dtype") if form else ("src0_dtype", "src1_dtype")
        src0, src1 = _pair(params, form, dtype(params, names[0]), dtype(params, names[1]))
        dst = strided(params, "dst", dtype(params, "dst_dtype"))
        return numbered(Arith(op=op, dst=dst, **_sources(op, src0, src1), **_shift(params)))

    return build


def _int_square(params: Params) -> list[Instruction]:
    op = ArithOp.MULS if params["saturation"] else ArithOp.MUL
    src = strided(params, "src", dtype(params, "src_dtype"))
    return numbered(Arith(op=op, dst=strided(params, "dst", dtype(params, "dst_dtype")), src0=src, src1=src, **_shift(params)))


def _int_extreme(op: ArithOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        kind = dtype(params)
        src0, src1 = _pair(params, "_C", kind, kind)
        return numbered(Arith(op=op, dst=strided(params, "dst", kind), src0=src0, src1=src1, **_shift(params)))

    return build


def _int8_mac(form: str) -> Builder:
    def build(params: Params) -> list[Instruction]:
        names = ("src_dtype", "C_dtype") if form else ("src0_dtype", "src1_dtype")
        types = dtype(params, names[0]), dtype(params, names[1])
        shifts = Constant(number(params, "rshift") << 8 | number(params, "lshift"), i8)
        accumulator = i16 if types[0].is_signed or types[1].is_signed else u16
        sources = _sources(ArithOp.MAC, *_pair(params, form, *types))
        return numbered(Arith(op=ArithOp.MAC, dst=strided(params, "dst", accumulator), src2=shifts, rounding=_rounding(params), **sources))

    return build


def _shifted(op: ArithOp, form: str) -> Builder:
    def build(params: Params) -> list[Instruction]:
        amount = Constant(number(params, "C") & 0xFF, i8) if form else strided(params, "shift", dtype(params, "shift_dtype"))
        dst, src = strided(params, "dst", dtype(params, "dst_dtype")), strided(params, "src", dtype(params, "src_dtype"))
        return numbered(Arith(op=op, dst=dst, src0=src, src1=amount, rounding=_rounding(params)))

    return build


# ---------------------------------------------------------------------------- comparisons


def _comparison(op: ArithOp, form: str, *, negated: bool) -> Builder:
    """A negated comparison is the opposite one, then an exclusive or with the true value in place."""

    def build(params: Params) -> list[Instruction]:
        kind, compared = dtype(params, "dst_dtype"), dtype(params, "src_dtype")
        true = number(params, "true_val")
        dst = strided(params, "dst", kind)
        sources = _sources(op, *_pair(params, form, compared, compared))
        found: list[Instruction] = [Arith(op=op, dst=dst, src2=Constant(true, kind), **sources)]
        if negated:
            bits = SIGNED[kind.bits] if kind.is_float else kind
            whole = strided(params, "dst", bits)
            found.append(Arith(op=ArithOp.XOR, dst=whole, src0=whole, src1=Constant(true, bits)))
        return numbered(*found)

    return build


_COMPARISONS = {
    "greater": (ArithOp.SELECT_GREATER, False),
    "less": (ArithOp.SELECT_LESS, False),
    "equal": (ArithOp.SELECT_EQUAL, False),
    "greater_equal": (ArithOp.SELECT_LESS, True),
    "less_equal": (ArithOp.SELECT_GREATER, True),
    "not_equal": (ArithOp.SELECT_EQUAL, True),
}


# ---------------------------------------------------------------------------- one operand


def _unary(op: ArithOp, *, unsigned: ArithOp | None = None) -> Builder:
    """`unsigned`: the operation for unsigned types, where it is another one."""

    def build(params: Params) -> list[Instruction]:
        kind = dtype(params)
        chosen = op if kind.is_signed or unsigned is None else unsigned
        return numbered(Arith(op=chosen, dst=strided(params, "dst", kind), src0=strided(params, "src", kind)))

    return build


def _with_zero(op: ArithOp, *, first: bool) -> Builder:
    def build(params: Params) -> list[Instruction]:
        kind = dtype(params)
        src, zero = strided(params, "src", kind), Constant(0, kind)
        return numbered(Arith(op=op, dst=strided(params, "dst", kind), src0=zero if first else src, src1=src if first else zero))

    return build


def _reciprocal(params: Params) -> list[Instruction]:
    iterations = number(params, "num_iter") if "num_iter" in params else ITERATIONS
    dst, src = strided(params, "dst", f32), strided(params, "src", f32)
    return numbered(Arith(op=ArithOp.DIV, dst=dst, src0=Constant.of(1.0, f32), src1=src, iterations=iterations))


def _fp_square(params: Params) -> list[Instruction]:
    src = strided(params, "src", dtype(params))
    return numbered(Arith(op=ArithOp.MUL, dst=strided(params, "dst", dtype(params)), src0=src, src1=src))


def _rounded(rounding: Rounding | None) -> Builder:
    """A cast of a float type to itself; the rounding of the call where none is given."""

    def build(params: Params) -> list[Instruction]:
        kind, mode = dtype(params), rounding or _rounding(params, "mode")
        return numbered(Arith(op=ArithOp.CAST, dst=strided(params, "dst", kind), src0=strided(params, "src", kind), rounding=mode))

    return build


def _cast(params: Params) -> list[Instruction]:
    """A cast of a type to itself is a copy."""
    dst, src = strided(params, "dst", dtype(params, "dst_dtype")), strided(params, "src", dtype(params, "src_dtype"))
    if dst.dtype == src.dtype:
        return numbered(Arith(op=ArithOp.COPY, dst=dst, src0=src))
    return numbered(Arith(op=ArithOp.CAST, dst=dst, src0=src, rounding=_rounding(params, "mode")))


def _set_constant(params: Params) -> list[Instruction]:
    return numbered(Arith(op=ArithOp.COPY, dst=strided(params, "dst", dtype(params)), src0=scalar(params, "C", dtype(params))))


# ---------------------------------------------------------------------------- short sequences


def _hsigmoid(params: Params) -> list[Instruction]:
    kind = dtype(params)
    dst, src, work = (strided(params, name, kind) for name in ("dst", "src", "work0"))
    alpha, beta = (Constant.of(f32_of(params[name]).value, kind) for name in ("alpha", "beta"))
    return numbered(
        Arith(op=ArithOp.MUL, dst=dst, src0=src, src1=alpha),
        Arith(op=ArithOp.ADD, dst=work, src0=dst, src1=beta),
        Arith(op=ArithOp.MAX, dst=work, src0=work, src1=Constant(0, kind)),
        Arith(op=ArithOp.MIN, dst=dst, src0=work, src1=Constant.of(1.0, kind)),
    )


def _hswish(params: Params) -> list[Instruction]:
    kind = dtype(params)
    dst, src, work = (strided(params, name, kind) for name in ("dst", "src", "work0"))
    return numbered(
        Arith(op=ArithOp.ADD, dst=dst, src0=src, src1=Constant.of(3.0, kind)),
        Arith(op=ArithOp.MAX, dst=work, src0=dst, src1=Constant(0, kind)),
        Arith(op=ArithOp.MIN, dst=dst, src0=work, src1=Constant.of(6.0, kind)),
        Arith(op=ArithOp.MUL, dst=work, src0=src, src1=dst),
        Arith(op=ArithOp.MUL, dst=dst, src0=work, src1=Constant.of(1 / 6, kind)),
    )


def _isfinite(params: Params) -> list[Instruction]:
    """The exponent bits, compared with those of infinity; then the truth value reversed."""
    kind = dtype(params)
    bits = SIGNED[kind.bits]
    infinity, one = Constant.of(float("inf"), kind).bits, Constant.of(1.0, kind)
    dst, src, work = ({t: strided(params, name, t) for t in (kind, bits)} for name in ("dst", "src", "work0"))
    return numbered(
        Arith(op=ArithOp.AND, dst=work[bits], src0=src[bits], src1=Constant(infinity, bits)),
        Arith(op=ArithOp.SELECT_EQUAL, dst=dst[kind], src0=work[kind], src1=Constant(infinity, kind), src2=one),
        Arith(op=ArithOp.XOR, dst=dst[bits], src0=dst[bits], src1=Constant(one.bits, bits)),
    )


BUILDERS: dict[str, Builder] = {
    **{_function(f.name, form): _binary(f.op, form, f.kind) for f in _FAMILIES for form in f.forms},
    **{
        _function(f"{stem}_{name}", form): _integers(wrapping, saturating, form)
        for stem in ("int", "int_pcs")
        for name, wrapping, saturating, forms in (
            ("add", ArithOp.ADD, ArithOp.ADDS, ("", "_C")),
            ("sub", ArithOp.SUB, ArithOp.SUBS, ("", "_C", "C_")),
            ("mul", ArithOp.MUL, ArithOp.MULS, ("", "_C")),
        )
        for form in forms
    },
    **{
        f"tpu_bdc_{name}{form}": _comparison(op, form, negated=negated)
        for name, (op, negated) in _COMPARISONS.items()
        for form in ("", "_C")
    },
    **{f"tpu_bdc_int8_mac{form}": _int8_mac(form) for form in ("", "_C")},
    **{f"tpu_bdc_arithmetic_shift{form}": _shifted(ArithOp.ARITH_SHIFT, form) for form in ("", "_C")},
    **{f"tpu_bdc_logical_shift{form}": _shifted(ArithOp.LOGIC_SHIFT, form) for form in ("", "_C")},
    "tpu_bdc_int_square": _int_square,
    "tpu_bdc_int_min_C": _int_extreme(ArithOp.MIN),
    "tpu_bdc_int_max_C": _int_extreme(ArithOp.MAX),
    "tpu_bdc_cpy": _unary(ArithOp.COPY),
    "tpu_bdc_not": _unary(ArithOp.NOT),
    "tpu_bdc_abs": _unary(ArithOp.ABS, unsigned=ArithOp.COPY),
    "tpu_bdc_neg": _with_zero(ArithOp.SUB, first=True),
    "tpu_bdc_relu": _with_zero(ArithOp.MAX, first=False),
    "tpu_bdc_fp_reciprocal": _reciprocal,
    "tpu_bdc_fp_tunable_reciprocal": _reciprocal,
    "tpu_bdc_fp32_reciprocal": _reciprocal,
    "tpu_bdc_fp32_tunable_reciprocal": _reciprocal,
    "tpu_bdc_fp_square": _fp_square,
    "tpu_bdc_fp_floor": _rounded(Rounding.DOWN),
    "tpu_bdc_fp_ceil": _rounded(Rounding.UP),
    "tpu_bdc_fp_round": _rounded(None),
    "tpu_bdc_cast": _cast,
    "tpu_bdc_set_C": _set_constant,
    "tpu_bdc_fp_hsigmoid": _hsigmoid,
    "tpu_bdc_fp_hswish": _hswish,
    "tpu_bdc_fp_isfinite": _isfinite,
}
