"""Select functions, and those that are made of selects."""

from __future__ import annotations

from tests.support.builders.common import Builder, Params, dims, dtype, numbered, scalar, tensor, variable
from tpukernel.chips.tensors import Constant
from tpukernel.isa import Arith, ArithOp, Compare, CompareOp, Instruction


def _select(op: CompareOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        shape, compared, selected = dims(params), dtype(params, "src0_src1_dtype"), dtype(params, "dst_dtype")
        src0, src1 = (variable(params, name, shape, compared) for name in ("src0", "src1"))
        src2, src3 = (variable(params, name, shape, selected) for name in ("src2", "src3"))
        return numbered(Compare(op=op, dst=tensor(params, "dst", shape, selected), src0=src0, src1=src1, src2=src2, src3=src3))

    return build


def _extreme_and_select(op: CompareOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        shape, compared, selected = dims(params), dtype(params, "dst0_dtype"), dtype(params, "dst1_dtype")
        src0, src1 = (variable(params, name, shape, compared) for name in ("src0", "src1"))
        src2, src3 = (variable(params, name, shape, selected) for name in ("src2", "src3"))
        dst, dst1 = tensor(params, "dst0", shape, compared), tensor(params, "dst1", shape, selected)
        return numbered(Compare(op=op, dst=dst, dst1=dst1, src0=src0, src1=src1, src2=src2, src3=src3))

    return build


def _sign(params: Params) -> list[Instruction]:
    """1 above 0; -1 (0 for unsigned types) below; then 0 where the operand is 0."""
    kind = dtype(params)
    dst, src = (tensor(params, name, dims(params), kind) for name in ("dst", "src"))
    zero = Constant(0, kind)
    if not kind.is_signed:
        one, below = Constant(1, kind), zero
        return numbered(Compare(op=CompareOp.SELECT_GREATER, dst=dst, src0=src, src1=zero, src2=one, src3=below))
    one, below = (Constant.of(1, kind), Constant.of(-1, kind)) if kind.is_float else (Constant(1, kind), Constant(0xFFFF_FFFF, kind))
    return numbered(
        Compare(op=CompareOp.SELECT_GREATER, dst=dst, src0=src, src1=zero, src2=one, src3=below),
        Compare(op=CompareOp.SELECT_EQUAL, dst=dst, src0=src, src1=zero, src2=zero, src3=dst),
    )


def _prelu(params: Params) -> list[Instruction]:
    kind = dtype(params)
    dst, src = (tensor(params, name, dims(params), kind) for name in ("dst", "src"))
    if not kind.is_signed:
        return numbered(Arith(op=ArithOp.COPY, dst=dst, src0=src))
    return numbered(
        Arith(op=ArithOp.MUL, dst=dst, src0=src, src1=scalar(params, "alpha", kind)),
        Compare(op=CompareOp.SELECT_GREATER, dst=dst, src0=src, src1=Constant(0, kind), src2=src, src3=dst),
    )


BUILDERS: dict[str, Builder] = {
    "tpu_bdc_greater_select": _select(CompareOp.SELECT_GREATER),
    "tpu_bdc_less_select": _select(CompareOp.SELECT_LESS),
    "tpu_bdc_equal_select": _select(CompareOp.SELECT_EQUAL),
    "tpu_bdc_maximum_greater_select": _extreme_and_select(CompareOp.MAX_AND_SELECT),
    "tpu_bdc_minimum_less_select": _extreme_and_select(CompareOp.MIN_AND_SELECT),
    "tpu_bdc_sign": _sign,
    "tpu_bdc_prelu": _prelu,
}
