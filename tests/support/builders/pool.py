"""Depthwise convolutions and pooling."""

from __future__ import annotations

from typing import cast

from tests.support.builders.common import Builder, Params, dims, dtype, number, numbered, scalar, tensor
from tests.support.builders.window import per_channel, signed_like, window, window_result
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, i8, i16, i32, u8, u16, u32
from tpukernel.isa import Instruction, Pool, PoolOp, Rounding

RESULTS = {(8, True): i8, (8, False): u8, (16, True): i16, (16, False): u16, (32, True): i32, (32, False): u32}
"""Integer types by width and sign."""

Values = dict[str, object]


def _input_dtype(params: Params) -> Dtype:
    return dtype(params, "input_dtype" if "input_dtype" in params else "dtype")


def _output_dtype(params: Params) -> Dtype:
    return dtype(params, "output_dtype" if "output_dtype" in params else "dtype")


def _pool(op: PoolOp, params: Params, result: Dtype, **values: object) -> list[Instruction]:
    """The instruction with the input, the result and the window of the call; `values` are its other operands and attributes."""
    shape, given = dims(params, "input_shape"), cast("Values", window(params))
    if "roi_addr" in params:
        count = number(params, "output_w")
        dst_shape = shape[0], shape[1], 1, count
        given["roi"] = tensor(params, "roi", (1, count, 1, 4), u16, Layout.COMPACT)
        given["outside_value"] = scalar(params, "except_val", _input_dtype(params))
    else:
        dst_shape = window_result(params, shape[1])
    dst, source = tensor(params, "output", dst_shape, result), tensor(params, "input", shape, _input_dtype(params))
    return numbered(Pool(**{"op": op, "dst": dst, "input": source, **given, **values}))  # type: ignore[arg-type]


def _max(op: PoolOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        pad = {"pad_value": scalar(params, "pad_val", _input_dtype(params))} if "pad_val" in params else {}
        return _pool(op, params, _output_dtype(params), **pad)

    return build


def _average(op: PoolOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        source = _input_dtype(params)
        scale = scalar(params, "scale", source if source.is_float else u8)
        shift = {"right_shift": number(params, "rshift")} if "rshift" in params else {}
        return _pool(op, params, _output_dtype(params), scale=scale, **shift)

    return build


def _weight(params: Params, kind: Dtype) -> LocalTensor | Constant:
    if "weight_addr" not in params:
        return scalar(params, "C", kind)
    if params.get("kernel_is_const"):
        return Constant(number(params, "weight_addr"), kind)
    kh, kw = cast("list[int]", params["kernel"])
    return tensor(params, "weight", (1, dims(params, "input_shape")[1], kh, kw), kind, Layout.COMPACT)


def _fp_depthwise(*, rotate: bool = False) -> Builder:
    def build(params: Params) -> list[Instruction]:
        kind = _input_dtype(params)
        bias = per_channel(params, "bias", dims(params, "input_shape")[1], kind) if params["has_bias"] else None
        return _pool(PoolOp.DEPTHWISE, params, kind, weight=_weight(params, kind), bias=bias, kernel_rotate=rotate)

    return build


def _int8_depthwise(*, rotate: bool = False) -> Builder:
    def build(params: Params) -> list[Instruction]:
        source, weight_dtype, channels = _input_dtype(params), dtype(params, "weight_dtype"), dims(params, "input_shape")[1]
        bias_dtype, relu = signed_like(dtype(params, "bias_dtype"), i32, u32), bool(params["result_relu"])
        bias = per_channel(params, "bias", channels, bias_dtype) if params["has_bias"] else None
        pad = per_channel(params, "pad", channels, source, count=2) if "pad_addr" in params else scalar(params, "pad_val", source)
        # The chip saturates as a signed type when any operand is signed, whatever type the call names.
        signed = not relu and any(kind.is_signed for kind in (source, weight_dtype, *([bias_dtype] if bias else [])))
        return _pool(
            PoolOp.DEPTHWISE_RELU if relu else PoolOp.DEPTHWISE,
            params,
            RESULTS[_output_dtype(params).bits, signed],
            weight=_weight(params, weight_dtype),
            bias=bias,
            pad_value=pad,
            kernel_rotate=rotate,
            right_shift=number(params, "rshift"),
            rounding=Rounding(number(params, "rounding_mode")),
        )

    return build


def _int8_roi_depthwise(params: Params) -> list[Instruction]:
    return _pool(PoolOp.ROI_DEPTHWISE, params, _output_dtype(params), weight=_weight(params, dtype(params, "weight_dtype")))


BUILDERS: dict[str, Builder] = {
    "tpu_bdc_fp_max_pool2d": _max(PoolOp.MAX_POOL),
    "tpu_bdc_fp_ins_avg_pool2d": _average(PoolOp.AVG_POOL),
    "tpu_bdc_fp_avg_pool2d": _average(PoolOp.AVG_POOL),
    "tpu_bdc_fp_ins_depthwise": _fp_depthwise(),
    "tpu_bdc_fp_depthwise2d": _fp_depthwise(),
    "tpu_bdc_fp_depthwise_for_deconv2d": _fp_depthwise(rotate=True),
    "tpu_bdc_fp_roi_max_pool2d": _max(PoolOp.ROI_MAX_POOL),
    "tpu_bdc_fp_roi_avg_pool2d": _average(PoolOp.ROI_AVG_POOL),
    "tpu_bdc_int8_max_pool2d": _max(PoolOp.MAX_POOL),
    "tpu_bdc_int8_ins_avg_pool2d": _average(PoolOp.AVG_POOL),
    "tpu_bdc_int8_avg_pool2d": _average(PoolOp.AVG_POOL),
    "tpu_bdc_int8_depthwise2d": _int8_depthwise(),
    "tpu_bdc_int8_depthwise2d_kernel_const": _int8_depthwise(),
    "tpu_bdc_int8_pc_pad_depthwise2d": _int8_depthwise(),
    "tpu_bdc_int8_pc_pad_depthwise_for_deconv2d": _int8_depthwise(rotate=True),
    "tpu_bdc_int8_depthwise_for_deconv2d": _int8_depthwise(rotate=True),
    "tpu_bdc_int8_roi_max_pool2d": _max(PoolOp.ROI_MAX_POOL),
    "tpu_bdc_int8_roi_avg_pool2d": _average(PoolOp.ROI_AVG_POOL),
    "tpu_bdc_int8_roi_depthwise2d": _int8_roi_depthwise,
}
