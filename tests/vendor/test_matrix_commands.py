"""What the operands of CONV, PorD, MM and MM2 stand for, on the official C model.

Absent and constant operands, types of results, and operands that are not tensors of one plain layout.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.oracle import execute
from tpukernel import BM1684X
from tpukernel.chips.layout import read_tensor, write_tensor
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, f16, f32, i8, i16, i32, u8, u16
from tpukernel.isa import Conv, ConvOp, Instruction, MatMul, MatMul2, MatMul2Op, MatMulOp, Pool, PoolOp, Rounding, encode, lane_table

pytestmark = pytest.mark.vendor

Array = NDArray[np.generic]
LANE = BM1684X.lane_bytes


def run(instruction: Instruction, dst: LocalTensor, operands: Mapping[LocalTensor, Array]) -> Array:
    """The result of a legal command of which `operands` are in local memory."""
    assert not instruction.problems(BM1684X)
    memory = np.zeros(BM1684X.local_bytes, np.uint8)
    for tensor, array in operands.items():
        write_tensor(BM1684X, memory, tensor, np.ascontiguousarray(np.broadcast_to(array, tensor.shape).astype(tensor.dtype.numpy)))
    used = np.flatnonzero(memory.reshape(BM1684X.lanes, LANE).any(1))
    initial = {"lmem": [(int(lane) * LANE, memory[lane * LANE : (lane + 1) * LANE]) for lane in used]}
    [after] = execute([("tiu", encode(BM1684X, [instruction]))], initial, [("lmem", 0, BM1684X.local_bytes)], fill={"lmem": 0})
    return read_tensor(BM1684X, after, dst)


ROW = np.array([1, 2, 3], np.float32)


def test_constant_bias_pad_and_insert_values_of_a_float_convolution() -> None:
    dst, source = LocalTensor(0, (1, 1, 1, 7), f32), LocalTensor(4096, (1, 1, 1, 3), f32)
    convolution = Conv(
        dst=dst,
        input=source,
        weight=Constant.of(2, f32),
        bias=Constant.of(100, f32),
        pad_value=Constant.of(7, f32),
        insert_value=Constant.of(9, f32),
        kernel=(1, 1),
        padding=(0, 0, 2, 0),
        insert=(0, 1),
    )
    assert run(convolution, dst, {source: ROW}).ravel().tolist() == [114, 114, 102, 118, 104, 118, 106]
    plain = convolution.replace(bias=None, pad_value=None, insert_value=None)
    assert run(plain, dst, {source: ROW}).ravel().tolist() == [0, 0, 2, 0, 4, 0, 6]


@pytest.mark.parametrize("unit", ["conv", "pool"])
def test_pad_values_per_channel_are_pairs_with_insert_values(unit: str) -> None:
    channels = 66
    source = LocalTensor(4096, (1, channels, 1, 3), i8)
    pairs = LocalTensor(8192, (1, channels, 1, 2), i8, Layout.COMPACT)
    numbers = np.arange(2 * channels).reshape(1, channels, 1, 2) % 100
    expected = np.empty((channels, 6), np.int64)
    expected[:, 0], expected[:, [1, 3, 5]], expected[:, [2, 4]] = numbers[0, :, 0, 0], ROW, numbers[0, :, 0, 1:]
    kernel, padding, insert = (1, 1), (0, 0, 1, 0), (0, 1)
    instruction: Conv | Pool
    if unit == "conv":
        dst = LocalTensor(0, (1, 1, 1, 6), i32)
        instruction = Conv(
            dst=dst,
            input=source,
            weight=Constant(1, i8),
            kernel_zero_point=Constant(0, i8),
            pad_value=pairs,
            kernel=kernel,
            padding=padding,
            insert=insert,
        )
        expected = expected.sum(0, keepdims=True)
    else:
        dst = LocalTensor(0, (1, channels, 1, 6), i16)
        instruction = Pool(
            op=PoolOp.DEPTHWISE,
            dst=dst,
            input=source,
            weight=Constant(1, i8),
            pad_value=pairs,
            kernel=kernel,
            padding=padding,
            insert=insert,
            rounding=Rounding.HALF_UP,
        )
    assert np.array_equal(run(instruction, dst, {source: ROW, pairs: numbers})[0, :, 0], expected)


@pytest.mark.parametrize(
    ("zero", "result", "limit"), [(Constant(0, u8), u16, 65535), (Constant(2, u8), i16, 32767), (Constant(0, i8), i16, 32767)]
)
def test_narrow_sums_saturate_as_signed_ones_unless_nothing_can_be_negative(zero: Constant, result: Dtype, limit: int) -> None:
    dst, source = LocalTensor(0, (1, 1, 1, 3), result), LocalTensor(4096, (1, 4, 1, 3), u8)
    convolution = Conv(dst=dst, input=source, weight=Constant(255, u8), kernel_zero_point=zero, kernel=(1, 1))
    assert run(convolution, dst, {source: np.full(3, 200)}).ravel().tolist() == [limit] * 3


@pytest.mark.parametrize(("bias", "limit"), [(None, 255), (Constant(0, i16), 127), (Constant(1, u16), 255)])
@pytest.mark.parametrize("relu", [False, True])
def test_a_signed_constant_0_as_bias_makes_requantised_results_signed(bias: Constant | None, limit: int, relu: bool) -> None:
    result, limit = (u8, 255) if relu or limit == 255 else (i8, limit)
    source = LocalTensor(4096, (1, 4, 1, 3), u8)
    dst = LocalTensor(0, (1, 1, 1, 3), result)
    convolution = Conv(
        op=ConvOp.REQUANT_RELU if relu else ConvOp.REQUANT,
        dst=dst,
        input=source,
        weight=Constant(255, u8),
        bias=bias,
        kernel=(1, 1),
        right_shift=1,
    )
    assert run(convolution, dst, {source: np.full(3, 200)}).ravel().tolist() == [limit] * 3
    matrix, product = LocalTensor(4096, (4, 1, 1, 3), u8), LocalTensor(0, (1, 1, 1, 3), result)
    multiplication = MatMul(
        op=MatMulOp.REQUANT_RELU if relu else MatMulOp.REQUANT,
        dst=product,
        left=Constant(255, u8),
        right=matrix,
        bias=bias,
        left_cols=4,
        right_shift=1,
    )
    assert run(multiplication, product, {matrix: np.full(3, 200)}).ravel().tolist() == [limit] * 3


def test_result_add_reads_f32_where_the_result_is_f16() -> None:
    dst, left, right = (LocalTensor(k * 4096, (1, 70, 1, 70), f16) for k in range(3))
    for op in MatMul2Op:
        product = MatMul2(op=op, dst=dst, left=left, right=right, result_add=True)
        assert product.partial_sum is not None
        identity, sums = np.eye(70)[None, :, None], np.arange(4900).reshape(1, 70, 1, 70) % 500
        assert np.array_equal(run(product, dst, {left: identity, right: identity, product.partial_sum: sums}), sums + identity)


@pytest.mark.parametrize("op", [MatMul2Op.NN, MatMul2Op.NT])
def test_a_zero_point_per_column_is_a_row_in_every_lane(op: MatMul2Op) -> None:
    rows, depth, cols = 70, 3, 40
    dst, left = LocalTensor(0, (1, rows, 1, cols), i32), LocalTensor(32768, (1, rows, 1, depth), u8)
    right = LocalTensor(40960, (1, depth, 1, cols) if op is MatMul2Op.NN else (1, cols, 1, depth), i8)
    zero = lane_table(BM1684X, 49152, (1, right.shape[1], 1, cols), i8)
    # A table of which channels share a lane cannot be written as a tensor; its rows of one channel per lane can.
    lanes = LocalTensor(49152, (1, BM1684X.lanes, 1, cols), i8, Layout.COMPACT)
    product = MatMul2(op=op, dst=dst, left=left, right=right, right_zero_point=zero)
    numbers = np.arange(cols)
    result = run(product, dst, {left: np.full(depth, 2), right: np.full(right.shape, 5), lanes: numbers})
    assert np.array_equal(result, np.broadcast_to(2 * depth * (5 - numbers), dst.shape))


def test_a_constant_left_matrix_and_columns_beyond_its_last_channel() -> None:
    right, dst = LocalTensor(4096, (18, 2, 1, 5), f32), LocalTensor(0, (3, 2, 1, 5), f32)
    product = MatMul(dst=dst, left=Constant.of(2, f32), right=right, left_cols=18)
    assert np.array_equal(run(product, dst, {right: np.ones(1)}), np.full(dst.shape, 36))
    left = LocalTensor(5 * LANE + 8192, (3, 5, 1, 4), f32)  # in other lanes than the rest; two columns are unused
    assert np.array_equal(run(product.replace(left=left), dst, {right: np.ones(1), left: np.full(4, 3.0)}), np.full(dst.shape, 54))
