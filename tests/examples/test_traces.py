"""Examples as text, and traced without shapes: the programs are those of the Python functions, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import tpukernel as tpu
from tests.examples.load import FOLDER, example
from tests.examples.test_cycles import LARGE, types_of
from tpukernel.lang import elaborate

RANKS: Mapping[str, Mapping[str, int]] = {
    "abs_add": {},
    "axpy": {},
    "conv3x3": {"weight": 2, "bias": 1},
    "gelu": {},
    "int8_requant": {"numbers": 2},
    "matmul": {"left": 2, "right": 2, "out": 2},
    "scale_bias_relu": {"scale": 1, "bias": 1},
    "softmax": {},
    "transpose": {"x": 2, "out": 2},
}
"""Dimensions of the tensors that do not have four. The other examples compute constants from sizes, which needs shapes."""


@pytest.mark.parametrize("name", RANKS)
def test_a_trace_without_shapes(name: str) -> None:
    shapes, keywords = LARGE[name]
    given = example(name).elaborate(shapes, tpu.i32 if name == "int8_requant" else tpu.f32, **keywords)
    types = {param.name: param.dtype for param in given.kernel.params}
    traced = example(name).ir(None, types, rank=RANKS[name], **keywords)
    found = elaborate(traced, {name: place.shape for name, place in given.systems.items()}, tpu.BM1684X)
    assert found.program.streams() == given.program.streams()


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_what_is_printed_is_the_kernel(name: str) -> None:
    (shapes, keywords), types = LARGE[name], types_of(name, tpu.f16)
    read = tpu.parse(str(example(name).ir(shapes, types, **keywords)))
    assert read.program(shapes, types).streams() == example(name).program(shapes, types, **keywords).streams()
