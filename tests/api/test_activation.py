"""Activations: forms that depend on an argument, numbers as the library takes them, what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from tpukernel import BM1684X
from tpukernel.api import (
    recording,
    tpu_bdc_fp32_elu,
    tpu_bdc_fp32_exp,
    tpu_bdc_fp32_gelu,
    tpu_bdc_fp32_softplus,
    tpu_bdc_fp32_swish,
    tpu_bdc_fp_hsigmoid,
    tpu_bdc_prelu,
)
from tpukernel.chips.errors import ConstantRangeError
from tpukernel.chips.tensors import Constant
from tpukernel.dtypes import f16, i8, u8
from tpukernel.isa import Arith, ArithOp, Compare, Instruction
from tpukernel.isa.errors import LaneMismatchError

SHAPE = (1, 64, 1, 16)
DST, SRC, WORK0, WORK1, COEFF, LOG_COEFF = range(0, 6 * 64, 64)
TINY = 1e-39
"""Subnormal in f32."""


def constants(instructions: Sequence[Instruction]) -> list[float]:
    """The f32 constants of the arithmetic instructions."""
    sources = [source for each in instructions if isinstance(each, Arith) for source in (each.src0, each.src1)]
    return [source.value for source in sources if isinstance(source, Constant) and source.dtype.is_float]


def softplus(beta: float) -> Sequence[Instruction]:
    return tpu_bdc_fp32_softplus.instructions(DST, SRC, WORK0, WORK1, COEFF, LOG_COEFF, 0, SHAPE, beta)


def test_softplus_multiplies_by_beta_where_it_should_divide() -> None:
    scaled = softplus(1.3)
    division = scaled[-2]
    assert isinstance(division, Arith) and division.op is ArithOp.DIV
    assert isinstance(division.src1, Constant) and division.src1.value == pytest.approx(1 / 1.3)
    assert (len(scaled), len(softplus(1.0)), len(softplus(1 + 1e-9)), len(softplus(1 + 2e-7))) == (29, 27, 27, 29)


@pytest.mark.parametrize(
    ("beta", "divisor"), [(0.0, math.inf), (-0.0, -math.inf), (TINY, math.inf), (3e38, 0.0), (math.inf, 0.0), (-1.0, -1.0)]
)
def test_softplus_of_unusual_beta(beta: float, divisor: float) -> None:
    assert constants(softplus(beta))[-1] == divisor


def test_elu_with_an_alpha_of_1_saves_a_product() -> None:
    lengths = [len(tpu_bdc_fp32_elu.instructions(DST, SRC, WORK0, WORK1, COEFF, 0, alpha, SHAPE)) for alpha in (1.0, 1 + 1e-9, 0.5)]
    assert lengths == [14, 14, 15]


def test_subnormal_numbers_are_0() -> None:
    first = constants(tpu_bdc_fp32_swish.instructions(DST, SRC, WORK0, WORK1, COEFF, 0, -TINY, SHAPE))[0]
    assert first == 0 and math.copysign(1, first) < 0


def test_a_number_that_the_type_cannot_hold_is_refused() -> None:
    with pytest.raises(ConstantRangeError):
        tpu_bdc_fp_hsigmoid.instructions(DST, SRC, WORK0, SHAPE, 1e6, 0.5, f16)
    with pytest.raises(ConstantRangeError):
        softplus(1e39)


def test_prelu_of_unsigned_numbers_is_a_copy() -> None:
    [copy] = tpu_bdc_prelu.instructions(DST, SRC, 3, SHAPE, u8)
    assert isinstance(copy, Arith) and copy.op is ArithOp.COPY
    assert [type(each) for each in tpu_bdc_prelu.instructions(DST, SRC, -3, SHAPE, i8)] == [Arith, Compare]


def test_a_function_contains_the_exponential_with_its_operands_exchanged() -> None:
    alone = tpu_bdc_fp32_exp.instructions(DST, WORK0, WORK0, WORK1, COEFF, 0, SHAPE)
    inside = tpu_bdc_fp32_gelu.instructions(DST, SRC, WORK0, WORK1, 4096, 8192, COEFF, LOG_COEFF, 0, SHAPE)
    assert tuple(inside[8:20]) == tuple(alone)


def test_operands_in_different_lanes_are_refused() -> None:
    with recording(BM1684X) as program, pytest.raises(LaneMismatchError):
        tpu_bdc_fp32_swish(DST + BM1684X.lane_bytes, SRC, WORK0, WORK1, COEFF, 0, 1.0, SHAPE)
    assert not list(program)
