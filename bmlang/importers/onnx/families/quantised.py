"""Integers that stand for floats. Products of them are computed as integers, and floats are made only where something asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array
from bmlang.importers.onnx.elements import ELEMENTS, element_of, narrowed
from bmlang.importers.onnx.families.division import exact_quotient
from bmlang.importers.onnx.families.shapes import cut
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.importers.onnx.values import Codes, Known, Quantised
from bmlang.layers.activations import round
from bmlang.layers.arrange import broadcast_to
from bmlang.layers.cast import cast
from bmlang.layers.conv_int import conv_int
from bmlang.layers.elementwise import add, mul, sub
from bmlang.layers.matmul_int import matmul_int
from bmlang.layers.quantise import quantise, requant
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u8, u16

__all__ = ["TABLE", "conv_of_codes", "matmul_of_codes"]

BYTES: Final = (i8, u8)
TARGETS: Final = (i8, u8, i16, u16)


def _codes(node: OnnxNode, scale: int, zero_point: int, rank: int, default: int = 1) -> Codes:
    """The numbers that say what integers mean."""
    scales = node.known(scale).astype(np.float32).reshape(-1)
    points = node.optional_known(zero_point)
    zeros = np.zeros(len(scales), np.int64) if points is None else points.astype(np.int64).reshape(-1)
    axis = node.integer("axis", default)
    return Codes(scales, zeros, axis % rank if len(scales) > 1 else 0)


def _along(node: OnnxNode, index: int, dtype: Dtype) -> Tensor | None:
    """Scales or zero points, to be broadcast to the first input: one, one for each element of a dimension, or one for each block."""
    if not node.has(index):
        return None
    numbers, shape = node.tensor(index), node.shape(0)
    numbers = numbers if numbers.dtype == dtype else cast(numbers, dtype)
    if numbers.ndim == 0 or numbers.shape == (1,):
        return reshape(numbers, ())
    axis = node.integer("axis", 1) % len(shape)
    if numbers.ndim == 1:
        return reshape(numbers, [size if place == axis else 1 for place, size in enumerate(shape)])
    block = node.integer("block_size", 0) or -(-shape[axis] // numbers.shape[axis])
    wide = reshape(numbers, (*numbers.shape[: axis + 1], 1, *numbers.shape[axis + 1 :]))
    wide = broadcast_to(wide, (*numbers.shape[: axis + 1], block, *numbers.shape[axis + 1 :]))
    whole = reshape(wide, [size * block if place == axis else size for place, size in enumerate(numbers.shape)])
    return cut(whole, axis, 0, shape[axis])


def _live_quantize(node: OnnxNode) -> Result:
    """With numbers that are not known: x / scale, rounded, plus the zero point, limited."""
    x = node.floats(0)
    scale, point = _along(node, 1, f32), _along(node, 2, f32)
    dtype = _target(node)
    if scale is None:
        node.wrong("it has no scale")
    made = round(exact_quotient(x, scale))  # what a division of the tensor unit may be off by decides near halves
    return cast(made if point is None else add(made, point), dtype)


def _live_dequantize(node: OnnxNode) -> Result:
    x, scale, point = node.floats(0), _along(node, 1, f32), _along(node, 2, f32)
    made = mul(x if point is None else sub(x, point), scale if scale is not None else 1.0)
    element = node.element(1)
    return node.typed(made, element)


def _simple(node: OnnxNode) -> bool:
    """Scale and zero point are known, for all or for each element of a dimension."""
    known = all(isinstance(node.value(index), Known) for index in (1, 2) if node.has(index))
    return known and not node.integer("block_size", 0) and len(node.shape(1)) < 2


def _dequantize(node: OnnxNode) -> Result:
    found = node.value(0)
    if not _simple(node):
        return _live_dequantize(node)
    if isinstance(found, Quantised):
        node.wrong("its input is no integers")
    codes = _codes(node, 1, 2, len(node.shape(0)))
    element = node.element(1)
    if isinstance(found, Known):
        return _known(found.array, codes, node.known(1).dtype)
    if found.tensor.dtype not in (*TARGETS, i32):
        raise NotSupported(f"integers of type {found.element.name}")
    return Quantised(found.tensor, codes, element)


def _known(array: Array, codes: Codes, dtype: np.dtype[np.generic]) -> Known:
    """Constants: the floats, and the integers that they come from."""
    shape = [1] * array.ndim
    if codes.scale.size > 1:
        shape[codes.axis] = codes.scale.size
    floats = (array.astype(np.float64) - codes.zero_point.reshape(shape)) * codes.scale.astype(np.float64).reshape(shape)
    integers = narrowed(array, "a constant") if np.issubdtype(array.dtype, np.integer) or element_of(array).dtype is not None else None
    return Known(floats.astype(dtype), None if integers is None or not np.issubdtype(integers.dtype, np.integer) else (integers, codes))


def _quantize(node: OnnxNode) -> Result:
    if not _simple(node):
        return _live_quantize(node)
    found = node.value(0)
    codes = _codes(node, 1, 2, len(node.shape(0)))
    dtype = _target(node)
    axis = codes.axis
    if isinstance(found, Quantised) and found.integers.dtype in (i32, i16, u16) and not np.any(found.codes.zero_point):
        return _narrow(found, codes, dtype)
    return quantise(node.tensor(0), _plain(codes.scale), _integers(codes.zero_point), dtype, axis=axis)


def _narrow(found: Quantised, codes: Codes, dtype: Dtype) -> Tensor:
    """Sums of products become integers of few bits at once."""
    factor = found.codes.scale.astype(np.float64) / codes.scale.astype(np.float64)
    axis = found.codes.axis if found.codes.scale.size > 1 else codes.axis
    return requant(found.integers, _plain(factor.astype(np.float32)), _plain(codes.zero_point.astype(np.float32)), dtype, axis=axis)


def _plain(numbers: NDArray[np.float32]) -> Array | float:
    """One number as such."""
    return float(numbers[0]) if numbers.size == 1 else numbers


def _target(node: OnnxNode) -> Dtype:
    """The type that a QuantizeLinear makes."""
    number = node.integer("output_dtype", 0)
    element = node.element(2) if node.has(2) else ELEMENTS.get(number, ELEMENTS[2]) if number else ELEMENTS[2]
    if element.dtype not in TARGETS or element.number > 20:
        raise NotSupported(f"integers of type {element.name}")
    return element.dtype


def _left(node: OnnxNode) -> tuple[Tensor, Codes] | None:
    """8-bit integers of the first input with one scale."""
    found = node.value(0)
    if isinstance(found, Quantised) and found.integers.dtype in BYTES and found.codes.scale.size == 1:
        return found.integers, found.codes
    return None


def _right(node: OnnxNode, axis: int) -> tuple[Array, Codes] | None:
    """Known 8-bit integers of the second input, with one scale or one for each element of a dimension."""
    found = node.value(1)
    if not isinstance(found, Known) or found.integers is None:
        return None
    integers, codes = found.integers
    fits = codes.scale.size == 1 or codes.axis == axis
    return (integers, codes) if fits and integers.dtype.name in ("int8", "uint8") else None


def _bias(node: OnnxNode, scale: NDArray[np.float32]) -> Array | None:
    """The bias as integers of the scale of the sums: those that it was made from, or the nearest ones."""
    found = node.value(2)
    if not isinstance(found, Known):
        return None
    if found.integers is not None and np.array_equal(found.integers[1].scale, scale) and not np.any(found.integers[1].zero_point):
        return found.integers[0].astype(np.int32)
    exact = found.array.astype(np.float64).reshape(-1) / scale
    return np.rint(exact).astype(np.int32) if np.abs(exact).max() < 2**31 - 1 and np.abs(exact - np.rint(exact)).max() < 1e-3 else None


def conv_of_codes(node: OnnxNode) -> Quantised | None:
    """A convolution of integers that stand for floats: exact sums; None where the operands are something else."""
    from bmlang.importers.onnx.families.windows import frame_of

    left, right = _left(node), _right(node, 0)
    if left is None or right is None or len(node.shape(0)) != 4:
        return None
    (x, codes), (weight, weights) = left, right
    scale = (codes.scale * weights.scale).astype(np.float32)
    bias = _bias(node, scale) if node.has(2) else None
    if node.has(2) and bias is None:
        return None
    frame = frame_of(node, x.shape[2:], weight.shape[2:])
    point = int(codes.zero_point[0])
    sums = conv_int(
        x,
        weight,
        bias,
        stride=frame.stride,
        pad=frame.sides,
        dilation=frame.dilation,
        groups=node.integer("group", 1),
        input_zero_point=point,
        weight_zero_point=_integers(weights.zero_point),
    )
    return Quantised(sums, Codes(scale, np.zeros(scale.size, np.int64), 1), node.element(0))


def matmul_of_codes(node: OnnxNode) -> Quantised | None:
    """A product of matrices of integers that stand for floats; None where the operands are something else."""
    left = _left(node)
    right = _right(node, len(node.shape(1)) - 1)
    if left is None or right is None or min(len(node.shape(0)), len(node.shape(1))) < 2:
        return None
    (a, codes), (b, columns) = left, right
    scale = (codes.scale * columns.scale).astype(np.float32)
    sums = matmul_int(a, b, a_zero_point=int(codes.zero_point[0]), b_zero_point=_integers(columns.zero_point))
    return Quantised(sums, Codes(scale, np.zeros(scale.size, np.int64), sums.ndim - 1), node.element(0))


def _integers(numbers: NDArray[np.int64]) -> int | Array:
    return int(numbers[0]) if numbers.size == 1 else numbers


def _points(node: OnnxNode, index: int) -> NDArray[np.int64]:
    found = node.optional_known(index)
    return np.zeros(1, np.int64) if found is None else found.astype(np.int64).reshape(-1)


def _matmul_integer(node: OnnxNode) -> Result:
    a, b = node.tensor(0), node.value(1)
    first, second = _points(node, 2), _points(node, 3)
    if first.size > 1:
        raise NotSupported("a zero point for each row")
    right = b.array if isinstance(b, Known) else node.tensor(1)
    return matmul_int(a, right, a_zero_point=int(first[0]), b_zero_point=_integers(second))


def _conv_integer(node: OnnxNode) -> Result:
    from bmlang.importers.onnx.families.windows import frame_of

    x = node.tensor(0)
    first, second = _points(node, 2), _points(node, 3)
    frame = frame_of(node, x.shape[2:], node.shape(1)[2:])
    return conv_int(
        x,
        node.known(1),
        stride=frame.stride,
        pad=frame.sides,
        dilation=frame.dilation,
        groups=node.integer("group", 1),
        input_zero_point=int(first[0]),
        weight_zero_point=_integers(second),
    )


def _qlinear_conv(node: OnnxNode) -> Result:
    from bmlang.importers.onnx.families.windows import frame_of

    x, weight = node.tensor(0), node.known(3)
    frame = frame_of(node, x.shape[2:], weight.shape[2:])
    sums = conv_int(
        x,
        weight,
        node.optional_known(8),
        stride=frame.stride,
        pad=frame.sides,
        dilation=frame.dilation,
        groups=node.integer("group", 1),
        input_zero_point=int(_points(node, 2)[0]),
        weight_zero_point=_integers(_points(node, 5)),
    )
    return _requantised(node, sums, 1, 4, 6, 7, 1)


def _qlinear_matmul(node: OnnxNode) -> Result:
    b = node.value(3)
    right = b.array if isinstance(b, Known) else node.tensor(3)
    sums = matmul_int(node.tensor(0), right, a_zero_point=int(_points(node, 2)[0]), b_zero_point=_integers(_points(node, 5)))
    return _requantised(node, sums, 1, 4, 6, 7, sums.ndim - 1)


def _requantised(node: OnnxNode, sums: Tensor, a: int, b: int, y: int, point: int, axis: int) -> Result:
    """Sums in the scale and zero point of the result."""
    scales = [node.known(index).astype(np.float64).reshape(-1) for index in (a, b, y)]
    factor = (scales[0] * scales[1] / scales[2]).astype(np.float32)
    dtype = element_of(node.known(point)).dtype
    if dtype is None:
        raise NotSupported("the type of the result")
    return requant(sums, _plain(factor), float(_points(node, point)[0]), dtype, axis=axis)


TABLE: Final[Mapping[str, Handler]] = {
    "ConvInteger": _conv_integer,
    "MatMulInteger": _matmul_integer,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _qlinear_matmul,
    "QuantizeLinear": _quantize,
}
EAGER: Final[Mapping[str, Handler]] = {"DequantizeLinear": _dequantize}
"""These see constants themselves: the integers must not be lost."""
