"""BMLang: tensor programs and models for Sophon TPUs::

    import bmlang as bm

    @bm.function
    def swish_gate(x, gate, *, beta: float = 1.0):
        return x * bm.sigmoid(beta * x) * gate

Names are loaded when they are used: the simulator and the compiler take their time.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32

if TYPE_CHECKING:
    from bmlang.layers.a16matmul import a16matmul
    from bmlang.layers.activations import (
        arccos,
        arccosh,
        arcsin,
        arcsinh,
        arctanh,
        ceil,
        clamp,
        cos,
        cosh,
        elu,
        erf,
        exp,
        floor,
        gelu,
        hard_sigmoid,
        hard_swish,
        leaky_relu,
        log,
        log_sigmoid,
        mish,
        prelu,
        reciprocal,
        relu,
        relu6,
        round,
        rsqrt,
        selu,
        sigmoid,
        sign,
        silu,
        sin,
        sinh,
        softplus,
        softsign,
        sqrt,
        swish,
        tan,
        tanh,
    )
    from bmlang.layers.arg import argmax, argmin
    from bmlang.layers.arrange import broadcast_to, concat, pad, permute, slice, split, stack, tile, transpose
    from bmlang.layers.base import Layer
    from bmlang.layers.cast import cast
    from bmlang.layers.compare import eq, ge, gt, le, lt, ne, where
    from bmlang.layers.conv import conv, deconv
    from bmlang.layers.conv3d import conv3d, conv3d_int, deconv3d, deconv3d_int
    from bmlang.layers.conv_int import conv_int, deconv_int
    from bmlang.layers.coordinates import gather_nd, scatter_nd
    from bmlang.layers.cumulate import cumsum
    from bmlang.layers.elementwise import abs, add, div, max, min, mul, neg, square, sub
    from bmlang.layers.elementwise_int import add_shift, mul_shift, sub_shift
    from bmlang.layers.elementwise_scaled import (
        add_scaled,
        eq_scaled,
        ge_scaled,
        gt_scaled,
        le_scaled,
        lt_scaled,
        max_scaled,
        min_scaled,
        mul_scaled,
        ne_scaled,
        sub_scaled,
    )
    from bmlang.layers.gather import embedding, gather, gather_elements, index_select
    from bmlang.layers.grid import grid_sample
    from bmlang.layers.logic import bit_and, bit_not, bit_or, bit_xor, logical_and, logical_not, logical_or, logical_xor
    from bmlang.layers.lookup import lut
    from bmlang.layers.matmul import matmul
    from bmlang.layers.matmul_int import matmul_int
    from bmlang.layers.norm import batch_norm, group_norm, layer_norm, normalize, rms_norm
    from bmlang.layers.pool import avg_pool, max_pool
    from bmlang.layers.pool3d import avg_pool3d, max_pool3d
    from bmlang.layers.pool_index import max_pool_with_index
    from bmlang.layers.pool_int import avg_pool_int, sum_pool
    from bmlang.layers.power import pow
    from bmlang.layers.preprocess import mean_std_scale
    from bmlang.layers.quantise import dequantise, quantise, requant, requant_fp_to_int
    from bmlang.layers.quantised import activation_int, conv3d_quant, conv_quant, deconv_quant, matmul_quant, softmax_int
    from bmlang.layers.rearrange import extract, flip, repeat, roll
    from bmlang.layers.reduce import reduce_max, reduce_mean, reduce_min, reduce_sum
    from bmlang.layers.regions import nms, roi_align, roi_extractor
    from bmlang.layers.requant_int import dequant_int, requant_int
    from bmlang.layers.resize import interpolate, resize, upsample
    from bmlang.layers.rope import rope
    from bmlang.layers.scatter import scatter
    from bmlang.layers.selection import fill_up, masked_select, nonzero, real_shape, unique
    from bmlang.layers.shape import flatten, reshape, shape_fetch, squeeze, unsqueeze
    from bmlang.layers.softmax import softmax
    from bmlang.layers.sorting import argsort, sort, sort_by_key, topk
    from bmlang.layers.tensor import Tensor
    from bmlang.layers.yuv import yuv2rgb
    from bmlang.program.check import layer_check
    from bmlang.program.compile import Model, compile
    from bmlang.program.custom import layer
    from bmlang.program.function import Function, function, spec
    from bmlang.program.varying import upto
    from bmlang.runtime import Runtime

HOMES = {
    "bmlang.layers.a16matmul": ("a16matmul",),
    "bmlang.layers.activations": (
        "arccos",
        "arccosh",
        "arcsin",
        "arcsinh",
        "arctanh",
        "ceil",
        "clamp",
        "cos",
        "cosh",
        "elu",
        "erf",
        "exp",
        "floor",
        "gelu",
        "hard_sigmoid",
        "hard_swish",
        "leaky_relu",
        "log",
        "log_sigmoid",
        "mish",
        "prelu",
        "reciprocal",
        "relu",
        "relu6",
        "round",
        "rsqrt",
        "selu",
        "sigmoid",
        "sign",
        "silu",
        "sin",
        "sinh",
        "softplus",
        "softsign",
        "sqrt",
        "swish",
        "tan",
        "tanh",
    ),
    "bmlang.layers.arg": ("argmax", "argmin"),
    "bmlang.layers.arrange": ("broadcast_to", "concat", "pad", "permute", "slice", "split", "stack", "tile", "transpose"),
    "bmlang.layers.base": ("Layer",),
    "bmlang.layers.cast": ("cast",),
    "bmlang.layers.compare": ("eq", "ge", "gt", "le", "lt", "ne", "where"),
    "bmlang.layers.conv": ("conv", "deconv"),
    "bmlang.layers.conv3d": ("conv3d", "conv3d_int", "deconv3d", "deconv3d_int"),
    "bmlang.layers.conv_int": ("conv_int", "deconv_int"),
    "bmlang.layers.coordinates": ("gather_nd", "scatter_nd"),
    "bmlang.layers.cumulate": ("cumsum",),
    "bmlang.layers.elementwise": ("abs", "add", "div", "max", "min", "mul", "neg", "square", "sub"),
    "bmlang.layers.elementwise_int": ("add_shift", "mul_shift", "sub_shift"),
    "bmlang.layers.elementwise_scaled": (
        "add_scaled",
        "eq_scaled",
        "ge_scaled",
        "gt_scaled",
        "le_scaled",
        "lt_scaled",
        "max_scaled",
        "min_scaled",
        "mul_scaled",
        "ne_scaled",
        "sub_scaled",
    ),
    "bmlang.layers.gather": ("embedding", "gather", "gather_elements", "index_select"),
    "bmlang.layers.grid": ("grid_sample",),
    "bmlang.layers.logic": ("bit_and", "bit_not", "bit_or", "bit_xor", "logical_and", "logical_not", "logical_or", "logical_xor"),
    "bmlang.layers.lookup": ("lut",),
    "bmlang.layers.matmul": ("matmul",),
    "bmlang.layers.matmul_int": ("matmul_int",),
    "bmlang.layers.norm": ("batch_norm", "group_norm", "layer_norm", "normalize", "rms_norm"),
    "bmlang.layers.pool": ("avg_pool", "max_pool"),
    "bmlang.layers.pool3d": ("avg_pool3d", "max_pool3d"),
    "bmlang.layers.pool_index": ("max_pool_with_index",),
    "bmlang.layers.pool_int": ("avg_pool_int", "sum_pool"),
    "bmlang.layers.power": ("pow",),
    "bmlang.layers.preprocess": ("mean_std_scale",),
    "bmlang.layers.quantise": ("dequantise", "quantise", "requant", "requant_fp_to_int"),
    "bmlang.layers.quantised": ("activation_int", "conv3d_quant", "conv_quant", "deconv_quant", "matmul_quant", "softmax_int"),
    "bmlang.layers.rearrange": ("extract", "flip", "repeat", "roll"),
    "bmlang.layers.reduce": ("reduce_max", "reduce_mean", "reduce_min", "reduce_sum"),
    "bmlang.layers.regions": ("nms", "roi_align", "roi_extractor"),
    "bmlang.layers.requant_int": ("dequant_int", "requant_int"),
    "bmlang.layers.resize": ("interpolate", "resize", "upsample"),
    "bmlang.layers.rope": ("rope",),
    "bmlang.layers.scatter": ("scatter",),
    "bmlang.layers.selection": ("fill_up", "masked_select", "nonzero", "real_shape", "unique"),
    "bmlang.layers.shape": ("flatten", "reshape", "shape_fetch", "squeeze", "unsqueeze"),
    "bmlang.layers.softmax": ("softmax",),
    "bmlang.layers.sorting": ("argsort", "sort", "sort_by_key", "topk"),
    "bmlang.layers.tensor": ("Tensor",),
    "bmlang.layers.yuv": ("yuv2rgb",),
    "bmlang.program.check": ("layer_check",),
    "bmlang.program.compile": ("Model", "compile"),
    "bmlang.program.custom": ("layer",),
    "bmlang.program.function": ("Function", "function", "spec"),
    "bmlang.program.varying": ("upto",),
    "bmlang.runtime": ("Runtime",),
}
"""By module: the names that come from it. Type checkers read the imports above; a test keeps both equal, and complete."""
HOME = {name: module for module, names in HOMES.items() for name in names}

__all__ = ["Dtype", "bf16", "f16", "f32", "i8", "i16", "i32", "u8", "u16", "u32"]
__all__ += ["Function", "Layer", "Model", "Runtime", "Tensor", "compile", "function", "layer", "layer_check", "spec", "upto"]
__all__ += ["a16matmul", "abs", "activation_int", "add", "add_scaled", "add_shift", "arccos", "arccosh", "arcsin", "arcsinh", "arctanh"]
__all__ += ["argmax", "argmin", "argsort", "avg_pool", "avg_pool3d", "avg_pool_int", "batch_norm", "bit_and", "bit_not", "bit_or"]
__all__ += ["bit_xor", "broadcast_to", "cast", "ceil", "clamp", "concat", "conv", "conv3d", "conv3d_int", "conv3d_quant", "conv_int"]
__all__ += ["conv_quant", "cos", "cosh", "cumsum", "deconv", "deconv3d", "deconv3d_int", "deconv_int", "deconv_quant", "dequant_int"]
__all__ += ["dequantise", "div", "elu", "embedding", "eq", "eq_scaled", "erf", "exp", "extract", "fill_up", "flatten", "flip", "floor"]
__all__ += ["gather", "gather_elements", "gather_nd", "ge", "ge_scaled", "gelu", "grid_sample", "group_norm", "gt", "gt_scaled"]
__all__ += ["hard_sigmoid", "hard_swish", "index_select", "interpolate", "layer_norm", "le", "le_scaled", "leaky_relu", "log"]
__all__ += ["log_sigmoid", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "lt_scaled", "lut", "masked_select", "matmul"]
__all__ += ["matmul_int", "matmul_quant", "max", "max_pool", "max_pool3d", "max_pool_with_index", "max_scaled", "mean_std_scale", "min"]
__all__ += ["min_scaled", "mish", "mul", "mul_scaled", "mul_shift", "ne", "ne_scaled", "neg", "nms", "nonzero", "normalize", "pad"]
__all__ += ["permute", "pow", "prelu", "quantise", "real_shape", "reciprocal", "reduce_max", "reduce_mean", "reduce_min", "reduce_sum"]
__all__ += ["relu", "relu6", "repeat", "requant", "requant_fp_to_int", "requant_int", "reshape", "resize", "rms_norm", "roi_align"]
__all__ += ["roi_extractor", "roll", "rope", "round", "rsqrt", "scatter", "scatter_nd", "selu", "shape_fetch", "sigmoid", "sign", "silu"]
__all__ += ["sin", "sinh", "slice", "softmax", "softmax_int", "softplus", "softsign", "sort", "sort_by_key", "split", "sqrt", "square"]
__all__ += ["squeeze", "stack", "sub", "sub_scaled", "sub_shift", "sum_pool", "swish", "tan", "tanh", "tile", "topk", "transpose", "unique"]
__all__ += ["unsqueeze", "upsample", "where", "yuv2rgb"]


def __getattr__(name: str) -> object:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = globals()[name] = getattr(import_module(HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *HOME})
