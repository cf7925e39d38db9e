"""Decoded operands of recorded calls are what the recording says of its memory regions: place, type, shape and direction."""

from __future__ import annotations

import pytest

from tests.support.api_calls import emitting
from tests.support.golden import GoldenCase, GoldenTensor, golden_cases
from tpukernel import BM1684X
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.dtypes import DTYPES
from tpukernel.isa import Arith, OperandUse, decode
from tpukernel.isa.tables import instruction_set

FUNCTIONS = {*emitting(Arith), *emitting(*(unit for unit in instruction_set(BM1684X).units if unit.engine == "gdma"))}
CASES = [case for case in golden_cases() if case.function in FUNCTIONS]
DIRECTIONS = {"in": {"in"}, "inout": {"inout"}, "out": {"out", "inout"}}
AS_INTEGERS = {"tpu_bdc_fp_isfinite"}
"""Functions that look at the bits of floats."""


def fits(case: GoldenCase, wanted: GoldenTensor, use: OperandUse) -> bool:
    """Whether an operand is that region. A region of one dimension counts elements only; gaps between rows count, too."""
    value, dtype = use.value, DTYPES[wanted.dtype]
    if not isinstance(value, LocalTensor | SystemTensor) or value.address != wanted.addr:
        return False
    same_kind = value.dtype.bits == dtype.bits and (value.dtype.is_float == dtype.is_float or case.function in AS_INTEGERS)
    same_place = isinstance(value, LocalTensor) == (wanted.space == "lmem")
    same_shape = len(wanted.shape) == 1 or value.shape == wanted.shape
    return same_kind and same_place and same_shape and use.direction in DIRECTIONS[wanted.role]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_operands_are_the_recorded_regions(case: GoldenCase) -> None:
    instructions = [*decode(BM1684X, "tiu", case.tiu), *decode(BM1684X, "gdma", case.gdma)]
    uses = [use for instruction in instructions for use in instruction.operands()]
    wanted = [tensor for tensor in case.tensors if tensor.role != "work"]
    assert wanted
    for tensor in wanted:
        assert any(fits(case, tensor, use) for use in uses), tensor
    if len(instructions) == 1:
        assert sum(isinstance(use.value, LocalTensor | SystemTensor) for use in uses) == len(wanted) + (
            case.function == "tpu_bdc_int_square"
        )
