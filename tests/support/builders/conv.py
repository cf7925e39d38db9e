"""Convolutions."""

from __future__ import annotations

from typing import cast

from tests.support.builders.common import Builder, Params, dims, dtype, number, numbered, scalar, tensor
from tests.support.builders.window import per_channel, signed_like, window, window_result
from tpukernel import BM1684X
from tpukernel.chips.layout import start_lane
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u8, u16
from tpukernel.isa import Conv, ConvOp, Instruction


def _input(params: Params) -> LocalTensor:
    """The library leaves out the n stride of one n, and the c stride of channels that do not go beyond the last lane."""
    shape, kind = dims(params, "input_shape"), dtype(params, "input_dtype")
    if params["input_stride"] is None:
        return tensor(params, "input", shape, kind)
    n, c, h, w = dims(params, "input_stride")
    wraps = start_lane(BM1684X, number(params, "input_addr")) + shape[1] > BM1684X.lanes
    strides = n if shape[0] > 1 else 0, c if wraps else 0, h, w
    return tensor(params, "input", shape, kind, Layout.FREE, strides)


def _common(params: Params, source: LocalTensor, weight_dtype: Dtype) -> dict[str, object]:
    channels, (kh, kw) = number(params, "output_c"), cast("list[int]", params["kernel"])
    weight = (
        tensor(params, "weight", (channels, source.shape[1], kh, kw), weight_dtype, Layout.WEIGHT)
        if "weight_addr" in params
        else scalar(params, "C", weight_dtype)
    )
    rotate = "insert" in params
    return {
        "input": source,
        "weight": weight,
        "kernel_rotate": rotate,
        "result_add": bool(params.get("result_add", False)),
        **window(params),
    }


def _dst(params: Params, kind: Dtype) -> LocalTensor:
    return tensor(params, "output", window_result(params, number(params, "output_c")), kind)


def _fp(params: Params) -> list[Instruction]:
    source = _input(params)
    bias = per_channel(params, "bias", number(params, "output_c"), f32) if params["has_bias"] else None
    return numbered(_conv(dst=_dst(params, dtype(params, "output_dtype")), bias=bias, **_common(params, source, source.dtype)))


def _int8_asym(params: Params) -> list[Instruction]:
    source, weight, zero = _input(params), dtype(params, "weight_dtype"), dtype(params, "kzp_dtype")
    if "kzp_addr" in params:
        pairs = "pad" if "pad_addr" in params else "pad_insert"
        kernel_zero_point: LocalTensor | Constant = per_channel(params, "kzp", number(params, "output_c"), zero)
        pad: LocalTensor | Constant = per_channel(params, pairs, source.shape[1], source.dtype, count=2)
    else:
        kernel_zero_point, pad = scalar(params, "kzp_val", zero), scalar(params, "pad_val", source.dtype)
    # The chip saturates 16-bit results as signed ones unless nothing can be negative; 32-bit results are the same either way.
    unsigned = not any(kind.is_signed for kind in (source.dtype, weight, zero)) and kernel_zero_point == Constant(0, zero)
    result = i32 if dtype(params, "output_dtype").bits == 32 else u16 if unsigned else i16
    return numbered(
        _conv(
            dst=_dst(params, result),
            kernel_zero_point=kernel_zero_point,
            pad_value=pad,
            insert_value=scalar(params, "insert_val", source.dtype) if "insert_val" in params else None,
            **_common(params, source, weight),
        )
    )


def _int8_sym(params: Params) -> list[Instruction]:
    source, weight, kind = _input(params), dtype(params, "weight_dtype"), signed_like(dtype(params, "bias_dtype"), i16, u16)
    relu = bool(params["result_relu"])
    bias = per_channel(params, "bias", number(params, "output_c"), kind) if params["has_bias"] else Constant(0, kind)
    # The chip saturates as a signed type when any operand is signed, whatever type the call names.
    signed = not relu and any(operand.is_signed for operand in (source.dtype, weight, kind))
    result = {8: (u8, i8), 16: (u16, i16)}[dtype(params, "output_dtype").bits][signed]
    return numbered(
        _conv(
            op=ConvOp.REQUANT_RELU if relu else ConvOp.REQUANT,
            dst=_dst(params, result),
            bias=bias,
            right_shift=number(params, "rshift"),
            **_common(params, source, weight),
        )
    )


def _conv(**values: object) -> Conv:
    return Conv(**values)  # type: ignore[arg-type]


BUILDERS: dict[str, Builder] = {
    "tpu_bdc_fp_conv2d": _fp,
    "tpu_bdc_fp_conv2d_kernel_const": _fp,
    "tpu_bdc_fp_conv2d_for_deconv2d": _fp,
    "tpu_bdc_int8_asym_quant_conv2d": _int8_asym,
    "tpu_bdc_int8_asym_quant_conv2d_kernel_const": _int8_asym,
    "tpu_bdc_int8_asym_pc_quant_conv2d": _int8_asym,
    "tpu_bdc_int8_asym_pc_quant_conv2d_for_deconv2d": _int8_asym,
    "tpu_bdc_int8_asym_quant_conv2d_for_deconv2d": _int8_asym,
    "tpu_bdc_int8_sym_quant_conv2d": _int8_sym,
    "tpu_bdc_int8_sym_quant_conv2d_for_deconv2d": _int8_sym,
}
