"""Instruction sequences of f32 functions from which TPUKernel functions are put together.

Every tensor is EU-aligned, and those of one call have one shape (`f32_tensors`). The tensors of a call do not overlap, but two can be one
and the same: that is refused where the library refuses it, and changes what is written where as it does in the library.

Source: the commands that the official library records, operand by operand.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from tpukernel.api.arguments import Address
from tpukernel.api.errors import ArgumentError
from tpukernel.api.operands import local
from tpukernel.chips import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u32
from tpukernel.isa import Arith, ArithOp, Compare, CompareOp, Rounding, Special, SpecialOp, lane_table

__all__ = [
    "DIVISION_STEPS",
    "ERF_TERMS",
    "EXP_TERMS",
    "SERIES_TERMS",
    "Source",
    "arith",
    "as_type",
    "c_float",
    "distinct",
    "divide",
    "exp",
    "f32_tensors",
    "ln",
    "log",
    "rounded",
    "rsqrt",
    "select",
    "sign",
    "sqrt",
    "taylor",
]

DIVISION_STEPS: Final = 3
"""Newton steps of divisions and reciprocal square roots where the call does not say."""
EXP_TERMS: Final = 10
ERF_TERMS: Final = 10
SERIES_TERMS: Final = 16
"""Coefficients of all other series that are used, even where twice as many are loaded."""

_LARGEST_EXP: Final = 3.4028198694267105e35
"""Operands of exp are limited to this on both sides (a thousandth of the largest f32, as the library does)."""
_LOG2_E: Final = math.log2(math.e)
_LN_2: Final = math.log(2)
_SMALLEST_NORMAL: Final = 2.0**-126
_BIAS: Final = 127
_TO_EXPONENT: Final = Constant(23, i8)
"""The shift of a biased exponent to its place in an f32."""
_LEFTOVER: Final = 0x3F31_0000
"""The library leaves these bits, which have no effect, above the i16 constants of exp: the upper half of ln 2."""

Source = LocalTensor | Constant | float
"""An operand; a number is an f32 constant."""


def f32_tensors(shape: Dim4, *addresses: Address) -> list[LocalTensor]:
    """An EU-aligned f32 tensor of the shape at each local address."""
    return [local(address, shape, f32) for address in addresses]


def as_type(tensor: LocalTensor, dtype: Dtype) -> LocalTensor:
    """The same memory with elements of another type."""
    return replace(tensor, dtype=dtype)


def _source(source: Source) -> LocalTensor | Constant:
    return source if isinstance(source, LocalTensor | Constant) else Constant.of(source, f32)


def arith(op: ArithOp, dst: LocalTensor, src0: Source, src1: Source | None = None) -> Arith:
    """One elementwise instruction; a division makes `DIVISION_STEPS` Newton steps."""
    second = None if src1 is None else _source(src1)
    return Arith(op=op, dst=dst, src0=_source(src0), src1=second, iterations=DIVISION_STEPS if op is ArithOp.DIV else None)


def distinct(*tensors: LocalTensor) -> None:
    """The tensors do not start at one place.

    Raises:
        ArgumentError: two of them do.
    """
    places = [tensor.address for tensor in tensors]
    if len(set(places)) != len(places):
        raise ArgumentError(
            f"operands that may not be one are at {', '.join(map(hex, places))}",
            help="give the result and the work memory places of their own",
        )


def rounded(dst: LocalTensor, src: LocalTensor, mode: Rounding) -> Arith:
    """dst = src in the type of dst; an integral value where that is f32, too."""
    return Arith(op=ArithOp.CAST, dst=dst, src0=src, rounding=mode)


def select(op: CompareOp, dst: LocalTensor, src0: Source, src1: Source, src2: Source, src3: Source) -> Compare:
    """dst = src2 where the comparison of src0 with src1 holds, else src3."""
    return Compare(op=op, dst=dst, src0=_source(src0), src1=_source(src1), src2=_source(src2), src3=_source(src3))


def taylor(dst: LocalTensor, src: LocalTensor, coeff: Address, terms: int = SERIES_TERMS) -> Special:
    """dst = the series in src with that many coefficients, which every lane has at the same byte; `coeff` is their address in lane 0.

    Raises:
        ArgumentError: `coeff` is in another lane.
    """
    address, lane_bytes = coeff.__index__(), BM1684X.lane_bytes
    if address >= lane_bytes:
        raise ArgumentError(
            f"the coefficients of a series are at {address:#x}, in lane {address // lane_bytes}",
            help="give their address in lane 0: a series that starts in another lane takes them from the same byte there",
        )
    table = lane_table(BM1684X, address + dst.address // lane_bytes * lane_bytes, (1, src.shape[1], 1, terms), src.dtype)
    return Special(op=SpecialOp.TAYLOR, dst=dst, src=src, coeff=table)


# ---------------------------------------------------------------------------- exponential and logarithm


def exp(dst: LocalTensor, src: LocalTensor, coeff: Address, work0: LocalTensor, work1: LocalTensor) -> list[Arith | Special]:
    """dst = e ** src, 12 instructions: 2 ** floor(src / ln 2), from 2 ** -127 to 2 ** 127, times the series of what remains.

    `dst`, `work0` and `work1` are three places; `src` may be any of them.

    Raises:
        ArgumentError: they are not three places.
    """
    distinct(dst, work0, work1)
    power = next((tensor for tensor in (dst, work0, work1) if tensor == src), work0)
    limited, rest = (tensor for tensor in (dst, work0, work1) if tensor != power)
    exponent, bounded = as_type(limited, i16), as_type(power, i16)
    return [
        arith(ArithOp.MAX, power, src, -_LARGEST_EXP),
        arith(ArithOp.MIN, limited, power, _LARGEST_EXP),
        arith(ArithOp.MUL, rest, limited, _LOG2_E),
        rounded(power, rest, Rounding.DOWN),
        arith(ArithOp.MUL, rest, power, _LN_2),
        arith(ArithOp.SUB, rest, limited, rest),
        rounded(exponent, power, Rounding.HALF_AWAY),
        arith(ArithOp.MIN, bounded, exponent, _i16_of_exp(_BIAS)),
        arith(ArithOp.MAX, exponent, bounded, _i16_of_exp(-_BIAS)),
        _to_exponent(ArithOp.ADDS, as_type(power, i32), exponent, _i16_of_exp(_BIAS)),
        taylor(limited, rest, coeff, EXP_TERMS),
        arith(ArithOp.MUL, dst, limited, power),
    ]


def _i16_of_exp(value: int) -> Constant:
    return Constant(_LEFTOVER | value & 0xFFFF, i16)


def _to_exponent(op: ArithOp, dst: LocalTensor, src0: Source, src1: Source) -> Arith:
    """The result of integer arithmetic as the exponent field of an f32."""
    return Arith(op=op, dst=dst, src0=_source(src0), src1=_source(src1), src2=_TO_EXPONENT, rounding=Rounding.HALF_AWAY)


def log(dst: LocalTensor, src: LocalTensor, coeff: Address, work: LocalTensor) -> list[Arith | Special | Compare]:
    """dst = ln(src), 13 instructions: the series of the significand plus the exponent times ln 2.

    0 has minus infinity, infinity has infinity; other numbers below 2 ** -126, also negative ones, count as that. `src` may be `dst` or
    `work`: then 0 counts as 2 ** -126, too.

    Raises:
        ArgumentError: `work` is `dst`.
    """
    distinct(dst, work)
    exponent, series = (dst, work) if src == dst else (work, dst)
    scale, steps = as_type(series, i32), as_type(exponent, i32)
    return [
        arith(ArithOp.MAX, exponent, src, _SMALLEST_NORMAL),
        Special(op=SpecialOp.EXPONENT, dst=scale, src=exponent),
        _to_exponent(ArithOp.SUBS, scale, Constant(2 * _BIAS, i32), scale),
        arith(ArithOp.MUL, series, exponent, series),
        arith(ArithOp.SUB, series, series, 1.0),
        taylor(series, series, coeff),
        select(CompareOp.SELECT_EQUAL, series, src, 0.0, -math.inf, series),
        select(CompareOp.SELECT_EQUAL, series, src, math.inf, math.inf, series),
        Special(op=SpecialOp.EXPONENT, dst=steps, src=exponent),
        arith(ArithOp.SUBS, steps, steps, Constant(_BIAS, i32)),
        rounded(exponent, steps, Rounding.TOWARD_ZERO),
        arith(ArithOp.MUL, exponent, exponent, _LN_2),
        arith(ArithOp.ADD, dst, series, exponent),
    ]


# ---------------------------------------------------------------------------- roots and signs


def divide(dst: LocalTensor, src0: Source, src1: Source, iterations: int = DIVISION_STEPS) -> Arith:
    """dst = src0 / src1 by that many Newton steps."""
    return Arith(op=ArithOp.DIV, dst=dst, src0=_source(src0), src1=_source(src1), iterations=iterations)


def rsqrt(dst: LocalTensor, src: LocalTensor, iterations: int = DIVISION_STEPS) -> list[Special | Compare | Arith]:
    """dst = 1 / sqrt(src), 2 instructions; 0 where that is infinite."""
    bits, infinity = as_type(dst, u32), Constant(Constant.of(math.inf, f32).bits, u32)
    return [
        Special(op=SpecialOp.RSQRT, dst=dst, src=src, iterations=iterations),
        select(CompareOp.SELECT_EQUAL, bits, bits, infinity, Constant(0, u32), bits),
    ]


def sqrt(dst: LocalTensor, src: LocalTensor, iterations: int = DIVISION_STEPS) -> list[Special | Compare | Arith]:
    """dst = src / sqrt(src), 5 instructions; 0 of both zeros.

    Raises:
        ArgumentError: `dst` is `src`.
    """
    distinct(dst, src)
    return [
        *rsqrt(dst, src, iterations),
        select(CompareOp.SELECT_EQUAL, dst, src, 0.0, 0.0, dst),
        select(CompareOp.SELECT_EQUAL, dst, src, -0.0, 0.0, dst),
        arith(ArithOp.MUL, dst, dst, src),
    ]


def sign(dst: LocalTensor, src: LocalTensor) -> list[Compare]:
    """dst = 1 or -1 as src is above 0 or not, but 0 where all its bits are 0; 2 instructions on tensors of one signed type.

    Raises:
        ArgumentError: `dst` is `src`.
    """
    distinct(dst, src)
    zero, one = Constant(0, src.dtype), Constant.of(1, src.dtype)
    # the library extends the sign of an integer to 32 bits
    minus_one = Constant(0xFFFF_FFFF, src.dtype) if src.dtype.is_int else Constant.of(-1, src.dtype)
    return [
        select(CompareOp.SELECT_GREATER, dst, src, zero, one, minus_one),
        select(CompareOp.SELECT_EQUAL, dst, src, zero, zero, dst),
    ]


# ---------------------------------------------------------------------------- numbers of a call


def c_float(value: float) -> float:
    """A C `float` as the library computes with it: rounded to f32, and a subnormal number is 0.

    Raises:
        ConstantRangeError: it is finite and too large.
    """
    number = Constant.of(value, f32).value
    return math.copysign(0.0, number) if abs(number) < _SMALLEST_NORMAL else number


def ln(value: float) -> Constant:
    """The natural logarithm in f32: minus infinity for 0; below 0 the NaN that a call of the C library returns."""
    number = c_float(value)
    if number < 0:
        return Constant(0xFFC0_0000, f32)
    return Constant.of(c_float(math.log(number)) if number else -math.inf, f32)
