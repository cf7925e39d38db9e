"""Products with weights of few bits: what is in the file, and arguments that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, ShapeError
from tests.support.agreement import agree, numbers

K, N, GROUP = 256, 192, 64
RANDOM = np.random.default_rng(1)
WEIGHT = RANDOM.integers(0, 15, (K, N), endpoint=True)
SCALE = RANDOM.uniform(0.01, 0.1, (K // GROUP, N)).astype(np.float32)
POINTS = RANDOM.integers(0, 15, (K // GROUP, N), endpoint=True)


def product(bits: int) -> bm.Function:
    @bm.function
    def made(x: bm.Tensor) -> bm.Tensor:
        return bm.a16matmul(x, WEIGHT, SCALE, POINTS, bits=bits, group_size=GROUP)

    return made


@pytest.mark.parametrize("bits", [4, 8])
def test_products(bits: int) -> None:
    agree(product(bits), x=numbers(2, 70, K))


def test_weights_stay_small() -> None:
    sizes = {
        (bits, mode): len(bm.compile(product(bits), stages=[{"x": (3, K)}], mode=mode).bmodel.to_bytes())
        for bits, mode in ((4, "f16"), (8, "f16"), (4, "f32"))
    }
    rows = K * N
    assert sizes[8, "f16"] - sizes[4, "f16"] == pytest.approx(rows / 2, rel=0.05)
    assert sizes[4, "f32"] - sizes[4, "f16"] >= 3 * rows


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"bits": 5}, OperatorArgumentError),
        ({"group_size": 7}, OperatorArgumentError),
        ({"group_size": 100}, ShapeError),
        ({"weight": WEIGHT + 1}, OperatorArgumentError),
        ({"weight": WEIGHT[:, 1:]}, ShapeError),
        ({"zero_point": -1}, OperatorArgumentError),
    ],
)
def test_arguments_that_do_not_fit(changed: dict[str, Any], error: type[Exception]) -> None:
    given: dict[str, Any] = {"weight": WEIGHT, "scale": SCALE, "zero_point": POINTS, "group_size": GROUP, **changed}

    @bm.function
    def made(x: bm.Tensor) -> bm.Tensor:
        return bm.a16matmul(x, **given)

    with pytest.raises(error):
        made.traced({"x": (2, K)})


def test_integers_are_refused() -> None:
    @bm.function
    def made(x: bm.Tensor) -> bm.Tensor:
        return bm.a16matmul(x, WEIGHT, SCALE, group_size=GROUP)

    with pytest.raises(OperatorDtypeError):
        made.traced({"x": bm.spec((2, K), "i8")})


@pytest.mark.parametrize(("shape", "layout", "error"), [((1, 7, 4), "nv12", ShapeError), ((1, 6, 4), "nv16", OperatorArgumentError)])
def test_images_that_do_not_fit(shape: tuple[int, ...], layout: str, error: type[Exception]) -> None:
    @bm.function
    def made(x: bm.Tensor) -> bm.Tensor:
        return bm.yuv2rgb(x, layout)

    with pytest.raises(error):
        made.traced({"x": bm.spec(shape, "u8")})
    image: Array = np.zeros((1, 6, 4), np.float32)
    with pytest.raises(OperatorDtypeError):
        made.traced({"x": bm.spec(image.shape, "f32")})
