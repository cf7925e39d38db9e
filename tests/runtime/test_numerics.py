"""Models whose products of floats need not have the chip's bits."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from bmlang.runtime import Runtime
from tests.support.bmodels import MATMUL, fixture
from tests.support.model_runs import runs_of
from tpukernel.sim.errors import EngineChoiceError


def test_fast_numerics_are_near_the_recorded_ones() -> None:
    runtime = Runtime(fixture(MATMUL), numerics="fast")
    assert repr(runtime) == "<Runtime BM1684X: matmul_f32, fast numerics>"
    (recorded,) = runs_of(MATMUL)
    for name, found in runtime["matmul_f32"].run(recorded.inputs).items():
        assert not np.array_equal(found, recorded.outputs[name])
        assert np.abs(found.astype(np.float64) - recorded.outputs[name].astype(np.float64)).max() < 1e-5


def test_exact_ones_are_the_default() -> None:
    assert repr(Runtime(fixture(MATMUL))) == "<Runtime BM1684X: matmul_f32>"
    assert Runtime(fixture(MATMUL)).numerics == "exact"


def test_others_are_refused() -> None:
    with pytest.raises(EngineChoiceError, match="no numerics 'quick'"):
        Runtime(fixture(MATMUL), numerics=cast("Any", "quick"))
