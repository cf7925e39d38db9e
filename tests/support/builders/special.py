"""Special functions that are one instruction, and the reciprocal square roots."""

from __future__ import annotations

from tests.support.builders.common import Builder, Params, dims, dtype, number, numbered, tensor
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant
from tpukernel.dtypes import f32, u32
from tpukernel.isa import Compare, CompareOp, Instruction, Special, SpecialOp, lane_table

INFINITY = 0x7F80_0000
DEFAULT_ITERATIONS = 3


def _taylor(params: Params) -> list[Instruction]:
    shape, kind = dims(params), dtype(params)
    lane = number(params, "dst_addr") // BM1684X.lane_bytes * BM1684X.lane_bytes
    coeff = lane_table(BM1684X, lane + number(params, "coeff_addr"), (1, shape[1], 1, number(params, "num")), kind)
    dst, src = (tensor(params, name, shape, kind) for name in ("dst", "src"))
    return numbered(Special(op=SpecialOp.TAYLOR, dst=dst, src=src, coeff=coeff))


def _exponent(params: Params) -> list[Instruction]:
    dst, src = (tensor(params, name, dims(params), dtype(params, f"{name}_dtype")) for name in ("dst", "src"))
    return numbered(Special(op=SpecialOp.EXPONENT, dst=dst, src=src))


def _rsqrt(params: Params) -> list[Instruction]:
    """What comes out as infinity becomes 0."""
    dst, src = (tensor(params, name, dims(params), f32) for name in ("dst", "src"))
    iterations = number(params, "num_iter") if "num_iter" in params else DEFAULT_ITERATIONS
    bits = tensor(params, "dst", dims(params), u32)
    return numbered(
        Special(op=SpecialOp.RSQRT, dst=dst, src=src, iterations=iterations),
        Compare(op=CompareOp.SELECT_EQUAL, dst=bits, src0=bits, src1=Constant(INFINITY, u32), src2=Constant(0, u32), src3=bits),
    )


BUILDERS: dict[str, Builder] = {
    "tpu_bdc_fp_taylor": _taylor,
    "tpu_bdc_fp_exponent_part": _exponent,
    "tpu_bdc_fp_rsqrt": _rsqrt,
    "tpu_bdc_fp32_rsqrt": _rsqrt,
    "tpu_bdc_fp_tunable_rsqrt": _rsqrt,
    "tpu_bdc_fp32_tunable_rsqrt": _rsqrt,
}
