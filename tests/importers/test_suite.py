"""A sample of the node tests of the backend suite inside the package `onnx`; `python -m tests.support.onnx_suite` runs all of them."""

from __future__ import annotations

import pytest

from tests.support.onnx_suite import RIGHT, of_module, outcome

MODULES = (
    "argmax",
    "batch_normalization",
    "clip",
    "conv",
    "einsum",
    "gathernd",
    "isnan",
    "lrn",
    "mod",
    "nonmaxsuppression",
    "pad",
    "qlinearconv",
    "reducemax",
    "rnn",
    "scatterelements",
    "slice",
    "softplus",
    "spacetodepth",
    "split",
    "topk",
    "where",
)
AT_MOST = 3
"""Cases of a module that are run."""


@pytest.mark.parametrize("module", MODULES)
def test_results_are_right_or_refused_by_name(module: str) -> None:
    cases = of_module(module)
    assert cases
    for case in sorted(cases, key=lambda case: not case.counted)[:AT_MOST]:
        found = outcome(case)
        allowed = (*RIGHT, *(() if case.counted else ("refused",)))
        assert found.kind in allowed, f"{case.name}: {found.kind}: {found.told}"
