"""TPUKernel functions: activations.

The f32 functions are sequences of instructions around `exp` and `log` (`tpukernel.api.series`), as the official library records them. Their
tensors are EU-aligned, of one shape, and start in one lane. Most sequences write `dst` before they have read `src` for the last time: give
all operands places of their own. Two at one place are refused where the library refuses them; elsewhere the result may be wrong. The
coefficients are what the functions `tpu_bdc_load_fp32_..._coeff` put into every lane (`coeff`: those of exp); the tables are not used. How
exact the results are: docs/functions_accuracy.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpukernel.api.arguments import Address, LocalIn, LocalOut, LocalUnused, LocalWork, ScalarArg, Stride
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import SIGNED, constant, local
from tpukernel.api.series import ERF_TERMS, arith, as_type, c_float, distinct, exp, f32_tensors, log, select, sign, taylor
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor
from tpukernel.dtypes import Dtype, f32
from tpukernel.isa import Arith, ArithOp, Compare, CompareOp, Instruction, Linear, LinearOp, Special

__all__ = [
    "tpu_bdc_fp32_cosh",
    "tpu_bdc_fp32_elu",
    "tpu_bdc_fp32_erf",
    "tpu_bdc_fp32_erfc",
    "tpu_bdc_fp32_gelu",
    "tpu_bdc_fp32_gelu_fast",
    "tpu_bdc_fp32_log_sigmoid",
    "tpu_bdc_fp32_mish",
    "tpu_bdc_fp32_selu",
    "tpu_bdc_fp32_sigmoid",
    "tpu_bdc_fp32_silu",
    "tpu_bdc_fp32_sinh",
    "tpu_bdc_fp32_softplus",
    "tpu_bdc_fp32_softsign",
    "tpu_bdc_fp32_swish",
    "tpu_bdc_fp32_tanh",
    "tpu_bdc_fp_hsigmoid",
    "tpu_bdc_fp_hswish",
    "tpu_bdc_fp_isfinite",
    "tpu_bdc_prelu",
    "tpu_bdc_relu",
]

GROUP = "Activation functions"

_SQRT_HALF = math.sqrt(0.5)
_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
_GELU_CUBE = 0.044715
"""gelu_fast is x * (1 + tanh(sqrt(2 / pi) * (x + this * x^3))) / 2."""
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_TANH_LIMIT = 100.0
"""tanh limits twice its operand to this, so that e^(2 x) stays finite."""
_SOFTPLUS_LINEAR = 20.0
"""Above this softplus is its operand."""
_MISH_LARGEST, _MISH_SMALLEST = 1.84467e19, 1.0842e-19
"""mish limits e^x to these, whose squares are about the largest and the smallest normal f32."""


# ---------------------------------------------------------------------------- one to five instructions, several types


@function(GROUP, Arith)
def tpu_bdc_relu(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4, dst_stride: Stride, src_stride: Stride, dtype: Dtype) -> Emitted:
    """dst = max(src, 0)."""
    dst, src = local(dst_addr, shape, dtype, dst_stride), local(src_addr, shape, dtype, src_stride)
    return [Arith(op=ArithOp.MAX, dst=dst, src0=src, src1=Constant(0, dtype))]


@function(GROUP, Arith, Compare)
def tpu_bdc_prelu(dst_addr: LocalOut, src_addr: LocalIn, alpha: ScalarArg, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = src where it is above 0, else src * alpha; a product of integers wraps. Of an unsigned type a copy. 2 instructions."""
    dst, src = local(dst_addr, shape, dtype), local(src_addr, shape, dtype)
    if not dtype.is_signed:
        return [arith(ArithOp.COPY, dst, src)]
    return [arith(ArithOp.MUL, dst, src, constant(alpha, dtype)), _keep_above(dst, src, Constant(0, dtype))]


