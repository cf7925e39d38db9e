"""What an operator is to the tests: random uses of it, and what these compute, told apart from the layers' own references.

Bounds are derived from how the chip computes: `unit(dtype)` is the relative error of one rounding; what is computed in several steps has
the sum of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

import bmlang as bm
from bmlang.graph.graph import Array
from bmlang.layers.tensor import Tensor
from tpukernel.dtypes import Dtype, bf16, dtype_of, f16, f32

__all__ = ["FLOATS", "SIZES", "Body", "Draw", "Example", "Operator", "Reals", "one", "unit", "wide"]

_T = TypeVar("_T")
Reals = NDArray[np.float64]
Result = Tensor | Sequence[Tensor]
Body = Callable[[Tensor], Result] | Callable[[Tensor, Tensor], Result] | Callable[[Tensor, Tensor, Tensor], Result]
FLOATS = (f32, f16, bf16)
SIZES = (1, 2, 3, 5, 7, 13, 31, 63, 64, 65, 67, 130, 257)
"""Edges of lanes and of execution units among them."""
PRECISION = {f32: 24, f16: 11, bf16: 8}
SMALLEST = {f32: 2.0**-126, f16: 2.0**-24, bf16: 2.0**-126}
"""Below it a result may be 0: f32 and bf16 have no subnormal numbers on the chip."""


def unit(dtype: Dtype) -> float:
    """Relative error of a rounding to a float type."""
    return 2.0 ** -PRECISION[dtype]


def wide(array: Array) -> Reals:
    """An array in float64."""
    return array.astype(np.float64)


@dataclass(frozen=True)
class Example:
    """One use of an operator.

    Attributes:
        inputs: what the function gets.
        body: the function, on as many tensors.
        wanted: the exact results, before they are rounded to the type of the output.
        bounds: how far each may be off before that.
    """

    inputs: tuple[Array, ...]
    body: Body
    wanted: tuple[Reals, ...]
    bounds: tuple[Reals | float, ...]

    def function(self, name: str) -> bm.Function:
        """The function of this name with inputs a, b, c."""

        body = cast("Callable[..., object]", self.body)

        def of_one(a: Tensor) -> object:
            return body(a)

        def of_two(a: Tensor, b: Tensor) -> object:
            return body(a, b)

        def of_three(a: Tensor, b: Tensor, c: Tensor) -> object:
            return body(a, b, c)

        python = (of_one, of_two, of_three)[len(self.inputs) - 1]
        python.__name__ = name
        return bm.function(python)

    @property
    def named(self) -> dict[str, Array]:
        """The inputs by name."""
        return dict(zip("abc", self.inputs, strict=False))

    def mistake(self, place: int, found: Array) -> str:
        """What is wrong with an output, in words; empty for nothing."""
        wanted, bound = self.wanted[place], self.bounds[place]
        if found.shape != wanted.shape:
            return f"output {place} has the shape {found.shape}, not {wanted.shape}"
        dtype = dtype_of(found.dtype)
        allowed = np.broadcast_to(np.asarray(bound, np.float64), wanted.shape)
        if dtype.is_int:
            wanted = np.clip(wanted, *dtype.limits)
        else:
            allowed = allowed + (np.abs(wanted) + allowed) * unit(dtype) + SMALLEST[dtype]
        off = np.abs(wide(found) - wanted)
        wrong = ~(off <= allowed)
        if not wrong.any():
            return ""
        worst = np.unravel_index(np.argmax(np.where(wrong, off / np.maximum(allowed, 1e-300), -1)), wrong.shape)
        where = [int(each) for each in worst]
        return (
            f"output {place}: {wrong.sum()} of {wrong.size} are wrong; at {where} {wide(found)[worst]:.9g}, "
            f"not {wanted[worst]:.9g} within {allowed[worst]:.3g}"
        )


def one(inputs: Sequence[Array], body: Body, wanted: Reals, bound: Reals | float = 0.0) -> Example:
    """An example with one output."""
    return Example(tuple(inputs), body, (np.asarray(wanted, np.float64),), (bound,))


@dataclass(frozen=True)
class Operator:
    """An operator of `bm`, or a layer that has no function of its own.

    Attributes:
        name: of the function, or of the layer without its domain.
        dtypes: the types of its first tensor.
        make: a random use.
        remark: what a user should know, for the table.
    """

    name: str
    dtypes: tuple[Dtype, ...]
    make: Callable[[Draw, Dtype], Example]
    remark: str = ""

    def example(self, dtype: Dtype, seed: int) -> Example:
        """The use of a seed: always the same one."""
        return self.make(Draw(f"{self.name} {dtype.name} {seed}"), dtype)


class Draw:
    """Random choices from a seed."""

    def __init__(self, seed: str) -> None:
        self.random = np.random.default_rng(crc32(seed.encode()))

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.random.integers(low, high + 1))

    def choice(self, values: Sequence[_T]) -> _T:
        """One of the values."""
        return values[self.integer(0, len(values) - 1)]

    def size(self, most: int = 257) -> int:
        """A size up to `most`, often an odd one."""
        fits = [size for size in SIZES if size <= most]
        return fits[self.integer(0, len(fits) - 1)]

    def shape(self, most: int = 4000, ranks: tuple[int, int] = (1, 5)) -> tuple[int, ...]:
        """A shape with at most so many elements."""
        found: list[int] = []
        for _ in range(self.integer(*ranks)):
            found.append(self.size(most))
            most //= found[-1]
        return tuple(int(size) for size in self.random.permutation(found))

    def part(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that is repeated to another one."""
        kept = [1 if self.integer(0, 2) == 0 else size for size in shape]
        return tuple(kept[self.integer(0, len(kept) - 1) :])

    def numbers(self, shape: Sequence[int], dtype: Dtype, low: float = -4, high: float = 4) -> Array:
        """Floats from low to high; integers that are small, or any."""
        if dtype.is_float:
            return self.random.uniform(low, high, tuple(shape)).astype(dtype.numpy)
        least, most = (max(dtype.limits[0], -9), 9) if self.integer(0, 1) else dtype.limits
        return self.random.integers(least, most, tuple(shape), endpoint=True).astype(dtype.numpy)

    def integers(self, shape: Sequence[int], dtype: Dtype) -> Array:
        """Any integers of a type."""
        return self.random.integers(*dtype.limits, tuple(shape), endpoint=True).astype(dtype.numpy)
