"""Random legal instructions of AR."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from random import Random

from tests.support.differential import CHIP, SHAPES, Arena
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import DTYPES, Dtype, i8
from tpukernel.isa.arith import Arith
from tpukernel.isa.arith_op import SELECTS, SHIFTABLE, SHIFTS, UNARY, ArithOp
from tpukernel.isa.rounding import Rounding

Types = tuple[Dtype, Dtype, Dtype | None]
"""Types of dst, src0 and src1."""


def type_combinations(op: ArithOp) -> Iterator[Types]:
    """The combinations of types that the rules of AR allow for an operation."""
    shape = (1, 1, 1, 1)
    for dst, src0, src1 in product(DTYPES.values(), DTYPES.values(), [None] if op in UNARY else DTYPES.values()):
        tensors = [None if dtype is None else LocalTensor(64 * k, shape, dtype) for k, dtype in enumerate((dst, src0, src1))]
        instruction = Arith(op=op, dst=tensors[0], src0=tensors[1], src1=tensors[2], **_rest(op, dst))  # pyright: ignore[reportArgumentType]
        if not instruction.problems(CHIP):
            yield dst, src0, src1


def _rest(op: ArithOp, dst: Dtype) -> dict[str, object]:
    if op in SELECTS:
        return {"src2": Constant(1, dst)}
    if op is ArithOp.MAC and dst.is_int:
        return {"src2": Constant(0, i8), "rounding": Rounding.HALF_EVEN}
    if op is ArithOp.DIV:
        return {"iterations": 3}
    return {"rounding": Rounding.HALF_EVEN} if op in SHIFTS | {ArithOp.CAST, ArithOp.MUL_HIGH} else {}


def draw(rng: Random, op: ArithOp, types: Types) -> Arith:
    """A random instruction of these types: shapes, start lanes, layouts, strides, broadcasts, constants, shifts, rounding."""
    dst, src0, src1 = types
    arena = Arena(rng)
    shape = rng.choice(SHAPES)
    const = rng.choice((None, None, None, "src0", "src1"))

    def source(name: str, dtype: Dtype) -> LocalTensor | Constant:
        if const == name:
            return Constant.of(rng.randint(-32, 32), dtype) if op in SHIFTS and name == "src1" else arena.constant(dtype)
        return arena.strided(shape, dtype, broadcast=True)

    values: dict[str, object] = _rest(op, dst)
    values |= {"dst": arena.strided(shape, dst, broadcast=False), "src0": source("src0", src0)}
    if src1 is not None:
        values["src1"] = source("src1", src1)
    if op in SELECTS:
        values["src2"] = arena.constant(dst)
    elif op is ArithOp.MAC and dst.is_int:
        values["src2"] = Constant(rng.randrange(0, 16) | rng.randrange(0, 16) << 8, i8)
    elif op in SHIFTABLE and dst.is_int and rng.random() < 0.6:
        per_channel = arena.tensor((1, shape[1], 1, 1), i8, Layout.COMPACT)
        values["src2"] = rng.choice((per_channel, Constant(rng.randint(-40, 31) & 0xFF, i8)))
        values["rounding"] = None
    if op is ArithOp.DIV:
        values["iterations"] = rng.randint(1, 4)
    if "rounding" in values:
        values["rounding"] = Rounding(rng.randint(0, 4 if op is ArithOp.CAST else 6))
    return Arith(op=op, **values)  # pyright: ignore[reportArgumentType]
