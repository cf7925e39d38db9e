"""Convolutions of 8-bit integers: exact sums, whatever the zero points; and requantization on the way out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from tests.support.layers import integers, run_exactly
from tpukernel.dtypes import Dtype

OFFICIAL_CONV56 = 17210
"""Cycles of the official compiler's code for the convolution of `test_cycles` (measured study)."""


@dataclass(frozen=True)
class Case:
    """Shapes of x and weight, and the other arguments."""

    x: tuple[int, int, int, int]
    weight: tuple[int, int, int, int]
    more: dict[str, object] = field(default_factory=dict[str, object])

    def __str__(self) -> str:
        return f"{self.x}{self.weight}{self.more}".replace(" ", "")


CASES = [
    Case((1, 3, 7, 9), (5, 3, 3, 3), {"pad": 1}),
    Case((2, 70, 6, 5), (66, 70, 1, 1)),
    Case((2, 8, 9, 9), (130, 8, 3, 2), {"stride": (2, 1), "pad": (1, 0, 2, 1), "dilation": (1, 2)}),
    Case((2, 70, 9, 9), (70, 1, 3, 3), {"pad": 1, "groups": 70}),
    Case((1, 8, 9, 9), (8, 1, 3, 3), {"pad": 1, "groups": 8, "stride": 2}),
    Case((2, 12, 9, 9), (8, 3, 3, 3), {"pad": 1, "groups": 4}),
    Case((2, 132, 5, 5), (132, 33, 1, 1), {"groups": 4}),
]
TYPES = [(bm.i8, bm.i8), (bm.u8, bm.i8), (bm.i8, bm.u8), (bm.u8, bm.u8)]


def in_loops(x: Array, weight: Array, points: tuple[int, Array], bias: Array) -> Array:
    """A convolution without padding, with stride 1 and one group, written down as it is defined."""
    image, kernels = x.astype(np.int64) - points[0], weight.astype(np.int64) - points[1].astype(np.int64).reshape(-1, 1, 1, 1)
    (n, _, h, w), (oc, _, kh, kw) = x.shape, weight.shape
    found = np.empty((n, oc, h - kh + 1, w - kw + 1), np.int64)
    for row in range(found.shape[2]):
        for column in range(found.shape[3]):
            window = image[:, None, :, row : row + kh, column : column + kw]
            found[:, :, row, column] = (window * kernels).sum((2, 3, 4)) + bias.astype(np.int64)
    return found


