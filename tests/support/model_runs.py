"""Recorded runs of the BModel fixtures: inputs, and what the official runtime computed (`tests/data/bmodels/runs.npz`).

`python -m tests.support.model_runs` makes the file from the corpus of recorded models.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from tests.support.bmodels import FOLDER, model_bytes
from tests.support.model_tool import corpus_folder
from tpukernel.sim.memory import Array

RUNS = FOLDER / "runs.npz"


@dataclass(frozen=True)
class ModelRun:
    """One run. `variant` names the stage where the model has several."""

    model: str
    variant: str
    inputs: dict[str, Array] = field(default_factory=dict[str, Array])
    outputs: dict[str, Array] = field(default_factory=dict[str, Array])

    def __str__(self) -> str:
        return f"{self.model}.{self.variant}".rstrip(".")


@cache
def model_runs() -> tuple[ModelRun, ...]:
    """All recorded runs; inputs and outputs are in the order of the model."""
    runs: dict[tuple[str, str], ModelRun] = {}
    with np.load(RUNS, allow_pickle=False) as archive:
        for key in archive.files:
            model, variant, side, name = key.split("/")
            run = runs.setdefault((model, variant), ModelRun(model, variant))
            (run.inputs if side == "in" else run.outputs)[name] = archive[key]
    return tuple(runs.values())


def runs_of(model: str) -> list[ModelRun]:
    """The runs of one model."""
    found = [run for run in model_runs() if run.model == model]
    assert found, model
    return found


def main() -> None:
    """Write the runs of all fixtures into one compressed archive."""
    arrays: dict[str, Any] = {}
    for model in model_bytes():
        for path in sorted(corpus_folder().glob(f"{model}.*in.npz")):
            variant = path.name[len(model) + 1 :].removesuffix("in.npz").rstrip(".")
            for side in ("in", "out"):
                with np.load(path.with_name(path.name.removesuffix("in.npz") + f"{side}.npz")) as archive:
                    arrays |= {f"{model}/{variant}/{side}/{name}": archive[name] for name in archive.files}
    np.savez_compressed(RUNS, **arrays)


if __name__ == "__main__":
    main()
