"""Examples as text, and traced without shapes: the programs are those of the Python functions, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

import tpukernel as tpu
from tests.examples.load import FOLDER, example, text_example
from tests.examples.test_cycles import LARGE, types_of
from tests.examples.test_texts import USES, Use
from tpukernel.lang import Kernel, KernelIr, elaborate
from tpukernel.lang.errors import SymbolicValueError

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


def read(ir: KernelIr) -> Kernel:
    """What the text of a representation is read as, checked to be the same representation with the same text."""
    text = str(ir)
    found = tpu.parse(text)
    assert found.ir() == ir
    assert str(found.ir()) == text
    return found


@pytest.mark.parametrize("name", RANKS)
def test_a_trace_without_shapes(name: str) -> None:
    shapes, keywords = LARGE[name]
    given = example(name).elaborate(shapes, tpu.i32 if name == "int8_requant" else tpu.f32, **keywords)
    types = {param.name: param.dtype for param in given.kernel.params}
    sizes = {name: place.shape for name, place in given.systems.items()}
    traced = example(name).ir(None, types, rank=RANKS[name], **keywords)
    assert elaborate(traced, sizes, tpu.BM1684X).program.streams() == given.program.streams()
    assert read(traced).program(sizes, types).streams() == given.program.streams()


@pytest.mark.parametrize("name", sorted({path.stem for path in FOLDER.glob("*.py")} - RANKS.keys()))
def test_the_others_need_shapes(name: str) -> None:
    """They say so; one that no longer does belongs into `RANKS`."""
    _, keywords = LARGE[name]
    with pytest.raises(SymbolicValueError):
        example(name).ir(
            None,
            types_of(name, tpu.f16),
            rank={"gamma": 2, "beta": 2, "query": 2, "key": 2, "value": 2, "out": 2 if name == "attention" else 4},
            **keywords,
        )


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_what_is_printed_is_the_kernel(name: str) -> None:
    (shapes, keywords), types = LARGE[name], types_of(name, tpu.f16)
    given = example(name).elaborate(shapes, types, **keywords)
    sizes = {name: place.shape for name, place in given.systems.items()}
    types = {param.name: param.dtype for param in given.kernel.params}
    assert read(example(name).ir(shapes, types, **keywords)).program(sizes, types).streams() == given.program.streams()


@pytest.mark.parametrize("use", USES, ids=lambda use: use.kernel)
def test_an_example_that_is_text_is_printed_and_read(use: Use) -> None:
    kernel = text_example(use.file, use.kernel)
    given = kernel.elaborate(use.shapes, use.dtype, **use.keywords)
    sizes = {name: place.shape for name, place in given.systems.items()}
    types = {param.name: param.dtype for param in given.kernel.params}
    for ir in (given.kernel, kernel.ir(None, types, **use.keywords)):
        assert read(ir).program(sizes, types).streams() == given.program.streams()
