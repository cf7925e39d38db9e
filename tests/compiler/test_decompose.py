"""Layers that become others: names, places and types stay those of the function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

import bmlang as bm
from bmlang.compiler.errors import NoFormError
from bmlang.compiler.passes.decompose import decompose
from bmlang.compiler.pipeline import prepared
from bmlang.graph import verify
from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Layer
from bmlang.layers.reference import run_reference
from bmlang.layers.registry import register
from bmlang.layers.tensor import apply
from tests.support.agreement import numbers
from tpukernel.lang.signature import TensorSpec


@bm.function
def several(x: bm.Tensor, weight: bm.Tensor, bias: bm.Tensor) -> dict[str, bm.Tensor]:
    return {"conv": bm.conv(x, weight, bias, groups=2), "same": bm.resize(x, x.shape[2:]), "sums": bm.cumsum(x, 1)}


SHAPES = {"x": (1, 6, 5, 4), "weight": (4, 3, 2, 2), "bias": (4,)}


def test_what_is_computed_stays() -> None:
    graph = several.traced(SHAPES)
    made = decompose(graph)
    verify(made, "decompose")
    assert (made.inputs, made.outputs) == (graph.inputs, graph.outputs)
    arrays = {name: numbers(*shape) for name, shape in SHAPES.items()}
    before, after = run_reference(graph, arrays), run_reference(made, arrays)
    for name in graph.outputs:
        np.testing.assert_allclose(before[name].astype(np.float64), after[name].astype(np.float64), atol=1e-5)
        assert made.specs[name] == graph.specs[name]


def test_nothing_is_left_and_nothing_done_twice() -> None:
    made = decompose(several.traced(SHAPES))
    ops = [node.op for node in made.nodes]
    assert "bm::resize" not in ops and "bm::cumsum" not in ops and "bm::copy" in ops
    assert all(node.attrs["groups"] == 1 for node in made.nodes if node.op == "bm::conv")
    assert decompose(made).equals(made)


def test_new_nodes_stand_at_the_line_of_the_old_one() -> None:
    graph = several.traced(SHAPES)
    places = {node.op: node.position for node in graph.nodes}
    for node in decompose(graph).nodes:
        assert node.position is not None and node.position in places.values()
        assert any(node.name.startswith(old.name) for old in graph.nodes)


def test_constants_are_arranged_when_the_model_is_compiled() -> None:
    @bm.function
    def deconvolved(x: bm.Tensor) -> bm.Tensor:
        return bm.deconv(x, numbers(6, 3, 3, 3), groups=2)

    for mode in (bm.f32, bm.f16):
        graph = prepared(deconvolved.traced({"x": (1, 6, 5, 5)}), mode)
        assert {node.op for node in graph.nodes} <= {"bm::conv", "bm::cast"}


def test_a_layer_that_nothing_computes() -> None:
    class Idea(Layer):
        name = "decompose::idea"

        def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
            assert inputs[0] is not None
            return inputs[0]

        def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
            assert inputs[0] is not None
            return inputs[0]

    register(Idea)

    @bm.function
    def hopes(x: bm.Tensor) -> bm.Tensor:
        return apply("decompose::idea", x)

    with pytest.raises(NoFormError, match="no way to compute decompose::idea"):
        hopes(np.ones((2, 3), np.float32))
