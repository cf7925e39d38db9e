"""Functions of BMLang run on the simulated chip against what their layers compute in numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

import bmlang as bm
from bmlang.graph.graph import Array
from tpukernel.dtypes import Dtype

__all__ = ["integers", "run_exactly"]


def integers(generator: np.random.Generator, shape: Sequence[int], dtype: Dtype, most: int | None = None) -> Array:
    """Random integers of a type, with the ends of their range; `most` limits them."""
    low, high = dtype.limits
    if most is not None:
        low, high = max(low, -most), min(high, most)
    found = generator.integers(low, high, tuple(shape), dtype=np.int64, endpoint=True)
    found.reshape(-1)[:2] = (low, high)[: found.size]
    return found.astype(dtype.numpy)


def run_exactly(function: Callable[..., object], inputs: Mapping[str, Array], mode: str = "f32") -> dict[str, Array]:
    """Runs a function and expects exactly what numpy computes.

    Args:
        function: what `bm.function` takes; it must do the same each time it is called.
        inputs: its inputs by name.
        mode: what f32 is computed in.

    Returns:
        The outputs by name.
    """
    made = bm.function(function)
    found, wanted = made.run(inputs, mode=mode), made.reference(**inputs)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    return dict(found)
