"""Shapes that the compiler chooses: every element is in exactly one part, beside the elements that numpy puts beside it."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmlang.compiler.canonical import elementwise_parts
from tpukernel import BM1684X

LARGEST = 65535
"""Sizes that a command has."""
SIZES = st.sampled_from([1, 2, 3, 7, 16, 63, 64, 65, 128, 1000, 4096])


@st.composite
def broadcast(draw: st.DrawFn) -> dict[str, tuple[int, ...]]:
    """Shapes of up to three tensors; together they have all elements of the largest one."""
    shape: list[int] = []
    for _ in range(draw(st.integers(1, 5))):
        size = draw(SIZES)
        shape.append(size if prod(shape) * size <= 200_000 else 1)
    found = {"out": tuple(shape)}
    for name in "ab"[: draw(st.integers(0, 2))]:
        kept = [1 if draw(st.integers(0, 2)) == 0 else size for size in shape]
        found[name] = tuple(kept[draw(st.integers(0, len(kept) - 1)) :])
    return found


@given(broadcast(), st.sampled_from([1, 2, 4]))
def test_every_element_is_in_one_part(shapes: dict[str, tuple[int, ...]], itemsize: int) -> None:
    operands = {name: np.arange(prod(shape)) + 1 for name, shape in shapes.items()}
    found = {name: np.zeros(prod(shapes["out"]), np.int64) for name in shapes}
    counts = np.zeros(prod(shapes["out"]), np.int64)
    for part in elementwise_parts(shapes, itemsize, BM1684X):
        start, shape = part.views["out"]
        assert all(1 <= size <= LARGEST for size in shape)
        counts[start : start + prod(shape)] += 1
        for name, operand in operands.items():
            offset, box = part.views[name]
            seen = operand[offset : offset + prod(box)].reshape(box)
            found[name][start : start + prod(shape)] = np.broadcast_to(seen, shape).reshape(-1)
    assert (counts == 1).all()
    for name, shape in shapes.items():
        wanted = np.broadcast_to(operands[name].reshape(shape), shapes["out"]).reshape(-1)
        assert np.array_equal(found[name], wanted), name


@pytest.mark.parametrize("shape", [(1, 64, 112, 112), (8, 3, 224, 224), (1000, 1000), (1, 1, 1, 1 << 20)])
def test_large_tensors_fill_the_lanes(shape: tuple[int, ...]) -> None:
    sizes = [part.views["x"][1] for part in elementwise_parts({"x": shape}, 4, BM1684X)]
    in_full_lanes = sum(prod(size) for size in sizes if size[1] % BM1684X.lanes == 0)
    assert in_full_lanes >= 0.9 * prod(shape)
