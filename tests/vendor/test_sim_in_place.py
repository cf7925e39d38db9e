"""Units that may write their result exactly over an operand (`in_place`): the official C model gives the same as without overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import cast

import pytest

from tests.support import draw_arith
from tests.support.differential import compare
from tests.vendor import test_sim_compare, test_sim_linear, test_sim_special
from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import bf16, f16, f32
from tpukernel.isa.arith import Arith
from tpukernel.isa.arith_op import ArithOp
from tpukernel.isa.compare import Compare, CompareOp
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.linear import Linear, LinearOp
from tpukernel.isa.special import Special, SpecialOp

pytestmark = pytest.mark.vendor

Draw = Callable[[Random], Instruction]


def arith(rng: Random) -> Instruction:
    op = rng.choice(list(ArithOp))
    return draw_arith.draw(rng, op, rng.choice(list(draw_arith.type_combinations(op))))


def linear(rng: Random) -> Instruction:
    return test_sim_linear.draw(rng, rng.choice(list(LinearOp)), rng.choice((f32, f16, bf16)))


def select(rng: Random) -> Instruction:
    op = rng.choice(list(CompareOp))
    return test_sim_compare.draw(rng, op, *rng.choice(test_sim_compare.type_pairs(op)))


def special(rng: Random) -> Instruction:
    op, dst, src = rng.choice(test_sim_special.CASES)
    assert op in SpecialOp
    return test_sim_special.draw(rng, op, dst, src)


def in_place(instruction: Instruction) -> Iterator[Instruction]:
    """The instruction with each of its results over each of its operands that has elements of that size."""
    uses = [use for use in instruction.operands() if isinstance(use.value, LocalTensor)]
    for result in uses:
        for operand in uses:
            dst, src = cast("LocalTensor", result.value), cast("LocalTensor", operand.value)
            fits = dst.shape == src.shape and dst.dtype.bits == src.dtype.bits and 0 not in (src.strides or ())
            if result.direction != "in" and operand.direction == "in" and fits:
                moved = LocalTensor(src.address, dst.shape, dst.dtype, src.layout, src.strides)
                changed = instruction.replace(**{result.name: moved})
                if not changed.problems(test_sim_compare.CHIP):
                    yield changed


@pytest.mark.parametrize(("unit", "draw"), [(Arith, arith), (Linear, linear), (Compare, select), (Special, special)])
def test_a_result_may_lie_on_an_operand(unit: type[Instruction], draw: Draw) -> None:
    rng = Random(unit.unit)
    cases = [changed for _ in range(120 if unit is Arith else 40) for changed in in_place(draw(rng))]
    assert len(cases) >= 40 and unit.in_place
    assert compare(cases, seed=1) == []
