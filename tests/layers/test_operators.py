"""Every operator with every data type, over random shapes, against references that were written apart from the layers.

Called, compiled and loaded from the file, an operator gives the same bits; these are within bounds that follow from how it is computed.
Each operator and type has one example, another one each day, and 20 in the profile `nightly`; of the types after the first of an operator a
day has one half, except in the continuous integration. The example of a seed is always the same, so that a failure can be looked at again:
`OPERATORS["conv"].example(bm.f16, 42)`.
"""

from __future__ import annotations

import inspect
import os
import re
from importlib import import_module

import numpy as np
import pytest
from hypothesis import settings

import bmlang as bm
from bmlang.layers.registry import FAMILIES, all_layers
from tests.support.effort import DAY
from tests.support.operator_matrix import PAGE
from tests.support.operator_runs import run_of
from tests.support.operators import OPERATORS, Operator
from tests.support.operators.base import FLOATS, one
from tpukernel.dtypes import Dtype

EXAMPLES = 20 if settings().max_examples >= 1000 else 1
SEEDS = range(EXAMPLES * DAY, EXAMPLES * (DAY + 1))
ALL = "CI" in os.environ or EXAMPLES > 1
CASES = [
    pytest.param(operator, dtype, id=f"{operator.name}-{dtype.name}")
    for operator in OPERATORS.values()
    for place, dtype in enumerate(operator.dtypes)
    if ALL or place == 0 or (place + DAY) % 2
]
SEEN_SEEDS = 12
"""Examples of an operator that are looked through for the layers that it uses."""


def public_operators() -> set[str]:
    """The functions of `bm` that make tensors."""
    modules = [import_module(f"bmlang.layers.{family}") for family in FAMILIES]
    return {name for module in modules for name in module.__all__ if inspect.isfunction(getattr(module, name))}


def layers_of(operator: Operator) -> set[str]:
    """The layers that an operator uses."""
    found: set[str] = set()
    for seed in range(SEEN_SEEDS):
        example = operator.example(operator.dtypes[0], seed)
        specs = {name: bm.spec(array.shape, str(array.dtype)) for name, array in example.named.items()}
        found |= {node.op for node in example.function(operator.name).traced(specs).nodes}
    return found


@pytest.mark.parametrize(("operator", "dtype"), CASES)
def test_an_operator_computes_what_it_says(operator: Operator, dtype: Dtype) -> None:
    for seed in SEEDS:
        example = operator.example(dtype, seed)
        run = run_of(example, operator.name)
        assert not run.difference(), f"seed {seed}: {run.difference()}"
        assert not run.mistakes(example), f"seed {seed}: {run.mistakes(example)}"


def test_every_operator_has_a_row() -> None:
    missing = public_operators() - OPERATORS.keys()
    assert not missing, f"tests/support/operators has no row for {', '.join(sorted(missing))}"
    used = {layer for operator in OPERATORS.values() for layer in layers_of(operator)}
    built_in = {name for name, known in all_layers().items() if known.origin.startswith("bmlang.")}
    assert not built_in - used, f"no row of tests/support/operators uses {', '.join(sorted(built_in - used))}"


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=list(OPERATORS))
def test_the_row_names_every_type_that_the_layer_has(operator: Operator) -> None:
    layer = all_layers().get(f"bm::{operator.name}")
    if layer is not None and layer.layer.dtypes != (bm.f32,):
        assert set(layer.layer.dtypes) <= set(operator.dtypes)
    if bm.f32 in operator.dtypes:
        assert set(FLOATS) <= set(operator.dtypes), "what works in f32 works in the other floats, too"


def test_the_page_has_every_operator_and_nothing_differs() -> None:
    """`python -m tests.support.operator_matrix` adds what docs/operators.md lacks."""
    rows = [line.strip("| \n").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = [(row[0].strip("`"), row[1]) for row in rows]
    wanted = [(operator.name, dtype.name) for operator in OPERATORS.values() for dtype in operator.dtypes]
    assert set(named) == set(wanted) and len(named) == len(wanted), set(wanted) ^ set(named)
    dynamic = re.compile(r"(same|fixed|BML104|RT117|smaller)|(\d (same|fixed|BML104|RT117|smaller)(, )?)+")
    assert [row for row in rows if row[2:4] != ["same"] * 2 or not dynamic.fullmatch(row[4]) or row[5].partition(" (")[0] != "same"] == []


@pytest.mark.parametrize("dtype", [bm.f32, bm.f16, bm.bf16, bm.i8, bm.u32], ids=str)
def test_a_wrong_result_is_found(dtype: Dtype) -> None:
    array = np.arange(1, 7).reshape(2, 3).astype(dtype.numpy)
    example = one([array], lambda x: x, array.astype(np.float64))
    assert not example.mistake(0, array)
    wrong = array.copy()
    wrong[1, 2] = np.nextafter(wrong[1, 2], dtype.numpy.type(99)) if dtype.is_float else 7
    assert "1 of 6 are wrong; at [1, 2]" in example.mistake(0, wrong)
    assert "has the shape (3, 2)" in example.mistake(0, array.reshape(3, 2))
    if dtype.is_float:
        wrong[1, 2] = np.nan
        assert "1 of 6 are wrong" in example.mistake(0, wrong)


def test_ways_that_differ_are_found() -> None:
    run = run_of(OPERATORS["relu"].example(bm.f32, 0), "relu")
    assert not run.difference()
    wrong = {"output": np.add(run.called["output"], 1)}
    assert "loaded: output differs" in type(run)(run.file, run.called, run.compiled, wrong, run.layers).difference()
