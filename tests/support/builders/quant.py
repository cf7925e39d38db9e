"""Quantisation functions."""

from __future__ import annotations

from typing import TypedDict

from tests.support.builders.common import Builder, Params, dims, dtype, f32_of, number, numbered, tensor
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, f32, i16, i32, u16, u32
from tpukernel.isa import Instruction, Quant, QuantOp, Rounding

_WIDTHS = {QuantOp.REQUANT_FP: 2, QuantOp.REQUANT_INT: 3, QuantOp.DEQUANT_FP: 2, QuantOp.DEQUANT_INT: 3}


class _Constants(TypedDict, total=False):
    table: LocalTensor
    scale: Constant
    multiplier: Constant
    shift: int
    offset: Constant


def _constants(op: QuantOp, params: Params, dst: Dtype, src: Dtype) -> _Constants:
    if op is QuantOp.REQUANT_FP:
        return {"scale": f32_of(params["scale"]), "offset": f32_of(params["offset"])}
    narrow = dst if op is QuantOp.REQUANT_INT else src
    offset = Constant(number(params, "offset") & 0xFFFF, i16 if narrow.is_signed else u16)
    if op is QuantOp.DEQUANT_FP:
        return {"scale": f32_of(params["scale"]), "offset": offset}
    return {
        "multiplier": Constant(number(params, "multiplier") & 0xFFFF_FFFF, i32),
        "shift": number(params, "shift"),
        "offset": offset,
    }


def _table(op: QuantOp, params: Params) -> _Constants:
    kind = f32 if op is QuantOp.REQUANT_FP else i32
    return {"table": tensor(params, "quant", (1, dims(params)[1], 1, _WIDTHS[op]), kind)}


def _builder(op: QuantOp, *, per_channel: bool) -> Builder:
    def build(params: Params) -> list[Instruction]:
        dst = f32 if op is QuantOp.DEQUANT_FP else dtype(params, "dst_dtype")
        src = dtype(params, "src_dtype")
        two_modes = op is QuantOp.REQUANT_FP
        instruction = Quant(
            op=op,
            dst=tensor(params, "dst", dims(params), dst),
            src=tensor(params, "src", dims(params), i32 if src == u32 else src),
            rounding=Rounding(number(params, "dst_rounding_mode" if two_modes else "rounding_mode")),
            src_rounding=Rounding(number(params, "src_rounding_mode")) if two_modes else None,
            **(_table(op, params) if per_channel else _constants(op, params, dst, src)),
        )
        return numbered(instruction)

    return build


_NAMES = {
    "fp32_{}requant": QuantOp.REQUANT_FP,
    "int_{}requant": QuantOp.REQUANT_INT,
    "fp32_{}dequant": QuantOp.DEQUANT_FP,
    "int_{}dequant": QuantOp.DEQUANT_INT,
}

BUILDERS: dict[str, Builder] = {
    f"tpu_bdc_{name.format(infix)}": _builder(op, per_channel=bool(infix)) for name, op in _NAMES.items() for infix in ("", "pc_")
}
