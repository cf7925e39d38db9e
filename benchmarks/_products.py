"""Cases of the units that add up products or windows, with numpy and onnxruntime beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks import _onnx
from benchmarks._cases import Arrays, Case, Contents, Memories, Reference
from benchmarks._elementwise import NUMPY, Make
from benchmarks._peak import peaks
from tpukernel import Dtype, bf16, f16, f32, i8, i32, u8, u16
from tpukernel.chips.layout import matrix_tensor
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.isa import Conv, MatMul, MatMul2, MatMul2Op, Pool, PoolOp
from tpukernel.sim.memory import Array

__all__ = ["product_cases"]

CONVOLUTIONS = {
    "conv 3x3 64x56x56": ((64, 56, 56), 64, 3, 1),
    "conv 1x1 64x56x56": ((64, 56, 56), 64, 1, 1),
    "conv 3x3 128x14x14": ((128, 14, 14), 128, 3, 1),
    "conv 3x3 512x7x7": ((512, 7, 7), 512, 3, 1),
    "conv 7x7/2 3x112x112": ((3, 112, 112), 64, 7, 2),
}
"""(channels, height, width) of the input, channels of the result, size of the kernel, stride; padded so that the size stays."""
SMALL_CONVOLUTION = ((16, 9, 9), 20, 3, 1)
_SUMS = {i8: i32}


def product_cases(*, small: bool) -> Iterator[tuple[str, Make]]:
    """Names, and what makes the case."""
    for name, sizes in CONVOLUTIONS.items():
        for dtype in (f32, f16, bf16, i8):
            yield f"{name} {dtype}", partial(_conv, dtype, *(SMALL_CONVOLUTION if small else sizes))
    for dtype in (f16, bf16):
        yield f"{_WIDE} {dtype}", partial(_conv, dtype, *(SMALL_CONVOLUTION if small else CONVOLUTIONS["conv 3x3 64x56x56"]), wide=True)
    side = 40 if small else 512
    for dtype in (f32, i8, i32):
        yield f"MM {side} {dtype}", partial(_matmul, dtype, side if dtype != i32 else side // 4)
    for dtype in (f16, bf16, i8):
        for op in MatMul2Op:
            yield f"MM2 {op.name} {side} {dtype}", partial(_matmul2, op, dtype, side)
    side = 9 if small else 56
    for dtype in (f32, f16, bf16, i8):
        for op in (PoolOp.DEPTHWISE, PoolOp.AVG_POOL, PoolOp.MAX_POOL):
            yield f"PorD {op.name} 3x3 64x{side}x{side} {dtype}", partial(_pool, op, dtype, side)
    for op in (PoolOp.ROI_DEPTHWISE, PoolOp.ROI_AVG_POOL, PoolOp.ROI_MAX_POOL):
        yield f"PorD {op.name} {f32}", partial(_regions, op, f32, 8 if small else 128)


_WIDE = "conv 3x3, wide range of sizes"


def _spread(rng: np.random.Generator, shape: tuple[int, ...], dtype: Dtype) -> Array:
    """Numbers of very different sizes: groups of products then need the slower way."""
    values = rng.standard_normal(shape) * 2.0 ** rng.integers(-20, 12, shape)
    return values.astype(np.float32).astype(dtype.numpy)


def _conv(dtype: Dtype, image: tuple[int, int, int], channels: int, size: int, stride: int, *, wide: bool = False) -> Case:
    memories, pad = Memories(), size // 2
    depth, height, width = image
    rows, columns = ((side + 2 * pad - size) // stride + 1 for side in (height, width))
    dst = memories.tensor((1, channels, rows, columns), _SUMS.get(dtype, dtype))
    source = memories.tensor((1, *image), dtype)
    weight = memories.tensor((channels, depth, size, size), dtype, Layout.WEIGHT)
    contents: Contents = {}
    if wide:
        rng = np.random.default_rng(1)
        contents = {"input": _spread(rng, source.shape, dtype), "weight": _spread(rng, weight.shape, dtype)}
    command = Conv(
        dst=dst,
        input=source,
        weight=weight,
        kernel_zero_point=Constant(0, i8) if dtype == i8 else None,
        kernel=(size, size),
        padding=(pad, pad, pad, pad),
        stride=(stride, stride),
    )
    references: dict[str, Reference] = dict(peaks(command.macs)) if dtype == f32 and size == 3 else {}
    if dtype == f32 and _onnx.absent() is None:
        references[_onnx.NAME] = partial(_onnx.convolution, pad=pad, stride=stride)
    return Case(command, contents, command.macs, "MAC", references)


def _numpy_matmul(arrays: Arrays, rows: int, depth: int, columns: int) -> Callable[[], object]:
    left = np.ascontiguousarray(arrays["left"]).reshape(rows, -1)[:, :depth]
    right = np.ascontiguousarray(arrays["right"]).reshape(depth, -1)[:, :columns]
    out = np.empty((rows, columns), left.dtype)
    return lambda: np.matmul(left, right, out=out)


def _matmul(dtype: Dtype, side: int) -> Case:
    memories = Memories()

    def matrix(dtype: Dtype) -> LocalTensor:
        shape = matrix_tensor(0, side, side, dtype, cols_per_channel=16).shape
        return memories.tensor(shape, dtype)

    dst, left, right = matrix(_SUMS.get(dtype, dtype)), matrix(dtype), matrix(dtype)
    shift = {"shift": Constant(0, i8)} if dtype.is_int else {}
    rounding: dict[str, Any] = {"rounding": 0} if dtype.is_int else {}
    command = MatMul(dst=dst, left=left, right=right, left_cols=side, **shift, **rounding)
    macs = float(side) ** 3
    references: dict[str, Reference] = {}
    if dtype == f32:
        references = {NUMPY: partial(_numpy_matmul, rows=side, depth=side, columns=side), **peaks(macs)}
    return Case(command, {}, macs, "MAC", references)


def _matmul2(op: MatMul2Op, dtype: Dtype, side: int) -> Case:
    memories = Memories()
    shape = (1, side, 1, side)
    dst = memories.tensor(shape, _SUMS.get(dtype, dtype))
    command = MatMul2(op=op, dst=dst, left=memories.tensor(shape, dtype), right=memories.tensor(shape, dtype))
    return Case(command, {}, float(side) ** 3, "MAC")


def _pool(op: PoolOp, dtype: Dtype, side: int) -> Case:
    memories = Memories()
    shape = (1, 64, side, side)
    values: dict[str, Any] = {"dst": memories.tensor(shape, dtype), "input": memories.tensor(shape, dtype)}
    if op is PoolOp.DEPTHWISE:
        values["weight"] = memories.tensor((1, 64, 3, 3), dtype, Layout.COMPACT)
        values["rounding"] = 0 if dtype.is_int else None
        values["right_shift"] = 6 if dtype.is_int else None
    if op is PoolOp.AVG_POOL:
        values["scale"] = _one(dtype)
        values["right_shift"] = 3 if dtype.is_int else None
    command = Pool(op=op, kernel=(3, 3), padding=(1, 1, 1, 1), **values)
    return Case(command, {}, 9.0 * 64 * side * side, "MAC")


def _one(dtype: Dtype) -> Constant:
    return Constant(1, u8) if dtype.is_int else Constant.of(1 / 8, dtype)


def _regions(op: PoolOp, dtype: Dtype, count: int) -> Case:
    memories, side = Memories(), 28
    rng = np.random.default_rng(1)
    first = rng.integers(0, side - 8, (1, count, 1, 2))
    values: dict[str, Any] = {
        "dst": memories.tensor((1, 64, 1, count), dtype),
        "input": memories.tensor((1, 64, side, side), dtype),
        "roi": memories.tensor((1, count, 1, 4), u16, Layout.COMPACT),
        "outside_value": Constant(0, dtype),
    }
    if op is PoolOp.ROI_DEPTHWISE:
        values["weight"] = memories.tensor((1, 64, 3, 3), dtype, Layout.COMPACT)
    if op is PoolOp.ROI_AVG_POOL:
        values["scale"] = _one(dtype)
    contents = {"roi": np.concatenate([first, first + rng.integers(3, 8, first.shape)], axis=3).astype(np.uint16)}
    command = Pool(op=op, kernel=(3, 3), **values)
    return Case(command, contents, 9.0 * 64 * count, "MAC")
