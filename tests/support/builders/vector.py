"""Functions of every element of one vector with every element of another."""

from __future__ import annotations

from typing import TypedDict

from tests.support.builders.common import SIGNED, Builder, Params, dtype, number, numbered, scalar, tensor
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, f32
from tpukernel.isa import Arith, ArithOp, Instruction, Vector, VectorOp

ITERATIONS = 3
_BITWISE = {VectorOp.AND, VectorOp.OR, VectorOp.XOR}


class _Tensors(TypedDict):
    dst: LocalTensor
    src0: LocalTensor
    src1: LocalTensor


def _tensors(params: Params, dst: Dtype, src0: Dtype, src1: Dtype) -> _Tensors:
    rows, width0 = number(params, "src0_len"), number(params, "src0_len_per_channel")
    columns, width1 = number(params, "src1_len"), number(params, "src1_len_per_channel")
    channels0, channels1 = -(-rows // width0), -(-columns // width1)
    return {
        "dst": tensor(params, "dst", (rows, channels1, 1, width1), dst),
        "src0": tensor(params, "src0", (1, channels0, 1, width0), src0),
        "src1": tensor(params, "src1", (1, channels1, 1, width1), src1),
    }


def _same_type(op: VectorOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        kind = dtype(params)
        if op in _BITWISE and kind.is_float:
            kind = SIGNED[kind.bits]
        return numbered(Vector(op=op, **_tensors(params, kind, kind, kind)))

    return build


def _divide(params: Params) -> list[Instruction]:
    return numbered(Vector(op=VectorOp.DIV, iterations=ITERATIONS, **_tensors(params, f32, f32, f32)))


def _integers(wrapping: VectorOp, saturating: VectorOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        dst, src0, src1 = (dtype(params, f"{name}_dtype") for name in ("dst", "src0", "src1"))
        return numbered(Vector(op=saturating if params["saturation"] else wrapping, **_tensors(params, dst, src0, src1)))

    return build


def _comparison(op: VectorOp, *, negated: bool = False) -> Builder:
    """A negated comparison is the opposite one, then an exclusive or with the true value in place."""

    def build(params: Params) -> list[Instruction]:
        dst, src = dtype(params, "dst_dtype"), dtype(params, "src_dtype")
        tensors = _tensors(params, dst, src, src)
        found: list[Instruction] = [Vector(op=op, true_value=scalar(params, "true_val", dst), **tensors)]
        if negated:
            bits = SIGNED[dst.bits] if dst.is_float else dst
            whole = tensor(params, "dst", tensors["dst"].shape, bits)
            found.append(Arith(op=ArithOp.XOR, dst=whole, src0=whole, src1=Constant(number(params, "true_val"), bits)))
        return numbered(*found)

    return build


_SAME_TYPE = {
    "vc_and": VectorOp.AND,
    "vc_or": VectorOp.OR,
    "vc_xor": VectorOp.XOR,
    "vc_min": VectorOp.MIN,
    "vc_max": VectorOp.MAX,
    "fp_vc_add": VectorOp.ADD,
    "fp_vc_sub": VectorOp.SUB,
    "fp_vc_mul": VectorOp.MUL,
}

BUILDERS: dict[str, Builder] = {
    **{f"tpu_bdc_{name}": _same_type(op) for name, op in _SAME_TYPE.items()},
    "tpu_bdc_fp32_vc_div": _divide,
    "tpu_bdc_int_vc_add": _integers(VectorOp.ADD, VectorOp.ADDS),
    "tpu_bdc_int_vc_sub": _integers(VectorOp.SUB, VectorOp.SUBS),
    "tpu_bdc_int_vc_mul": _integers(VectorOp.MUL, VectorOp.MULS),
    "tpu_bdc_vc_greater": _comparison(VectorOp.SELECT_GREATER),
    "tpu_bdc_vc_less": _comparison(VectorOp.SELECT_LESS),
    "tpu_bdc_vc_equal": _comparison(VectorOp.SELECT_EQUAL),
    "tpu_bdc_vc_greater_equal": _comparison(VectorOp.SELECT_LESS, negated=True),
    "tpu_bdc_vc_less_equal": _comparison(VectorOp.SELECT_GREATER, negated=True),
    "tpu_bdc_vc_not_equal": _comparison(VectorOp.SELECT_EQUAL, negated=True),
}
