"""How near the examples come to what the chip allows, by the cycle model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import tpukernel as tpu
from tests.examples.load import FOLDER, example
from tpukernel.dtypes import Dtype

ROW = {"gamma": (1, 512), "beta": (1, 512)}
IMAGE = (2, 64, 112, 112)
LARGE: Mapping[str, tuple[Mapping[str, tuple[int, ...]], Mapping[str, Any]]] = {
    "abs_add": ({"x": IMAGE}, {"c": 1.0}),
    "argmax": ({"x": (1, 64, 128, 512)}, {}),
    "attention": ({"query": (2048, 64), "key": (512, 64), "value": (512, 64)}, {}),
    "axpy": ({"x": IMAGE, "y": IMAGE}, {"alpha": 2.0}),
    "conv3x3": ({"x": (1, 64, 112, 112), "weight": (64, 576), "bias": (64,)}, {"stripe": 112, "tile": 28}),
    "gelu": ({"x": IMAGE}, {}),
    "int8_requant": ({"x": (4, 64, 112, 112), "numbers": (64, 3)}, {}),
    "layer_norm": ({"x": (1, 64, 128, 512)} | ROW, {}),
    "matmul": ({"left": (512, 2048), "right": (2048, 512)}, {"tile_m": 512, "tile_n": 512}),
    "rms_norm": ({"x": (1, 64, 128, 512), "gamma": (1, 512)}, {}),
    "scale_bias_relu": ({"x": IMAGE, "scale": (64,), "bias": (64,)}, {}),
    "softmax": ({"x": (1, 64, 128, 512)}, {}),
    "transpose": ({"x": (512, 4000)}, {}),
}
"""Shapes of large inputs, and keywords."""


def types_of(name: str, dtype: Dtype) -> Dtype | dict[str, Dtype]:
    if name == "conv3x3":
        return {"x": dtype, "weight": dtype, "bias": tpu.f32}
    return tpu.i32 if name == "int8_requant" else dtype


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
@pytest.mark.parametrize("dtype", [tpu.f32, tpu.f16])
def test_both_engines_work_at_one_time(name: str, dtype: Dtype) -> None:
    """The cycles of a pipeline are those of its busier engine, but for 15 %."""
    if dtype == tpu.f32 and name == "attention":
        dtype = tpu.bf16
    shapes, keywords = LARGE[name]
    found = example(name).bench(shapes, types_of(name, dtype), simulate=0, **keywords)
    assert found.cycles <= 1.15 * max(found.tiu, found.gdma), str(found)


@pytest.mark.parametrize("dtype", [tpu.f32, tpu.f16])
def test_products_reach_70_percent_of_the_roof(dtype: Dtype) -> None:
    square = example("matmul").bench({"left": (512, 512), "right": (512, 512)}, dtype, simulate=0)
    assert square.of_roof >= 0.7, str(square)
    shapes = {"x": (1, 64, 56, 56), "weight": (64, 576), "bias": (64,)}
    convolution = example("conv3x3").bench(shapes, types_of("conv3x3", dtype), simulate=0)
    assert convolution.of_roof >= 0.7, str(convolution)


def test_large_products_reach_two_thirds_with_what_is_chosen_for_them() -> None:
    """Tiles that suit 56x56 and 512 do not suit larger shapes; the examples let the cycle model choose."""
    square = example("matmul").bench({"left": (1024, 1024), "right": (1024, 1024)}, tpu.f16, simulate=0)
    assert square.of_roof >= 0.66, str(square)
    shapes = {"x": (2, 64, 112, 112), "weight": (64, 576), "bias": (64,)}
    convolution = example("conv3x3").bench(shapes, types_of("conv3x3", tpu.f16), simulate=0)
    assert convolution.of_roof >= 0.66, str(convolution)
