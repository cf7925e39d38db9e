"""RQ&DQ on the official model and on the interpreter: every operation, every pair of types, constants and tables."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TypedDict

import numpy as np
import pytest

from tests.support.differential import CASES, Arena, Case, compare
from tests.support.places import shape_of
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u8, u16
from tpukernel.isa import Quant, QuantOp, Rounding
from tpukernel.sim.memory import Array

pytestmark = pytest.mark.vendor

NARROW = (i8, u8, i16, u16)
PAIRS = [
    *((op, dst, src) for op in (QuantOp.REQUANT_FP, QuantOp.REQUANT_INT) for dst in NARROW for src in (i16, u16, i32)),
    *((QuantOp.DEQUANT_FP, f32, src) for src in NARROW),
    *((QuantOp.DEQUANT_INT, dst, src) for dst in (i16, u16, i32) for src in NARROW),
]


class Numbers(TypedDict, total=False):
    """What the command holds instead of a table."""

    scale: Constant
    multiplier: Constant
    shift: int
    offset: Constant


@pytest.mark.parametrize("per_channel", [False, True], ids=["constants", "table"])
@pytest.mark.parametrize(("op", "dst", "src"), PAIRS, ids=str)
def test_quant(op: QuantOp, dst: Dtype, src: Dtype, per_channel: bool) -> None:
    make = with_table if per_channel else with_constants
    assert compare([make(Random(f"{op.name} {dst} {src} {number}"), op, dst, src) for number in range(CASES)], seed=1) == []


def _parts(rng: Random, op: QuantOp, dst: Dtype, src: Dtype) -> tuple[Arena, LocalTensor, LocalTensor, Rounding]:
    arena, shape = Arena(rng), shape_of(rng)
    result = arena.tensor(shape, dst)
    in_place = dst.bits == src.bits and rng.random() < 0.3
    operand = replace(result, dtype=src) if in_place else arena.tensor(shape, src)
    return arena, result, operand, Rounding(rng.randrange(5 if op is QuantOp.REQUANT_FP else 7))


def _modes(rng: Random, op: QuantOp) -> Rounding | None:
    return Rounding(rng.randrange(7)) if op is QuantOp.REQUANT_FP else None


def with_constants(rng: Random, op: QuantOp, dst: Dtype, src: Dtype) -> Quant:
    arena, result, operand, rounding = _parts(rng, op, dst, src)
    numbers = _numbers(rng, arena, op, signed=(dst if op is QuantOp.REQUANT_INT else src).is_signed)
    return Quant(op=op, dst=result, src=operand, rounding=rounding, src_rounding=_modes(rng, op), **numbers)


def _numbers(rng: Random, arena: Arena, op: QuantOp, *, signed: bool) -> Numbers:
    offset = Constant(rng.choice((0, rng.randrange(100), rng.getrandbits(16))), i16 if signed else u16)
    if op is QuantOp.REQUANT_FP:
        return {"scale": _float(rng, arena), "offset": _float(rng, arena)}
    if op is QuantOp.DEQUANT_FP:
        return {"scale": _float(rng, arena), "offset": offset}
    return {"multiplier": arena.constant(i32), "shift": _shift(rng), "offset": offset}


def with_table(rng: Random, op: QuantOp, dst: Dtype, src: Dtype) -> Case:
    arena, result, operand, rounding = _parts(rng, op, dst, src)
    floats = op is QuantOp.REQUANT_FP
    columns = 2 if op in (QuantOp.REQUANT_FP, QuantOp.DEQUANT_FP) else 3
    table = arena.tensor((1, result.shape[1], 1, columns), f32 if floats else i32)
    command = Quant(op=op, dst=result, src=operand, table=table, rounding=rounding, src_rounding=_modes(rng, op))
    if floats:
        return Case(command)
    return Case(command, {"table": _table(rng, arena, op, table)})


def _table(rng: Random, arena: Arena, op: QuantOp, table: LocalTensor) -> Array:
    """Bits above those that count are random."""
    rows: list[list[int]] = []
    for _ in range(table.shape[1]):
        offset, shift = rng.getrandbits(32), rng.getrandbits(24) << 8 | _shift(rng) & 0xFF
        multiplier, scale = arena.constant(i32).bits, _float(rng, arena).bits
        rows.append(
            {
                QuantOp.REQUANT_INT: [multiplier, shift, offset],
                QuantOp.DEQUANT_FP: [offset, scale],
                QuantOp.DEQUANT_INT: [offset, multiplier, shift],
            }[op]
        )
    return np.array(rows, np.uint32).view(np.int32).reshape(table.shape)


def _float(rng: Random, arena: Arena) -> Constant:
    return rng.choice((arena.constant(f32), Constant.of(rng.uniform(-2, 2), f32), Constant.of(rng.randrange(-40, 40) / 4, f32)))


def _shift(rng: Random) -> int:
    return rng.choice((0, -rng.randrange(1, 32), -rng.randrange(32, 64), rng.randrange(1, 8), rng.randrange(-128, 128)))