@pytest.mark.parametrize(("source", "kind"), TYPES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_sums_are_exact(case: Case, source: Dtype, kind: Dtype) -> None:
    random = np.random.default_rng(1)
    x, weight, bias = integers(random, case.x, source), integers(random, case.weight, kind), integers(random, case.weight[:1], bm.i32)
    low, high = kind.limits
    each = random.integers(low, high, len(weight), endpoint=True)
    points: Sequence[int | Array] = (0, high - 100, each, np.full(len(weight), high))

    def convolved(x: bm.Tensor) -> list[bm.Tensor]:
        found = [bm.conv_int(x, weight, bias, input_zero_point=7, weight_zero_point=point, **case.more) for point in points]  # pyright: ignore[reportArgumentType]
        return [*found, bm.conv_int(x, weight, **case.more)]  # pyright: ignore[reportArgumentType]

    run_exactly(convolved, {"x": x})


def test_what_a_convolution_is() -> None:
    random = np.random.default_rng(2)
    x, weight, bias = integers(random, (2, 5, 6, 7), bm.u8), integers(random, (3, 5, 2, 3), bm.i8), integers(random, (3,), bm.i32, 10**6)
    points = np.array([5, -3, 0])

    @bm.function
    def convolved(x: bm.Tensor) -> bm.Tensor:
        return bm.conv_int(x, weight, bias, input_zero_point=9, weight_zero_point=points)

    np.testing.assert_array_equal(convolved(x), in_loops(x, weight, (9, points), bias))


def test_requantized_and_pooled_on_the_way_out() -> None:
    """Convolution, requantization, relu at the zero point and pooling in slices of one group."""
    random = np.random.default_rng(3)
    weight, bias = integers(random, (70, 20, 3, 3), bm.i8), integers(random, (70,), bm.i32, 5000)
    scales, multipliers, shifts = random.uniform(1e-4, 1e-3, 70), random.integers(2**29, 2**30, 70), -random.integers(40, 44, 70)

    def network(x: bm.Tensor) -> list[bm.Tensor]:
        sums = bm.conv_int(x, weight, bias, pad=1, input_zero_point=-4, weight_zero_point=3)
        narrow = bm.max(bm.requant(sums, scales, -5), -5)
        return [bm.max_pool(narrow, 2, stride=2), bm.requant_int(sums, multipliers, shifts, 3, "u8"), bm.dequantise(sums, scales)]

    run_exactly(network, {"x": integers(random, (2, 20, 12, 10), bm.i8)})


def test_cycles() -> None:
    """Half of the official code's cycles are transfers, which go on while the tensor unit works here."""
    random = np.random.default_rng(4)
    weight, bias = integers(random, (64, 64, 3, 3), bm.i8), integers(random, (64,), bm.i32, 1000)
    multipliers, shifts = random.integers(2**29, 2**30, 64), -random.integers(36, 40, 64)

    @bm.function
    def network(x: bm.Tensor) -> bm.Tensor:
        return bm.requant_int(bm.conv_int(x, weight, bias, pad=1), multipliers, shifts)

    model = bm.compile(network, stages=[{"x": bm.spec((1, 64, 56, 56), "i8")}])
    assert model.stages[0].timeline().cycles < 0.65 * OFFICIAL_CONV56


def test_what_does_not_fit_is_refused() -> None:
    weight = np.ones((4, 3, 3, 3), np.int8)

    def traced(weight: Array, dtype: Dtype = bm.i8, **more: int) -> None:
        def convolved(x: bm.Tensor) -> bm.Tensor:
            return bm.conv_int(x, weight, **more)

        bm.function(convolved).traced({"x": bm.spec((1, 3, 8, 8), dtype)})

    with pytest.raises(OperatorDtypeError):
        traced(weight, bm.i16)
    with pytest.raises(OperatorDtypeError):
        traced(weight.astype(np.float32))
    with pytest.raises(OperatorArgumentError):
        traced(weight, input_zero_point=200)
    with pytest.raises(OperatorArgumentError):
        traced(weight, groups=0)
    with pytest.raises(ShapeError):
        traced(weight, groups=3)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_weights_that_the_caller_gives(case: Case) -> None:
    generator = np.random.default_rng(3)
    source = bm.u8 if case.more.get("groups") == 70 else bm.i8
    points = generator.integers(0, 99, case.weight[0]).tolist()

    def convolved(x: bm.Tensor, weight: bm.Tensor, bias: bm.Tensor) -> tuple[bm.Tensor, ...]:
        plain = bm.conv_int(x, weight, **case.more)  # pyright: ignore[reportArgumentType]
        found = bm.conv_int(x, weight, bias, input_zero_point=7, weight_zero_point=points, **case.more)  # pyright: ignore[reportArgumentType]
        return plain, found

    inputs = {"x": integers(generator, case.x, source), "weight": integers(generator, case.weight, bm.u8)}
    run_exactly(convolved, {**inputs, "bias": integers(generator, (case.weight[0],), bm.i32, 1000)})


@pytest.mark.parametrize(("groups", "known"), [(1, False), (4, True), (68, False), (68, True)])
def test_transposed(groups: int, known: bool) -> None:
    generator = np.random.default_rng(groups)
    inputs = {"x": integers(generator, (2, 68, 5, 4), bm.u8), "weight": integers(generator, (68, 68 // groups, 3, 4), bm.u8)}

    def transposed(x: bm.Tensor, weight: bm.Tensor | Array) -> bm.Tensor:
        return bm.deconv_int(x, weight, stride=(2, 1), pad=1, output_padding=(1, 0), groups=groups, input_zero_point=3, weight_zero_point=9)

    def given(x: bm.Tensor, weight: bm.Tensor) -> bm.Tensor:
        return transposed(x, weight)

    def taken(x: bm.Tensor) -> bm.Tensor:
        return transposed(x, inputs["weight"])

    run_exactly(taken if known else given, {"x": inputs["x"]} if known else inputs)
