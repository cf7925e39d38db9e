"""NN operators: products of matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.dtypes import DTYPES
from bmlang.tpulang.operator import BYTES, FLOATS, check, given, known, made, needs, operator, plain, single, value
from bmlang.tpulang.quant import requant_modes
from bmlang.tpulang.tensor import Numbers, Tensor, Whole
from bmlang.tpulang.weights import float8, unpacked
from tpukernel.dtypes import f32

__all__ = ["a16matmul", "fp8matmul", "matmul", "matmul_int", "matmul_quant", "matmulrq_int_op", "merger_matmul"]


@operator
def matmul(
    input: Tensor,
    right: Tensor,
    bias: Tensor | None = None,
    input_transpose: bool = False,
    right_transpose: bool = False,
    output_transpose: bool = False,
    keep_dims: bool = True,
    do_relu: bool = False,
    relu_limit: float = -1.0,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """Product of matrices of float32 or float16; leading dimensions are broadcast.

    Args:
        input: (..., m, k), or (..., k, m) with `input_transpose`.
        right: (..., k, n), or (..., n, k) with `right_transpose`; of the same type.
        bias: n numbers.
        input_transpose, right_transpose: multiply by the transpose.
        output_transpose: the result as (..., n, m).
        keep_dims: False for a result of two dimensions, all rows together.
        do_relu: negative numbers become 0.
        relu_limit: numbers above it become it, if it is above 0.
        out_dtype: the type of the input, or nothing.
        out_name: name of the result.
    """
    needs(input, *FLOATS)
    needs(right, input.dtype)
    check(out_dtype in (None, input.dtype), f"out_dtype is {out_dtype}", f"the result is {input.dtype}, as the input")
    offsets = None if bias is None else bm.cast(bm.reshape(value(bias), (-1,)), input.kind)
    found = bm.matmul(value(input), value(right), offsets, transpose_a=input_transpose, transpose_b=right_transpose)
    return made(_shaped(_limited(found, do_relu, relu_limit), output_transpose, keep_dims), out_name)


@operator
def matmul_int(
    input: Tensor,
    right: Tensor,
    bias: Tensor | None = None,
    input_transpose: bool = False,
    right_transpose: bool = False,
    output_transpose: bool = False,
    keep_dims: bool = True,
    input_zp: Whole | None = None,
    right_zp: Whole | None = None,
    do_relu: bool = False,
    relu_limit: float = -1.0,
    out_dtype: str | None = None,
    out_name: str | None = None,
) -> Tensor:
    """Exact sums, int32, of a product of matrices of integers of 8 bits: (input - input_zp) times (right - right_zp), plus bias.

    Args:
        input, right, input_transpose, right_transpose, output_transpose, keep_dims, do_relu, relu_limit: as of `matmul`, int8 or uint8.
        bias: n numbers, int32.
        input_zp, right_zp: the integers that mean 0; those of the tensors by default, else 0.
        out_dtype: "int32", or nothing.
        out_name: name of the result.
    """
    check(out_dtype in (None, "int32"), f"out_dtype is {out_dtype}", "the sums are int32; cast them for another type")
    sums = _sums(input, right, bias, input_transpose, right_transpose, input_zp, right_zp)
    return made(_shaped(_limited(sums, do_relu, relu_limit), output_transpose, keep_dims), out_name)


@operator
def matmul_quant(
    input: Tensor,
    right: Tensor,
    bias: Tensor | None = None,
    right_transpose: bool = False,
    keep_dims: bool = True,
    input_scale: Numbers | None = None,
    right_scale: Numbers | None = None,
    output_scale: Numbers | None = None,
    input_zp: Whole | None = None,
    right_zp: Whole | None = None,
    output_zp: Whole | None = None,
    out_dtype: str = "int8",
    out_name: str | None = None,
) -> Tensor:
    """Product of matrices of integers of 8 bits that stand for numbers: the sums of `matmul_int`, brought to the scale of the result.

    Args:
        input, right, bias, right_transpose, keep_dims: as of `matmul_int`.
        input_scale, right_scale: what a step means; that of the tensor by default.
        output_scale: what a step of the result means.
        input_zp, right_zp, output_zp: the integers that mean 0.
        out_dtype: "int8" or "uint8".
        out_name: name of the result.
    """
    check(out_dtype in BYTES, f"out_dtype is {out_dtype}", "choose int8 or uint8")
    input.quantization(input_scale, None)
    right.quantization(right_scale, None)
    point = int(single(0 if output_zp is None else output_zp, "output_zp"))
    left_zero, right_zero = _zero_points(input, right, input_zp, right_zp)
    found = bm.matmul_quant(
        value(input),
        value(right),
        _offsets(bias),
        a_scale=single(input.scale, "input_scale"),
        b_scale=plain(given(right.scale, "right_scale")),
        output_scale=single(output_scale, "output_scale"),
        a_zero_point=left_zero,
        b_zero_point=right_zero,
        output_zero_point=point,
        transpose_b=right_transpose,
        dtype=DTYPES[out_dtype],
        rounding="half_away_from_zero",
    )
    return made(_shaped(found, False, keep_dims), out_name, output_scale, point)


@operator
def matmulrq_int_op(
    input: Tensor,
    right: Tensor,
    bias: Tensor | None = None,
    input_transpose: bool = False,
    right_transpose: bool = False,
    output_transpose: bool = False,
    keep_dims: bool = True,
    out_dtype: str = "int8",
    out_name: str | None = None,
    multiplier: Whole | None = None,
    shift: Whole | None = None,
    offset: Whole | None = None,
    requant_mode: int = 2,
    round_mode: str = "half_away_from_zero",
    rq_axis: int = -1,
    do_relu: bool = False,
    relu_limit: float = -1.0,
) -> Tensor:
    """`matmul_int` with zero points of 0 and `requant_int` behind it.

    Args:
        input, right, bias, input_transpose, right_transpose, output_transpose, keep_dims, do_relu, relu_limit: as of `matmul_int`.
        out_dtype, multiplier, shift, offset, requant_mode, round_mode, rq_axis: as of `requant_int`.
        out_name: name of the result.
    """
    check(multiplier is not None and shift is not None, "multiplier or shift is missing", "give both")
    assert multiplier is not None and shift is not None  # noqa: S101
    sums = _sums(input, right, bias, input_transpose, right_transpose, 0, 0)
    shaped = _shaped(_limited(sums, do_relu, relu_limit), output_transpose, keep_dims)
    return made(requant_modes(shaped, multiplier, shift, offset, requant_mode, out_dtype, round_mode, rq_axis), out_name, None, offset)


@operator
def a16matmul(
    input: Tensor,
    weight: Tensor,
    scale: Tensor,
    zp: Tensor,
    bias: Tensor | None = None,
    right_transpose: bool = True,
    out_dtype: str = "float16",
    out_name: str | None = None,
    group_size: int = 128,
    bits: int = 4,
    g_idx: Tensor | None = None,
) -> Tensor:
    """Product of float matrices with weights of 4 or 8 bits, packed as GPTQ does.

    Args:
        input: (..., k), float32 or float16.
        weight: (k * bits / 32, n), int32: the integers of a column one behind the other, the first one in the low bits. A coefficient.
        scale: (k / group_size, n): what a step means in each group of rows. A coefficient.
        zp: (k / group_size, n * bits / 32), int32: the zero points less 1, packed along the columns. A coefficient.
        bias: n numbers.
        right_transpose: True.
        out_dtype: "float32" or "float16".
        out_name: name of the result.
        group_size: rows with the same scale.
        bits: 4 or 8.
        g_idx: nothing; another order of the rows is not in TpuLang, either.
    """
    needs(input, "float32", "float16")
    check(bits in (4, 8), f"{bits} bits", "choose 4 or 8")
    check(right_transpose and g_idx is None, "right_transpose=False or g_idx", "TpuLang has neither")
    check(out_dtype in ("float32", "float16"), f"out_dtype is {out_dtype}", "choose float32 or float16")
    needs(weight, "int32")
    needs(zp, "int32")
    integers = unpacked(known(weight, "weight"), bits, 0)
    points = unpacked(known(zp, "zp"), bits, 1).astype(np.int32) + 1  # packed less 1
    check(int(points.max()) < 1 << bits, f"zero point {int(points.max())} with {bits} bits", f"give {(1 << bits) - 1} or less")
    factors = known(scale, "scale").astype(np.float32)
    rows, columns = integers.shape
    check(
        rows % group_size == 0 and factors.shape == points.shape == (rows // group_size, columns),
        f"weights {[rows, columns]} with scales {list(factors.shape)} and zero points {list(points.shape)}",
        f"give {group_size} rows of the weights for one of the others",
    )
    found = bm.a16matmul(value(input), integers, factors, points, bits=bits, group_size=group_size)
    return made(_biased(found, bias, out_dtype), out_name)


@operator
def fp8matmul(
    input: Tensor,
    weight: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    right_transpose: bool = True,
    out_dtype: str = "float16",
    out_name: str | None = None,
    block_size: int = 128,
) -> Tensor:
    """Product of float matrices with weights that are rounded to the float8 e4m3, times a scale for each square block.

    The chip has no float8: the weights are rounded to it when the program is compiled, and are as exact as in float8 then.

    Args:
        input: (..., k), float32 or float16.
        weight: (n, k), float32; (k, n) without `right_transpose`. A coefficient; beyond 448 it becomes 448.
        scale: what each block of `block_size` rows and columns of the weight is multiplied by. A coefficient.
        bias: n numbers.
        right_transpose: whether the weight is (n, k).
        out_dtype: "float32" or "float16".
        out_name: name of the result.
        block_size: rows and columns of a block.
    """
    needs(input, "float32", "float16")
    needs(weight, "float32")
    needs(scale, "float32")
    check(out_dtype in ("float32", "float16"), f"out_dtype is {out_dtype}", "choose float32 or float16")
    numbers, factors = float8(known(weight, "weight")), known(scale, "scale").astype(np.float32)
    blocks = tuple(-(-size // block_size) for size in numbers.shape)
    check(factors.shape == blocks, f"scales {list(factors.shape)} for weights {list(numbers.shape)}", f"give scales {list(blocks)}")
    spread_out = factors.repeat(block_size, 0).repeat(block_size, 1)[: numbers.shape[0], : numbers.shape[1]]
    found = bm.matmul(bm.cast(value(input), f32), numbers * spread_out, transpose_b=right_transpose)
    return made(_biased(found, bias, out_dtype), out_name)


@operator
def merger_matmul(
    input: Tensor, matmul_weight: Tensor, split_hws: Sequence[Sequence[int]] | None = None, out_name: str | None = None
) -> Tensor:
    """Rows of the four pixels of each square of 2 by 2, times a matrix: what joins the patches of a vision transformer.

    Args:
        input: (b, c, h, w) with even h and w.
        matmul_weight: (4 * c, oc): the rows of the pixels of a square one behind the other. A coefficient or a tensor.
        split_hws: rows and columns of patches of each picture, b of them together; the rows of the result are ordered by the lines of the
            pictures then. Without it they are ordered by patch.
        out_name: name of the result, (b * h / 2 * w / 2, oc).
    """
    needs(input, *FLOATS)
    needs(matmul_weight, input.dtype)
    check(
        len(input.shape) == 4 and len(matmul_weight.shape) == 2, "wrong dimensions", "give an input (b, c, h, w) and a weight (4 * c, oc)"
    )
    batch, channels, rows, columns = input.shape
    quadruple, outputs = matmul_weight.shape
    check(
        rows % 2 == columns % 2 == 0 and quadruple == 4 * channels,
        f"input {input.shape} and weight {matmul_weight.shape}",
        "h and w are even, and the weight has 4 * c rows",
    )
    kernels = bm.permute(bm.reshape(value(matmul_weight), (2, 2, channels, outputs)), (3, 2, 0, 1))
    found = bm.conv(value(input), kernels, stride=2)
    rows, columns = rows // 2, columns // 2
    if split_hws is None:
        return made(bm.reshape(bm.permute(found, (0, 2, 3, 1)), (batch * rows * columns, outputs)), out_name)
    sizes = [tuple(each) for each in split_hws]
    check(sum(high * wide for high, wide in sizes) == batch, f"split_hws {sizes}", f"give {batch} patches together")
    parts: list[Value] = []
    for high, wide in sizes:
        first = sum(part.shape[0] for part in parts) // (rows * columns)
        patches = bm.slice(found, (first, 0, 0, 0), (high * wide, outputs, rows, columns))
        lines = bm.permute(bm.reshape(patches, (high, wide, outputs, rows, columns)), (0, 3, 1, 4, 2))
        parts.append(bm.reshape(lines, (high * rows * wide * columns, outputs)))
    return made(bm.concat(parts, 0) if len(parts) > 1 else parts[0], out_name)


def _sums(
    input: Tensor,
    right: Tensor,
    bias: Tensor | None,
    input_transpose: bool,
    right_transpose: bool,
    input_zp: Whole | None,
    right_zp: Whole | None,
) -> Value:
    left_zero, right_zero = _zero_points(input, right, input_zp, right_zp)
    left = value(input)
    rows = bm.transpose(left, -1, -2) if input_transpose else left
    return bm.matmul_int(rows, value(right), _offsets(bias), a_zero_point=left_zero, b_zero_point=right_zero, transpose_b=right_transpose)


def _offsets(bias: Tensor | None) -> Array | None:
    if bias is None:
        return None
    needs(bias, "int32")
    return known(bias, "bias").reshape(-1)


def _zero_points(input: Tensor, right: Tensor, input_zp: Whole | None, right_zp: Whole | None) -> tuple[int, int | list[int]]:
    needs(input, *BYTES)
    needs(right, *BYTES)
    input.quantization(None, input_zp)
    right.quantization(None, right_zp)
    own = int(single(0 if input.zero_point is None else input.zero_point, "input_zp"))
    other = 0 if right.zero_point is None else right.zero_point
    return own, other if isinstance(other, int) else list(other)


def _limited(found: Value, do_relu: bool, relu_limit: float) -> Value:
    if not do_relu:
        return found
    positive = bm.max(found, 0)
    return bm.min(positive, int(relu_limit) if found.dtype.is_int else relu_limit) if relu_limit > 0 else positive


def _shaped(found: Value, output_transpose: bool, keep_dims: bool) -> Value:
    turned = bm.transpose(found, -1, -2) if output_transpose else found
    return turned if keep_dims or turned.ndim == 2 else bm.reshape(turned, (-1, turned.shape[-1]))


def _biased(found: Value, bias: Tensor | None, out_dtype: str) -> Value:
    total = found if bias is None else found + bm.cast(bm.reshape(value(bias), (-1,)), found.dtype)
    return bm.cast(total, DTYPES[out_dtype])
