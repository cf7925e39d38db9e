"""A sample of the node tests of the backend suite inside the package `onnx`; `python -m tests.support.onnx_suite` runs all of them."""

from __future__ import annotations

import pytest

from tests.support.onnx_suite import RIGHT, of_module, outcome

MODULES = {
    "abs": 0,
    "argmax": 0,
    "averagepool": 0,
    "batchnorm": 0,
    "clip": 0,
    "conv": 0,
    "cumsum": 1,
    "einsum": 0,
    "gathernd": 0,
    "gru": 0,
    "if": 2,
    "isnan": 0,
    "layernormalization": 0,
    "maxpool": 2,
    "mod": 1,
    "nonmaxsuppression": 0,
    "pad": 0,
    "qlinearconv": 0,
    "reduce_log_sum_exp": 1,
    "resize": 0,
    "scatterelements": 4,
    "slice": 1,
    "softmax": 0,
    "split": 2,
    "where": 0,
}
"""By module of the suite: how many of its cases are refused by name (double precision, several values for one place, no elements)."""
AT_MOST = 6
"""Cases of a module that are run."""


@pytest.mark.parametrize("module", MODULES)
def test_results_are_right_or_refused_by_name(module: str) -> None:
    cases = of_module(module)
    assert cases
    found = {case.name: outcome(case) for case in cases[:AT_MOST]}
    wrong = [f"{name}: {each.kind}: {each.told}" for name, each in found.items() if each.kind not in (*RIGHT, "refused")]
    assert not wrong, "\n".join(wrong)
    refused = [f"{name}: {each.told}" for name, each in found.items() if each.kind == "refused"]
    assert len(refused) <= MODULES[module], "\n".join(refused)
