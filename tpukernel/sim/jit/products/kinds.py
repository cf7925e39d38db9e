"""The kinds of sums: types of the numbers in the packed factors and in the sums, and one step of a sum.

Two 16-bit integers lie in one 32-bit number of a packed factor of kind `PAIRS`, so that a step adds two products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tpukernel.dtypes import Dtype
from tpukernel.sim.jit.ir import F32, I32, I64, Type, Value
from tpukernel.sim.jit.llvm import Target
from tpukernel.sim.jit.numerics import floats
from tpukernel.sim.jit.numerics.ints import extended

__all__ = ["F32_SUMS", "FUSED", "GROUPS", "Kind", "kind_of", "panel_value", "step"]

Name = Literal["f32", "fused", "pairs", "i32", "i64", "groups"]


@dataclass(frozen=True)
class Kind:
    """How products are added up.

    Attributes:
        name: f32 products one by one (even and odd ones apart), floats in f32 without rounding the products (not what the chip does), pairs
            of 16-bit integers, 32-bit or 64-bit integers, or groups of 16-bit floats.
        sums: type of the sums.
        per_step: products of a step.
        buffers: sums of an element that are kept apart.
    """

    name: Name
    sums: Type
    per_step: int = 1
    buffers: int = 1

    @property
    def size(self) -> int:
        """Bytes of a number in the packed factors."""
        return self.sums.bits // 8

    @property
    def left_size(self) -> int:
        """Bytes of a number in a packed row of the left factor."""
        return self.size // self.per_step

    @property
    def left_step(self) -> int:
        """Bytes of a packed row from one step to the next: of every other number where even and odd ones are kept apart."""
        return self.size * self.buffers

    def lanes(self, target: Target) -> int:
        return target.vector_bytes // self.size

    def vectors(self, target: Target) -> int:
        """Vectors of columns in a panel."""
        return (32 if target.vector_bytes >= 32 else 16) // self.lanes(target) if self.name == "groups" else 2

    def rows(self, target: Target) -> int:
        """Rows of a block. The sums of a block stay in registers, and there are 32 of them, or 16 without AVX-512 on x86."""
        if not target.is_x86 or target.vector_bytes == 64:
            return 8
        return 6 if target.vector_bytes == 32 and self.name not in ("i32", "i64") else 4


F32_SUMS = Kind("f32", F32, buffers=2)
FUSED = Kind("fused", F32)
PAIRS = Kind("pairs", I32, per_step=2)
I32_SUMS = Kind("i32", I32)
I64_SUMS = Kind("i64", I64)
GROUPS = Kind("groups", F32)


def kind_of(left: Dtype, right: Dtype, *, fast: bool = False) -> Kind:
    """The kind of sums of products of two types; with `fast` the quickest one for floats, which is not the chip's."""
    if left.is_float and fast:
        return FUSED
    if left.is_float:
        return F32_SUMS if left.bits == 32 else GROUPS
    if max(left.bits, right.bits) == 32:
        return I64_SUMS
    fits = all(dtype.bits == 8 or dtype.is_signed for dtype in (left, right))
    return PAIRS if fits else I32_SUMS


def panel_value(kind: Kind, dtype: Dtype, values: Sequence[Value]) -> Value:
    """The number in a packed factor, from the bits of its elements."""
    if dtype.is_float:
        return floats.widen(values[0], dtype)
    if kind.name == "pairs":
        low, high = (extended(value, dtype.is_signed, 32) for value in values)
        return (low & 0xFFFF) | (high << 16)
    return extended(values[0], dtype.is_signed, kind.sums.bits)


def _fuses(target: Target) -> bool:
    """Whether it has fused multiply-adds: x86 got them together with vectors of 32 bytes."""
    return not target.is_x86 or target.vector_bytes >= 32


_PMADD = {64: "llvm.x86.avx512.pmaddw.d.512", 32: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.sse2.pmadd.wd"}


def step(kind: Kind, total: Value, left: Value, right: Value) -> Value:
    """A sum after one more step."""
    function = total.function
    if kind.name == "fused" and _fuses(function.target):
        return left.intrinsic("fma", right, total)
    if kind.name != "pairs":
        return total + left * right
    bytes_ = 4 * total.type.lanes
    if function.target.is_x86:
        halves = Type("i16", 2 * total.type.lanes)
        words = [function.emit(halves, f"bitcast {value} to {halves}") for value in (left, right)]
        return total + function.call(_PMADD[bytes_], total.type, words)
    low = ((left << 16).ashr(16)) * ((right << 16).ashr(16))
    return total + low + left.ashr(16) * right.ashr(16)
