"""Layers compiled and run on the simulated TPU, and compared with what they are in numpy."""

from __future__ import annotations

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array

__all__ = ["MODES", "agree", "numbers"]

MODES = {"f32": 1e-5, "f16": 1e-2, "bf16": 6e-2}
"""What f32 is computed in, and the largest difference to numpy, relative to the largest number."""


def numbers(*shape: int, seed: int = 0) -> Array:
    """Normally distributed f32."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def agree(function: bm.Function, *, modes: tuple[str, ...] = tuple(MODES), exact: bool = False, **arrays: Array) -> dict[str, Array]:
    """The reference of a function for these inputs, with which the compiled function agrees in every mode.

    Args:
        function: the function.
        modes: what it is computed in.
        exact: to the bit.
        arrays: its inputs.
    """
    wanted = function.reference(**arrays)
    for mode in modes:
        found = function.run(arrays, mode=mode)
        assert list(found) == list(wanted)
        for name, right in wanted.items():
            assert (found[name].shape, found[name].dtype) == (right.shape, right.dtype)
            if exact:
                np.testing.assert_array_equal(found[name], right)
            else:
                wide = right.astype(np.float64)
                np.testing.assert_allclose(found[name], wide, rtol=0, atol=MODES[mode] * np.abs(wide).max(), err_msg=mode)
    return {name: np.asarray(value) for name, value in wanted.items()}
