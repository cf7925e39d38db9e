"""Functions for matrices, convolutions and pooling: which types they take, what the library does in corners, and what they refuse.

Every function against the recorded and the official bytes: `test_golden.py` and `tests/vendor/test_api.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from random import Random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.api_calls import DTYPES, instructions
from tests.support.draws import accepted_dtypes, draw
from tests.support.oracle import Value
from tests.support.sweep_dtypes import Combination, candidates, dtype_names, dtype_parameters, plain_draw
from tpukernel import BM1684X
from tpukernel.api import (
    Bits,
    ChipFunctionError,
    Dim2,
    Function,
    MissingFunction,
    Padding,
    fp_matrix,
    fp_nn,
    int_conv,
    int_matrix,
    int_matrix_zero_point,
    int_pool,
    recording,
    rows,
    tpu_bdc_fp_avg_pool2d,
    tpu_bdc_fp_conv2d,
    tpu_bdc_fp_depthwise_for_deconv2d,
    tpu_bdc_fp_max_pool2d,
    tpu_bdc_int8_asym_quant_conv2d,
    tpu_bdc_int8_depthwise2d,
    tpu_bdc_int8_mm,
    tpu_bdc_int8_sym_quant_conv2d,
)
from tpukernel.chips.tensors import Constant
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u8, u16, u32
from tpukernel.errors import TpuError
from tpukernel.isa import Conv, Pool, Rounding
from tpukernel.isa.errors import AttributeRangeError, OperandConflictError, OperandDtypeError, OperandShapeError

MODULES = (fp_matrix, fp_nn, int_conv, int_matrix, int_matrix_zero_point, int_pool)
NAMES = [name for module in MODULES for name in module.__all__]
WITH_TYPES = sorted({name for name in NAMES if isinstance(rows()[name], Function)} & accepted_dtypes().keys())

SIGN_IS_IGNORED = ("tpu_bdc_int8_asym_pc_quant_conv2d", "tpu_bdc_int8_asym_pc_quant_conv2d_for_deconv2d")
"""The library wants one sign of `output_dtype`, and writes the same command as for the other."""
SIGN_OF_NO_BIAS = ("tpu_bdc_int8_sym_quant_conv2d", "tpu_bdc_int8_sym_quant_conv2d_for_deconv2d")
"""The library wants an unsigned result where the sign of an absent bias makes it signed; here it can have its true name, too."""


def emits(name: str, params: dict[str, Value]) -> bool:
    try:
        for instruction in instructions(name, params):
            instruction.check(BM1684X)
            instruction.encoded(BM1684X)
    except TpuError:
        return False
    return True


def also_accepted(name: str) -> set[Combination]:
    """Combinations that the functions take although the library does not."""
    if name in SIGN_IS_IGNORED:
        return set(product(("i16", "u16", "i32", "u32"), ("i8", "u8"), ("i8", "u8"), ("i8", "u8")))
    if name in SIGN_OF_NO_BIAS:
        return set(product(("i8", "i16"), ("u8",), ("u8",), ("i8", "i16", "i32")))
    return set()


@pytest.mark.parametrize("name", WITH_TYPES)
def test_functions_take_the_types_that_the_library_takes(name: str) -> None:
    random = Random(name)
    listed = {dtype_names(assignment) for assignment in accepted_dtypes()[name]}
    taken = {combination for combination in candidates(name) if emits(name, plain_draw(name, combination, random))}
    assert taken == listed | also_accepted(name)


BYTES = (i8, u8)
INTEGERS = (i8, u8, i16, u16, i32, u32)
CODE_OF = {dtype: code for code, dtype in DTYPES.items()}
RESULT_BITS = {"tpu_bdc_int8_mm": (8, 16), "tpu_bdc_int8_sym_quant_conv2d": (8, 16), "tpu_bdc_int8_depthwise2d": (8, 16, 32)}


@given(st.sampled_from(sorted(RESULT_BITS)), st.data())
def test_results_have_the_sign_that_the_operands_give_them(name: str, data: st.DataObject) -> None:
    """Measured on the library: signed when any operand is, but not with ReLU; every other name of the result is refused."""
    widths = RESULT_BITS[name]
    result, first, second = (data.draw(st.sampled_from(choice)) for choice in (INTEGERS, BYTES, BYTES))
    bias, relu = data.draw(st.sampled_from((i32, u32) if 32 in widths else (i16, u16))), data.draw(st.booleans())
    dtypes = dict(zip(dtype_parameters(name), (CODE_OF[dtype] for dtype in (result, first, second, bias)), strict=True))
    listed = accepted_dtypes()[name][0]
    params = draw(name, Random(data.draw(st.integers(0, 1000))), dtypes=listed) | dtypes
    params |= {"has_bias": True, "result_relu": relu} | ({"result_add": False} if "result_add" in params else {})
    signed = not relu and any(dtype.is_signed for dtype in (first, second, bias))
    assert emits(name, params) == (result.bits in widths and result.is_signed == signed)


def conv(bias_dtype: Dtype, output_dtype: Dtype = u8) -> Conv:
    """A symmetric convolution of unsigned numbers without bias."""
    [made] = tpu_bdc_int8_sym_quant_conv2d.instructions(
        0, 4096, 8192, 0, (1, 16, 8, 8), None, 32, Dim2(3, 3), Padding(1, 1, 1, 1), Dim2(1, 1), Dim2(1, 1), output_dtype, u8, u8,
        bias_dtype, 3, False, False,
    )  # fmt: skip
    return cast("Conv", made)


def test_the_sign_of_an_absent_bias_makes_the_result_of_a_convolution_signed() -> None:
    assert (conv(u16).dst.dtype, conv(i16).dst.dtype, conv(i16, u16).dst.dtype) == (u8, i8, i16)
    assert conv(i8) == conv(i16) == conv(i32) == conv(i16, i8) != conv(u16)


@pytest.mark.parametrize(("zero", "operand", "result"), [(0, u8, u16), (3, u8, i16), (0, i8, i16)])
def test_16_bit_results_of_convolutions_with_zero_points(zero: int, operand: Dtype, result: Dtype) -> None:
    for named in (i16, u16):
        with recording() as program:
            tpu_bdc_int8_asym_quant_conv2d(
                0, 4096, 8192, zero, 0, (1, 16, 8, 8), None, 32, Dim2(3, 3), Padding(0, 0, 0, 0), Dim2(1, 1), Dim2(1, 1), named, operand,
                u8, u8, False,
            )  # fmt: skip
        [made] = program.groups[0].tiu
        assert cast("Conv", made).dst.dtype == result


def depthwise(bias_dtype: Dtype) -> Pool:
    [made] = tpu_bdc_int8_depthwise2d.instructions(
        0, 4096, 8192, 12288, 0, (1, 16, 8, 8), Dim2(3, 3), Padding(0, 0, 0, 0), Dim2(1, 1), Dim2(1, 1), i8, i8, i8, bias_dtype, 3, True,
        False, Rounding.HALF_UP,
    )  # fmt: skip
    return cast("Pool", made)


def test_the_bias_of_a_depthwise_convolution_has_32_bits_whatever_its_name() -> None:
    assert depthwise(i8) == depthwise(i16) == depthwise(i32) != depthwise(u8)
    assert depthwise(u16) == depthwise(u32)


def test_a_constant_weight_comes_in_the_address() -> None:
    def made(constant: bool) -> Pool:
        [found] = tpu_bdc_fp_depthwise_for_deconv2d.instructions(
            0, 4096, 0x40490FDB, 0, (1, 16, 8, 8), Dim2(3, 3), Dim2(1, 1), Padding(2, 2, 2, 2), Dim2(1, 1), f32, f32, constant, False
        )
        return cast("Pool", found)

    weight = made(constant=True).weight
    assert weight == Constant(0x40490FDB, f32) and made(constant=False).weight != weight


def strided(shape: tuple[int, int, int, int], stride: tuple[int, int, int, int] | None, address: int = 4096) -> Conv:
    [made] = tpu_bdc_fp_conv2d.instructions(
        0, address, 8192, 0, shape, stride, 32, Dim2(1, 1), Padding(0, 0, 0, 0), Dim2(1, 1), Dim2(1, 1), f32, f32, False, False
    )
    return cast("Conv", made)


def test_strides_that_make_no_difference_are_left_out() -> None:
    assert strided((1, 16, 8, 8), (9999, 77, 8, 1)).input.strides == (0, 0, 8, 1)
    assert strided((2, 65, 8, 8), (9999, 77, 8, 1)).input.strides == (9999, 77, 8, 1)
    last = 63 * BM1684X.lane_bytes + 4096
    assert strided((1, 2, 8, 8), (9999, 77, 8, 1), last).input.strides == (0, 77, 8, 1)
    assert strided((1, 16, 8, 8), None).input.strides is None


def max_pool(kernel: Dim2, stride: Dim2) -> Callable[[], None]:
    return lambda: tpu_bdc_fp_max_pool2d(0, 4096, (1, 16, 8, 8), kernel, Padding(0, 0, 0, 0), stride, Dim2(1, 1), f32, 0.0)


def product8(output_dtype: Dtype, right_dtype: Dtype = i8) -> Callable[[], None]:
    return lambda: tpu_bdc_int8_mm(0, 4096, 8192, 0, 4, 4, 4, 4, 4, output_dtype, i8, right_dtype, i16, 0, 0, False, False, False)


REFUSED: list[tuple[Callable[[], None], type[TpuError]]] = [
    (max_pool(Dim2(9, 9), Dim2(1, 1)), OperandShapeError),
    (max_pool(Dim2(2, 2), Dim2(0, 1)), AttributeRangeError),
    (product8(u8), OperandConflictError),
    (product8(i8, i16), OperandConflictError),
    (product8(i32), OperandDtypeError),
]


@pytest.mark.parametrize(("call", "error"), REFUSED)
def test_refusals_come_from_the_call_and_name_it(call: Callable[[], None], error: type[TpuError]) -> None:
    with recording() as program, pytest.raises(error) as caught:
        call()
    assert not program.groups[0].tiu
    assert caught.value.where is not None and __file__ in caught.value.where


def test_numbers_of_a_call_are_numbers_of_its_type() -> None:
    def average(scale: float | Bits) -> Pool:
        [made] = tpu_bdc_fp_avg_pool2d.instructions(
            0, 4096, (1, 16, 8, 8), Dim2(2, 2), Padding(0, 0, 0, 0), Dim2(2, 2), Dim2(1, 1), f32, scale
        )
        return cast("Pool", made)

    assert average(0.25) == average(Bits(0x3E800000))


MISSING = [name for name in NAMES if isinstance(rows()[name], MissingFunction)]


@pytest.mark.parametrize("name", MISSING)
def test_functions_that_the_chip_does_not_have(name: str) -> None:
    with pytest.raises(ChipFunctionError, match=name):
        cast("MissingFunction", rows()[name])()


def test_how_many_there_are() -> None:
    assert (len(NAMES), len(MISSING)) == (91, 18)