@function(GROUP, Arith)
def tpu_bdc_fp_hsigmoid(
    dst_addr: LocalOut, src_addr: LocalIn, work0_addr: LocalWork, shape: Dim4, alpha: float, beta: float, dtype: Dtype
) -> Emitted:
    """dst = min(max(alpha * src + beta, 0), 1), each step rounded to the type; alpha and beta are rounded to f32 first. 4 instructions."""
    dst, src, work = (local(address, shape, dtype) for address in (dst_addr, src_addr, work0_addr))
    scale, offset = (Constant.of(c_float(value), dtype) for value in (alpha, beta))
    return [
        arith(ArithOp.MUL, dst, src, scale),
        arith(ArithOp.ADD, work, dst, offset),
        arith(ArithOp.MAX, work, work, Constant(0, dtype)),
        arith(ArithOp.MIN, dst, work, Constant.of(1, dtype)),
    ]


@function(GROUP, Arith)
def tpu_bdc_fp_hswish(dst_addr: LocalOut, src_addr: LocalIn, work0_addr: LocalWork, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = src * min(max(src + 3, 0), 6) * (1 / 6), each step rounded to the type. 5 instructions."""
    dst, src, work = (local(address, shape, dtype) for address in (dst_addr, src_addr, work0_addr))
    return [
        arith(ArithOp.ADD, dst, src, Constant.of(3, dtype)),
        arith(ArithOp.MAX, work, dst, Constant(0, dtype)),
        arith(ArithOp.MIN, dst, work, Constant.of(6, dtype)),
        arith(ArithOp.MUL, work, src, dst),
        arith(ArithOp.MUL, dst, work, Constant.of(1 / 6, dtype)),
    ]


@function(GROUP, Arith)
def tpu_bdc_fp_isfinite(dst_addr: LocalOut, src_addr: LocalIn, work0_addr: LocalWork, shape: Dim4, dtype: Dtype) -> Emitted:
    """dst = 1 where src is finite, 0 for infinities and NaNs. 3 instructions.

    The bits of the exponent are compared with those of infinity, then 1 and 0 are exchanged.
    """
    dst, src, work = (local(address, shape, dtype) for address in (dst_addr, src_addr, work0_addr))
    bits, infinity, one = SIGNED[dtype.bits], Constant.of(math.inf, dtype), Constant.of(1, dtype)
    truth = as_type(dst, bits)
    return [
        arith(ArithOp.AND, as_type(work, bits), as_type(src, bits), Constant(infinity.bits, bits)),
        Arith(op=ArithOp.SELECT_EQUAL, dst=dst, src0=work, src1=infinity, src2=one),
        arith(ArithOp.XOR, truth, truth, Constant(one.bits, bits)),
    ]


@function(GROUP, Arith)
def tpu_bdc_fp32_softsign(dst_addr: LocalOut, src_addr: LocalIn, shape: Dim4) -> Emitted:
    """dst = src / (1 + |src|). 3 instructions."""
    dst, src = f32_tensors(shape, dst_addr, src_addr)
    return [arith(ArithOp.ABS, dst, src), arith(ArithOp.ADD, dst, dst, 1.0), arith(ArithOp.DIV, dst, src, dst)]


# ---------------------------------------------------------------------------- with exp


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_elu(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    alpha: float,
    shape: Dim4,
) -> Emitted:
    """dst = src where it is above 0, else alpha * (e^src - 1). 15 instructions, 14 for an alpha of 1."""
    dst, src, work0, work1 = _separate(shape, dst_addr, src_addr, work0_addr, work1_addr)
    factor = c_float(alpha)
    scaled = [] if factor == 1 else [arith(ArithOp.MUL, dst, dst, factor)]
    return [*_expm1(dst, src, coeff_addr, work0, work1), *scaled, _keep_above(dst, src)]


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_selu(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = 1.0507 * (src where it is above 0, else 1.67326 * (e^src - 1)). 16 instructions."""
    dst, src, work0, work1 = _separate(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return [
        *_expm1(dst, src, coeff_addr, work0, work1),
        arith(ArithOp.MUL, dst, dst, _SELU_ALPHA),
        _keep_above(dst, src),
        arith(ArithOp.MUL, dst, dst, _SELU_SCALE),
    ]


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_sigmoid(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = 1 / (1 + e^-src). 15 instructions."""
    dst, src, work0, work1 = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return _sigmoid(dst, src, coeff_addr, work0, work1)


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_silu(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = src * sigmoid(src). 16 instructions."""
    dst, src, work0, work1 = _separate(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return [*_sigmoid(dst, src, coeff_addr, work0, work1), arith(ArithOp.MUL, dst, dst, src)]


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_swish(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    beta: float,
    shape: Dim4,
) -> Emitted:
    """dst = src * sigmoid(beta * src). 17 instructions."""
    dst, src, work0, work1 = _separate(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return [
        arith(ArithOp.MUL, dst, src, c_float(beta)),
        *_sigmoid(dst, dst, coeff_addr, work0, work1),
        arith(ArithOp.MUL, dst, dst, src),
    ]


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_sinh(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = (e^src - 1 / e^src) / 2. 15 instructions."""
    dst, src, work0, work1 = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return _with_inverse(ArithOp.SUB, dst, src, coeff_addr, work0, work1)


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_cosh(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = (e^src + 1 / e^src) / 2. 15 instructions."""
    dst, src, work0, work1 = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return _with_inverse(ArithOp.ADD, dst, src, coeff_addr, work0, work1)


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_tanh(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = 1 - 2 / (e^(2 src) + 1). 17 instructions."""
    dst, src, work0, work1 = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return _tanh(dst, src, coeff_addr, work0, work1)


@function(GROUP, Arith, Special)
def tpu_bdc_fp32_gelu_fast(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = src * (1 + tanh(sqrt(2 / pi) * (src + 0.044715 * src^3))) / 2. 25 instructions."""
    dst, src, work0, work1 = _separate(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return [
        arith(ArithOp.MUL, work0, src, _GELU_CUBE),
        arith(ArithOp.MUL, work1, work0, src),
        arith(ArithOp.MUL, work0, work1, src),
        arith(ArithOp.ADD, work1, work0, src),
        arith(ArithOp.MUL, work0, work1, _SQRT_2_OVER_PI),
        *_tanh(dst, work0, coeff_addr, work0, work1),
        arith(ArithOp.ADD, work1, dst, 1.0),
        arith(ArithOp.MUL, work0, work1, 0.5),
        arith(ArithOp.MUL, dst, work0, src),
    ]


@function(GROUP, Arith, Special, Compare, Linear)
def tpu_bdc_fp32_mish(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = src * tanh(ln(1 + e^src)), computed as src - 2 * src / ((1 + e^src)^2 + 1). 21 instructions."""
    dst, src, work0, work1 = _separate(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return [
        *exp(dst, src, coeff_addr, work0, work1),
        arith(ArithOp.COPY, work0, _MISH_LARGEST),
        select(CompareOp.SELECT_GREATER, dst, dst, work0, work0, dst),
        arith(ArithOp.COPY, work0, _MISH_SMALLEST),
        select(CompareOp.SELECT_LESS, dst, dst, work0, work0, dst),
        Linear(op=LinearOp.SQUARE_SUM, dst=work1, src0=dst, src1=Constant.of(1, f32)),
        arith(ArithOp.ADD, dst, work1, 1.0),
        arith(ArithOp.DIV, work0, src, dst),
        arith(ArithOp.MUL, work1, work0, -2.0),
        arith(ArithOp.ADD, dst, src, work1),
    ]


# ---------------------------------------------------------------------------- with exp and log, or erf


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_softplus(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    exp_coeff_addr: LocalIn,
    log_coeff_addr: LocalIn,
    exp_table_addr: LocalUnused,
    shape: Dim4,
    beta: float,
) -> Emitted:
    """dst = src where it is above 20, else **beta** * ln(1 + e^(beta * src)). 29 instructions, 27 for a beta of 1.

    The usual definition divides by beta: the library divides by 1 / beta, and this function does as the library.
    """
    dst, src, work0, work1 = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr)
    factor = c_float(beta)
    if factor == 1:
        found = _log1p_exp(dst, src, exp_coeff_addr, log_coeff_addr, dst, work0, work1)
    else:
        found = [
            arith(ArithOp.MUL, work0, src, factor),
            *_log1p_exp(work1, work0, exp_coeff_addr, log_coeff_addr, dst, work0, work1),
            arith(ArithOp.DIV, dst, work1, _inverse(factor)),
        ]
    return [*found, _keep_above(dst, src, _SOFTPLUS_LINEAR)]


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_log_sigmoid(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    coeff_addr: LocalIn,
    table_addr: LocalUnused,
    ln_coeff_addr: LocalIn,
    shape: Dim4,
) -> Emitted:
    """dst = src - ln(1 + e^src). 27 instructions."""
    dst, src, work0, work1 = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr)
    return [
        *exp(dst, src, coeff_addr, work0, work1),
        arith(ArithOp.ADD, work1, dst, 1.0),
        *log(work0, work1, ln_coeff_addr, dst),
        arith(ArithOp.SUB, dst, src, work0),
    ]


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_erf(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    work2_addr: LocalWork,
    exp_coeff_addr: LocalIn,
    erf_coeff_addr: LocalIn,
    exp_table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = erf(src), from an approximation with an absolute error. 24 instructions."""
    dst, src, *work = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr, work2_addr)
    return _erf(dst, src, exp_coeff_addr, erf_coeff_addr, work)


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_erfc(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    work2_addr: LocalWork,
    exp_coeff_addr: LocalIn,
    erf_coeff_addr: LocalIn,
    exp_table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = 1 - erf(src): 0 from about 3.9 on. 25 instructions."""
    dst, src, *work = f32_tensors(shape, dst_addr, src_addr, work0_addr, work1_addr, work2_addr)
    return [*_erf(dst, src, exp_coeff_addr, erf_coeff_addr, work), arith(ArithOp.SUB, dst, 1.0, dst)]


@function(GROUP, Arith, Special, Compare)
def tpu_bdc_fp32_gelu(
    dst_addr: LocalOut,
    src_addr: LocalIn,
    work0_addr: LocalWork,
    work1_addr: LocalWork,
    work2_addr: LocalWork,
    work3_addr: LocalWork,
    exp_coeff_addr: LocalIn,
    erf_coeff_addr: LocalIn,
    exp_table_addr: LocalUnused,
    shape: Dim4,
) -> Emitted:
    """dst = src * (1 + erf(src / sqrt(2))) / 2. 28 instructions."""
    dst, src, work3, *work = f32_tensors(shape, dst_addr, src_addr, work3_addr, work0_addr, work1_addr, work2_addr)
    return [
        arith(ArithOp.MUL, work3, src, _SQRT_HALF),
        *_erf(dst, work3, exp_coeff_addr, erf_coeff_addr, work),
        arith(ArithOp.ADD, work[1], dst, 1.0),
        arith(ArithOp.MUL, dst, work[1], 0.5),
        arith(ArithOp.MUL, dst, dst, src),
    ]


# ---------------------------------------------------------------------------- sequences


def _separate(shape: Dim4, *addresses: Address) -> list[LocalTensor]:
    """f32 tensors, none of which may be another.

    Raises:
        ArgumentError: two are one.
    """
    tensors = f32_tensors(shape, *addresses)
    distinct(*tensors)
    return tensors


def _keep_above(dst: LocalTensor, src: LocalTensor, limit: Constant | float = 0.0) -> Compare:
    """dst = src where that is above the limit; elsewhere dst stays."""
    return select(CompareOp.SELECT_GREATER, dst, src, limit, src, dst)


def _expm1(dst: LocalTensor, src: LocalTensor, coeff: Address, work0: LocalTensor, work1: LocalTensor) -> list[Instruction]:
    return [*exp(dst, src, coeff, work0, work1), arith(ArithOp.SUB, dst, dst, 1.0)]


def _with_inverse(
    op: ArithOp, dst: LocalTensor, src: LocalTensor, coeff: Address, work0: LocalTensor, work1: LocalTensor
) -> list[Instruction]:
    """dst = (e^src op 1 / e^src) / 2."""
    return [
        *exp(dst, src, coeff, work0, work1),
        arith(ArithOp.DIV, work0, 1.0, dst),
        arith(op, dst, dst, work0),
        arith(ArithOp.MUL, dst, dst, 0.5),
    ]


def _sigmoid(dst: LocalTensor, src: LocalTensor, coeff: Address, work0: LocalTensor, work1: LocalTensor) -> list[Instruction]:
    """`src` may be `dst`."""
    return [
        arith(ArithOp.SUB, work0, 0.0, src),
        *exp(dst, work0, coeff, work0, work1),
        arith(ArithOp.ADD, work1, dst, 1.0),
        arith(ArithOp.DIV, dst, 1.0, work1),
    ]


def _tanh(dst: LocalTensor, src: LocalTensor, coeff: Address, work0: LocalTensor, work1: LocalTensor) -> list[Instruction]:
    """`src` may be `work0`."""
    return [
        arith(ArithOp.ADD, dst, src, src),
        arith(ArithOp.MIN, dst, dst, _TANH_LIMIT),
        *exp(dst, dst, coeff, work0, work1),
        arith(ArithOp.ADD, work0, dst, 1.0),
        arith(ArithOp.DIV, work1, 2.0, work0),
        arith(ArithOp.SUB, dst, 1.0, work1),
    ]


def _log1p_exp(
    dst: LocalTensor,
    src: LocalTensor,
    exp_coeff: Address,
    log_coeff: Address,
    limited: LocalTensor,
    work0: LocalTensor,
    work1: LocalTensor,
) -> list[Instruction]:
    """dst = ln(1 + e^src). `src` may be `work0`; `dst` is `limited` or `work1`."""
    return [
        *exp(limited, src, exp_coeff, work0, work1),
        arith(ArithOp.ADD, work0, limited, 1.0),
        *log(dst, work0, log_coeff, work0),
    ]


def _erf(dst: LocalTensor, src: LocalTensor, exp_coeff: Address, erf_coeff: Address, work: Sequence[LocalTensor]) -> list[Instruction]:
    """dst = sign(src) * (1 - t * e^(series(t) - src^2)) with t = 1 / (1 + |src| / 2), the approximation of "Numerical Recipes"."""
    work0, work1, t = work
    distinct(dst, src, *work)
    return [
        arith(ArithOp.ABS, dst, src),
        arith(ArithOp.MUL, t, dst, 0.5),
        arith(ArithOp.ADD, dst, t, 1.0),
        arith(ArithOp.DIV, t, 1.0, dst),
        taylor(dst, t, erf_coeff, ERF_TERMS),
        arith(ArithOp.MUL, work1, src, src),
        arith(ArithOp.SUB, work0, dst, work1),
        *exp(dst, work0, exp_coeff, work0, work1),
        arith(ArithOp.MUL, work0, dst, t),
        arith(ArithOp.SUB, t, 1.0, work0),
        *sign(work0, src),
        arith(ArithOp.MUL, dst, t, work0),
    ]


def _inverse(value: float) -> float:
    """1 / value in f32; infinity for 0."""
    return math.copysign(math.inf, value) if value == 0 else c_float(1 / value)
