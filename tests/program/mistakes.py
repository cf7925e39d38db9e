"""Functions with one mistake each. The lines and columns are part of the expected messages."""

from __future__ import annotations

import numpy as np

import bmlang as bm
from bmlang.layers.tensor import apply

KERNEL = np.ones((4, 3, 3, 3), np.float32)


@bm.function
def mixes_shapes(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    return bm.relu(x) + (x * y)


@bm.function
def mixes_dtypes(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    return x * bm.cast(x, bm.f16)


@bm.function
def inner(x: bm.Tensor) -> bm.Tensor:
    return bm.conv(x, KERNEL, pad=(1, 2, 3))


@bm.function
def outer(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    return inner(x) + y


@bm.function
def asks_for_the_truth(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    return bm.relu(x) if x.__bool__() else y


@bm.function
def misspells(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    return apply("bm::sigmiod", x)


@bm.function
def passes_a_word(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    return bm.relu(x + "one")  # pyright: ignore[reportOperatorIssue, reportUnknownArgumentType]


@bm.function
def forgets(x: bm.Tensor, y: bm.Tensor) -> None:
    bm.relu(x)


@bm.function
def returns_a_number(x: bm.Tensor, y: bm.Tensor) -> int:
    return 1


@bm.function
def names_twice(x: bm.Tensor, y: bm.Tensor) -> dict[str, bm.Tensor]:
    return {"x": x + x}


@bm.function
def rounds_oddly(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    return bm.cast(x, bm.i8, rounding="sideways")


@bm.function
def half_of_integers(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    return bm.cast(x, bm.i8) * 0.5


@bm.function
def has_no_form(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    return apply("tests::formless", x)
