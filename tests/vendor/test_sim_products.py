"""CONV, PorD, MM and MM2 on the interpreter and on the official model: the same bits, for every function and every combination of types."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from tests.support.builders import builders, conv, matmul, pool
from tests.support.differential import CASES, Case, compare, hard_values
from tests.support.draws import accepted_dtypes, draw
from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import Dtype, u16
from tpukernel.isa import Instruction
from tpukernel.sim.memory import Array

FUNCTIONS = sorted({*conv.BUILDERS, *pool.BUILDERS, *matmul.BUILDERS} & accepted_dtypes().keys())
DRAWS = CASES if CASES >= 20 else min(CASES, 2)
"""Cases for each function and combination of types: there are many combinations."""
MOST_MACS = 3_000_000
"""More take the official model seconds."""


def contents(kind: int, rng: np.random.Generator, shape: tuple[int, ...], dtype: Dtype) -> Array:
    """Numbers of like size; of any size; and what provokes mistakes, infinities among it, so rarely that sums survive.

    No NaN: where several meet in a sum, the model's sign and payload depend on how it was compiled; the interpreter does not repeat that.
    """
    if dtype.is_int:
        return rng.integers(*dtype.limits, shape, endpoint=True, dtype=dtype.numpy) if kind != 1 else hard_values(rng, shape, dtype)
    values = rng.standard_normal(shape)
    if kind == 1:
        values *= 2.0 ** rng.integers(-20, 12, shape)
    if kind == 2:
        values *= 2.0 ** (rng.integers(-8, -2) * 8)
    found = values.astype(np.float32).astype(dtype.numpy)
    if kind == 3:
        hard = hard_values(rng, shape, dtype)
        return np.where((rng.random(shape) < 0.01) & ~np.isnan(hard.astype(np.float32)), hard, found)
    return found


def cases(function: str, dtypes: dict[str, int], seed: int) -> Iterator[Case]:
    source, rng, found = Random(f"{function} {dtypes} {seed}"), np.random.default_rng(seed), 0
    for _ in range(DRAWS * 20):
        [instruction] = builders()[function](draw(function, source, dtypes=dtypes))
        if instruction.macs > MOST_MACS:
            continue
        tensors = {use.name: use.value for use in instruction.operands() if isinstance(use.value, LocalTensor)}
        values = {name: fill(instruction, name, tensor, found % 4, rng) for name, tensor in tensors.items()}
        yield Case(instruction, values)
        found += 1
        if found == DRAWS:
            return


def fill(instruction: Instruction, name: str, tensor: LocalTensor, kind: int, rng: np.random.Generator) -> Array:
    if name == "roi":
        return regions(instruction, rng, tensor.shape)
    if name == "shift":  # what the functions take as a constant; farther shifts of the model are not described
        return rng.integers(-32, 32, tensor.shape).astype(tensor.dtype.numpy)
    return contents(kind, rng, tensor.shape, tensor.dtype)


def regions(instruction: Instruction, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Regions of interest: most of them inside the input."""
    image = instruction.value_of("input")
    assert isinstance(image, LocalTensor)
    size = np.array(image.shape[:1:-1])
    first = rng.integers(0, size, (shape[1], 2))
    last = rng.integers(first, size)
    return np.concatenate([first, last], axis=1).astype(u16.numpy).reshape(shape)


@pytest.mark.vendor
@pytest.mark.parametrize("function", FUNCTIONS)
def test_products_have_the_official_bits(function: str) -> None:
    differences: list[str] = []
    for number, dtypes in enumerate(accepted_dtypes()[function]):
        differences += compare(cases(function, dtypes, number), seed=number)
    assert not differences, f"{len(differences)} differ\n" + "\n\n".join(differences[:3])
