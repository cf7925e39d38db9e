"""Every operator in a function whose sizes vary: the text gives, for the sizes of an example, the graph that the function is traced to."""

from __future__ import annotations

import pytest
from hypothesis import settings

import bmlang as bm
from bmlang.graph.errors import GraphError, SizeUseError
from bmlang.graph.parse import parse_graph
from bmlang.graph.text import SHOWN_ELEMENTS
from bmlang.program.varying import traced_varying
from tests.support.operators import OPERATORS
from tpukernel.dtypes import dtype_of

FIXED = {"avg_pool_int", "cumsum", "flip", "gather_nd", "interpolate", "lut", "mean_std_scale", "repeat", "resize", "roll", "rope"}
"""Operators whose arguments are made of the numbers of sizes, so that some dimensions cannot vary."""
CHOSEN = list(OPERATORS)[:: 1 if settings().max_examples > 1000 else 3]
"""A plain run takes every third."""


@pytest.mark.parametrize("name", CHOSEN)
def test_an_operator(name: str) -> None:
    operator = OPERATORS[name]
    example = operator.example(operator.dtypes[0], 0)
    inputs = example.named
    if all(size == 1 for array in inputs.values() for size in array.shape):
        return  # nothing can vary
    specs = {key: bm.spec(tuple(map(bm.upto, array.shape)), dtype_of(array.dtype)) for key, array in inputs.items()}
    try:
        graph = traced_varying(example.function("f"), specs, {})
    except SizeUseError:
        assert name in FIXED
        return
    except GraphError as error:
        pytest.fail(str(error))
    read = parse_graph(str(graph), {key: value for key, value in graph.constants.items() if value.size > SHOWN_ELEMENTS})
    assert read.equals(graph)
