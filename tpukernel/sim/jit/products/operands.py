"""Operands of products: where their elements lie by row, k and column; copies of them in work memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, reduce
from math import prod

from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.sim.jit.access import Place, conflicts, place_of, same_elements
from tpukernel.sim.jit.ir import I16, Value
from tpukernel.sim.jit.kernel import ARGUMENTS, Call
from tpukernel.sim.jit.moves import copying
from tpukernel.sim.jit.nest import is_injective
from tpukernel.sim.jit.nest_kernel import Elementwise, nest_calls
from tpukernel.sim.jit.numerics.ints import extended
from tpukernel.sim.jit.products.calls import product_calls
from tpukernel.sim.jit.products.product import Grid, Offsets, Product
from tpukernel.sim.memory import Memory

__all__ = ["Preparation", "Unsuitable", "combined", "flat", "grid"]

MOST_SCRATCH = 1 << 28
MOST_OFFSETS = 1 << 20


class Unsuitable(Exception):  # noqa: N818 - no error: the interpreter executes the command
    """The engine does not do this command."""


def combined(*offsets: Offsets) -> Offsets:
    """Offsets of all combinations of indices, the last index fastest."""
    return reduce(lambda a, b: (a[:, None] + b).reshape(-1), offsets)


def flat(place: Place, *axes: int) -> Offsets:
    """Offsets along some axes of a place, taken as one."""
    if prod(place.host.axes[axis].count for axis in axes) > MOST_OFFSETS:
        raise Unsuitable
    return combined(*(place.host.axes[axis].offsets() for axis in axes))


def grid(place: Place, dtype: Dtype, first: Sequence[int], second: Sequence[int]) -> Grid:
    """An operand as rows and columns, each made of some of its axes."""
    if place.space == ARGUMENTS:
        return Grid.constant(place.bits, dtype)
    return Grid(dtype, place.space, place.host.base, flat(place, *first), flat(place, *second))


@dataclass
class Preparation:
    """What has to be done before a product: copies of operands into work memory.

    Attributes:
        memory: the memories.
        dst: the result of the command, which is written while other operands are still read.
        fast: sums of floats need not have the chip's bits.
        calls: the calls so far.
        used: bytes of work memory so far.
    """

    memory: Memory
    dst: LocalTensor
    fast: bool = False
    calls: list[Call] = field(default_factory=list["Call"])
    used: int = 0

    def __post_init__(self) -> None:
        self.result = self.place(self.dst)
        if not is_injective(self.result.host):
            raise Unsuitable

    def place(self, operand: LocalTensor | Constant) -> Place:
        """Where an operand lies."""
        found = place_of(self.memory, operand)
        if found is None:
            raise Unsuitable
        return found

    def scratch(self, shape: tuple[int, ...], itemsize: int) -> Place:
        """New work memory."""
        size = prod(shape) * itemsize
        if self.used + size > MOST_SCRATCH:
            raise Unsuitable
        place = Place.scratch(shape, itemsize, self.used)
        self.used += (size + 127) // 64 * 64
        return place

    def nest(self, operation: Elementwise, dst: Place, *sources: Place) -> None:
        """Compute elements of work memory from elements."""
        calls = nest_calls(operation, [dst], sources)
        if calls is None:
            raise Unsuitable
        self.calls += calls

    def copy(self, dst: Place, source: Place) -> None:
        self.nest(copying(dst.host.itemsize), dst, source)

    def is_safe(self, place: Place) -> bool:
        """Whether it can be read while the result is written."""
        return not conflicts(self.result, place)

    def apart(self, place: Place) -> Place:
        """What is read while any elements of the result are written: where it lies, or a copy where the result lies over it."""
        if self.is_safe(place):
            return place
        copied = self.scratch(place.host.shape, place.host.itemsize)
        self.copy(copied, place)
        return copied

    def addend(self, operand: LocalTensor | Constant) -> Place:
        """An operand of which an element is read before its own result is written, and may lie there; else as `apart`."""
        place = self.place(operand)
        return place if same_elements(self.result, place) else self.apart(place)

    def difference(self, shape: tuple[int, ...], value: Place, dtype: Dtype, zero: Place, zero_dtype: Dtype) -> Place:
        """8-bit integers less their zero points, as i16."""
        place = self.scratch(shape, 2)
        self.nest(_difference(dtype, zero_dtype), place, value, zero)
        return place

    def finish(self, product: Product) -> list[Call]:
        """All calls: those so far, and those of the product."""
        if max(product.rows, product.depth, product.columns) > MOST_OFFSETS:
            raise Unsuitable
        calls = [*self.calls, *product_calls(product, self.used)]
        most = max(self.used, *(call.scratch for call in calls))
        if most > MOST_SCRATCH:
            raise Unsuitable
        for call in calls:
            call.scratch = most
        return calls


@cache
def _difference(dtype: Dtype, zero: Dtype) -> Elementwise:
    def body(values: Sequence[Value]) -> list[Value]:
        wide = [extended(value, one.is_signed, 32) for value, one in zip(values, (dtype, zero), strict=True)]
        return [(wide[0] - wide[1]).trunc(I16)]

    return Elementwise(f"zero.{dtype.name}.{zero.name}", (2,), (1, 1), body)
