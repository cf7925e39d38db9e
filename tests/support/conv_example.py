"""The model of `examples/conv_bmodel.py`, with weights that are no whole numbers."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Final

import numpy as np

from bmlang.bmodel import BModel
from tpukernel.sim.memory import Array

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "conv_bmodel.py"
_RNG = np.random.default_rng(3)
WEIGHTS: Final[dict[str, Array]] = {
    "weight": _RNG.standard_normal((32, 16, 3, 3)).astype("f4"),
    "bias": _RNG.standard_normal(32).astype("f4"),
}
INPUTS: Final[dict[str, Array]] = {
    "x": _RNG.standard_normal((1, 16, 14, 14)).astype("f4"),
    "r": _RNG.standard_normal((1, 32, 14, 14)).astype("f4"),
}


def conv_model() -> BModel:
    """The model."""
    built: object = run_path(str(EXAMPLE))["build"](WEIGHTS["weight"], WEIGHTS["bias"])
    assert isinstance(built, BModel)
    return built
