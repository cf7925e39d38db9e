"""TPUKernel functions of f32 that are computed by series: exponentials, logarithms, powers, circular functions and their inverses.

All operands are EU-aligned and start in one lane. `tpu_bdc_load_fp32_..._coeff` puts the coefficients into every lane; their address is
that in lane 0, wherever the others start. dst may be src where nothing else is said, but not work memory. Nothing reads the tables of exp
that are in the signatures of C. Errors are those of the official C model against f64.
"""

from __future__ import annotations

import math

from tpukernel.api.arguments import Address, LocalIn, LocalInOut, LocalOut, LocalUnused, LocalWork
from tpukernel.api.errors import ArgumentError
from tpukernel.api.function import Emitted, function
from tpukernel.api.series import arith, as_type, c_float, distinct, exp, f32_tensors, ln, log, rounded, sign, sqrt, taylor
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import i32
from tpukernel.isa import Arith, ArithOp, Compare, Rounding, Special

__all__ = [
    "tpu_bdc_fp32_C_pow",
    "tpu_bdc_fp32_arccos",
    "tpu_bdc_fp32_arccosh",
    "tpu_bdc_fp32_arcsin",
    "tpu_bdc_fp32_arcsinh",
    "tpu_bdc_fp32_arctanh",
    "tpu_bdc_fp32_cos",
    "tpu_bdc_fp32_cot",
    "tpu_bdc_fp32_exp",
    "tpu_bdc_fp32_expm1",
    "tpu_bdc_fp32_log",
    "tpu_bdc_fp32_log1p",
    "tpu_bdc_fp32_logx",
    "tpu_bdc_fp32_pow",
    "tpu_bdc_fp32_pow_C",
    "tpu_bdc_fp32_sin",
    "tpu_bdc_fp32_tan",
]

