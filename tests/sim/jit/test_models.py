"""The runtime computes natively what the official one computed, bit for bit, on the recorded runs of the BModel fixtures."""

from __future__ import annotations

import pytest

from bmlang.runtime import Runtime
from tests.runtime.test_recorded import network, same, static_runs
from tests.support.bmodels import model_bytes
from tests.support.model_runs import ModelRun
from tpukernel.sim.jit import run as native


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("run", static_runs(), ids=str)
def test_outputs_are_the_official_ones(run: ModelRun, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "PARALLEL_NANOSECONDS", 0.0)
    found = network(run, Runtime(model_bytes()[run.model], "jit", threads=threads))
    for _ in range(2):  # what the first launch left in memory must not be seen by the second one
        same(found.run(run.inputs), run)
