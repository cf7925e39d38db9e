"""Launches from several threads."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np

from bmlang.bmodel.combine import Source, combine
from bmlang.runtime import Runtime
from tests.support.bmodels import ADD_STAGES, MATMUL, fixture
from tests.support.model_runs import ModelRun, runs_of


def test_threads_get_their_own_results() -> None:
    """Each result is that of its own inputs, although all nets and stages share one machine, and the first launches come together."""
    combined = combine([Source(name, fixture(name)) for name in (ADD_STAGES, MATMUL)]).bmodel
    recorded = [*runs_of(ADD_STAGES), *runs_of(MATMUL)]
    nothing = [replace(run, inputs={name: np.zeros_like(array) for name, array in run.inputs.items()}) for run in recorded]
    runs = [run for pair in zip(recorded, nothing, strict=True) for run in pair]

    def launch(runtime: Runtime, run: ModelRun) -> dict[str, bytes]:
        found = runtime[fixture(run.model).model.net[0].name].run(run.inputs)
        return {name: array.tobytes() for name, array in found.items()}

    alone = Runtime(combined)
    wanted = [launch(alone, run) for run in runs]
    shared = Runtime(combined)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads alternate as often as they can
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(partial(launch, shared), runs * 6))
    finally:
        sys.setswitchinterval(interval)
    assert found == wanted * 6
    assert len({tuple(outputs.values()) for outputs in wanted}) == len(runs)