GROUP = "BDC unary functions"
FP_BINARY = "BDC floating-point binary functions"


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_exp(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = e ** src, f32, 12 instructions.

    src is limited so that infinities become finite: the largest result is 2 ** 127 times a number below 2. Largest error measured: 9.3 ULP
    in [-10, 10], 68 ULP in [-87, 88].
    """
    dst, src, work0, work1 = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return exp(dst, src, coeff_addr, work0, work1)


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_expm1(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = e ** src - 1, f32, 13 instructions: the difference, so small results keep few digits."""
    dst, src, work0, work1 = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return (*exp(dst, src, coeff_addr, work0, work1), arith(ArithOp.SUB, dst, dst, 1.0))


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_log(dst_addr: LocalOut, src_addr: LocalIn, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = ln(src), f32, 13 instructions; minus infinity of 0, infinity of infinity.

    Other numbers below 2 ** -126, also negative ones, count as that. Largest error measured: 1.4 ULP.
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return log(dst, src, coeff_addr, work)


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_log1p(dst_addr: LocalOut, src_addr: LocalIn, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = ln(1 + src), f32, 14 instructions: the sum is rounded first, so small results keep few digits.

    -1 and numbers below it have ln(2 ** -126).
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return (arith(ArithOp.ADD, work, src, 1.0), *log(dst, work, coeff_addr, work))


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_logx(dst_addr: LocalOut, src_addr: LocalIn, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4, x: float) -> Emitted:
    """dst = the logarithm of src to the base x, f32, 14 instructions: ln(src) times the rounded 1 / ln(x), of a base x above 0.

    Largest error measured: 2.7 ULP.
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return (*log(dst, src, coeff_addr, work), arith(ArithOp.MUL, dst, dst, _inverse_ln(x)))


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_sin(dst_addr: LocalOut, src_addr: LocalIn, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = sin(src), f32, 6 instructions.

    Largest error measured: 7.2e-7 in [-pi, pi], 7e-6 in [-100, 100], 8e-4 in [-10000, 10000].
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return (
        *_part_of_turn(dst, src, work),
        taylor(work, work, coeff_addr),
        arith(ArithOp.MUL, dst, dst, work),
    )


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_cos(dst_addr: LocalOut, src_addr: LocalIn, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = cos(src), f32, 5 instructions.

    Largest error measured: 3.6e-7 in [-pi, pi], 7e-6 in [-100, 100], 8e-4 in [-10000, 10000].
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return (*_part_of_turn(dst, src, work), taylor(dst, work, coeff_addr))


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_tan(dst_addr: LocalOut, src_addr: LocalInOut, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = tan(src), f32, 13 instructions. Overwrites src, which is not dst.

    Largest error measured: 2.5e-5 in [-1.5, 1.5].
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return (arith(ArithOp.MUL, work, src, 1 / math.pi), *_tan(dst, src, coeff_addr, work))


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_cot(dst_addr: LocalOut, src_addr: LocalInOut, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = cot(src), f32, 14 instructions. Overwrites src, which is not dst.

    Largest error measured: 1.1e-4 in [0.05, 3.1].
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return (
        arith(ArithOp.MUL, work, src, 1 / math.pi),
        arith(ArithOp.SUB, work, 0.5, work),
        *_tan(dst, src, coeff_addr, work),
    )


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_arcsin(dst_addr: LocalOut, src_addr: LocalIn, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = arcsin(src), f32, 20 instructions.

    Largest error measured: 3.3e-4, near 0; 1.1e-6 from 0.1 on.
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return _arcsin(dst, src, coeff_addr, work)


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_arccos(dst_addr: LocalOut, src_addr: LocalIn, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = arccos(src) = pi / 2 - arcsin(src), f32, 21 instructions.

    Largest error measured: 3.3e-4, near 0; 1.1e-6 from 0.1 on.
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return (*_arcsin(dst, src, coeff_addr, work), arith(ArithOp.SUB, dst, math.pi / 2, dst))


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_arcsinh(dst_addr: LocalOut, src_addr: LocalIn, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = arcsinh(src) = ln(src + sqrt(src ** 2 + 1)), f32, 21 instructions.

    Largest error measured: 2.9e-5 in [-10, 10].
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return _inverse_hyperbolic(ArithOp.ADD, dst, src, coeff_addr, work)


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_arccosh(dst_addr: LocalOut, src_addr: LocalIn, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = arccosh(src) = ln(src + sqrt(src ** 2 - 1)), f32, 21 instructions.

    Largest error measured: 5.4e-7 in [1, 100].
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return _inverse_hyperbolic(ArithOp.SUB, dst, src, coeff_addr, work)


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_arctanh(dst_addr: LocalOut, src_addr: LocalIn, work_addr: LocalWork, coeff_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = arctanh(src) = ln((1 + src) / (1 - src)) / 2, f32, 17 instructions.

    Largest error measured: 2.4e-7 in [-0.99, 0.99].
    """
    dst, src, work = f32_tensors(shape, dst_addr, src_addr, work_addr)
    return (
        arith(ArithOp.ADD, dst, src, 1.0),
        arith(ArithOp.SUB, work, 1.0, src),
        arith(ArithOp.DIV, dst, dst, work),
        *log(dst, dst, coeff_addr, work),
        arith(ArithOp.MUL, dst, dst, 0.5),
    )


@function(FP_BINARY, Arith, Special, Compare)
def tpu_bdc_fp32_pow(
    dst_addr: LocalOut,
    src0_addr: LocalIn,
    src1_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    exp_coeff_addr: LocalIn,
    log_coeff_addr: LocalIn,
    exp_table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = src0 ** src1 = e ** (src1 * ln(src0)), f32, 26 instructions; a negative src0 counts as 2 ** -126.

    Largest error measured: 8.3 ULP for operands in [0.1, 5].
    """
    dst, src0, src1, work0, work1 = f32_tensors(shape, dst_addr, src0_addr, src1_addr, work0_addr, work1_addr)
    distinct(dst, work0, work1)
    # the places other than that of src1, which is read after the logarithm
    scratch = [tensor for tensor in (dst, work0, work1) if tensor != src1]
    logarithm, work = (dst, work0) if src1 not in (dst, work0) else (work1, scratch[0])
    return (
        *log(logarithm, src0, log_coeff_addr, work),
        arith(ArithOp.MUL, work0, logarithm, src1),
        *exp(dst, work0, exp_coeff_addr, work0, work1),
    )


@function(FP_BINARY, Arith, Special, Compare)
def tpu_bdc_fp32_pow_C(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    exp_coeff_addr: LocalIn,
    log_coeff_addr: LocalIn,
    exp_table_addr: LocalUnused,
    C: float,
    shape: Dim4,
) -> Emitted:
    """dst = src ** C = e ** (C * ln(src)), f32, 26 instructions; a negative src counts as 2 ** -126.

    Largest error measured: 5.1 ULP for operands in [0.1, 5].
    """
    dst, src, work0, work1 = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return (
        *log(work1, src, log_coeff_addr, work0),
        arith(ArithOp.MUL, work0, work1, c_float(C)),
        *exp(dst, work0, exp_coeff_addr, work0, work1),
    )


@function(FP_BINARY, Arith, Special)
def tpu_bdc_fp32_C_pow(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    exp_coeff_addr: LocalIn,
    exp_table_addr: LocalUnused,
    C: float,
    shape: Dim4,
) -> Emitted:
    """dst = C ** src = e ** (src * ln(C)), f32, 13 instructions; ln(C) is rounded.

    Largest error measured: 4 ULP for src in [-5, 5].
    """
    dst, src, work0, work1 = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return (arith(ArithOp.MUL, work0, src, ln(C)), *exp(dst, work0, exp_coeff_addr, work0, work1))


# ---------------------------------------------------------------------------- parts


def _inverse_ln(base: float) -> float:
    number = c_float(base)
    if not number > 0:
        raise ArgumentError(f"the base of a logarithm is {base!r}", help="give a normal f32 number above 0")
    logarithm = math.log(number)
    return c_float(1 / logarithm) if logarithm else math.inf


def _part_of_turn(part: LocalTensor, src: LocalTensor, square: LocalTensor) -> Emitted:
    """The part of a turn, from -1/2 to 1/2, by which src differs from whole turns, and its square (4 instructions)."""
    distinct(part, square)
    return (
        arith(ArithOp.MUL, square, src, 1 / (2 * math.pi)),
        rounded(part, square, Rounding.HALF_AWAY),
        arith(ArithOp.SUB, part, square, part),
        arith(ArithOp.MUL, square, part, part),
    )


def _tan(dst: LocalTensor, part: LocalTensor, coeff: Address, turns: LocalTensor) -> Emitted:
    """dst = tan(pi * turns), 12 instructions.

    With the part p of `turns` and t = tan(pi * (|p| - 1/4)), which is a series, it is 2 / (1 - t) - 1 with the sign of p.
    """
    distinct(part, dst)
    distinct(part, turns)
    result, bits = as_type(dst, i32), as_type(part, i32)
    return (
        rounded(dst, turns, Rounding.HALF_EVEN),
        arith(ArithOp.SUB, part, turns, dst),
        arith(ArithOp.AND, as_type(turns, i32), bits, Constant(0x7FFF_FFFF, i32)),
        arith(ArithOp.SUB, dst, turns, 0.25),
        arith(ArithOp.MUL, turns, dst, dst),
        taylor(turns, turns, coeff),
        arith(ArithOp.MUL, dst, dst, turns),
        arith(ArithOp.SUB, turns, 1.0, dst),
        arith(ArithOp.DIV, dst, 2.0, turns),
        arith(ArithOp.SUB, dst, dst, 1.0),
        arith(ArithOp.AND, bits, bits, Constant(0x8000_0000, i32)),
        arith(ArithOp.OR, result, bits, result),
    )


def _arcsin(dst: LocalTensor, src: LocalTensor, coeff: Address, work: LocalTensor) -> Emitted:
    """With x = 1/2 - sqrt(1/4 - src ** 2 / 4): twice the series in x times sqrt(x), with the sign of src (20 instructions)."""
    return (
        arith(ArithOp.MUL, dst, src, src),
        arith(ArithOp.MUL, dst, dst, 0.25),
        arith(ArithOp.SUB, work, 0.25, dst),
        *sqrt(dst, work),
        arith(ArithOp.SUB, work, 0.5, dst),
        *sqrt(dst, work),
        taylor(work, work, coeff),
        arith(ArithOp.MUL, work, work, dst),
        arith(ArithOp.MUL, dst, work, 2.0),
        *sign(work, src),
        arith(ArithOp.MUL, dst, dst, work),
    )


def _inverse_hyperbolic(op: ArithOp, dst: LocalTensor, src: LocalTensor, coeff: Address, work: LocalTensor) -> Emitted:
    """dst = ln(src + sqrt(src ** 2 op 1)), 21 instructions."""
    return (
        arith(ArithOp.MUL, dst, src, src),
        arith(op, work, dst, 1.0),
        *sqrt(dst, work),
        arith(ArithOp.ADD, dst, dst, src),
        *log(dst, dst, coeff, work),
    )
