"""Functions of one operand over the range of f32 and for special values: the simulator computes the bits of the official emulator."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.accuracy import SPECIAL, normal_numbers, prepared
from tests.support.accuracy_cases import CASES, Case
from tests.support.differential import Case as Run
from tests.support.differential import compare
from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import f32

pytestmark = pytest.mark.vendor

OPERANDS = np.concatenate((np.array(list(SPECIAL.values())).astype(np.float32), normal_numbers()[3::8]))
"""Special values, and 16 numbers of each octave."""


@pytest.mark.parametrize("case", [case for case in CASES if not case.second], ids=lambda case: case.title)
def test_the_official_emulator_computes_the_same(case: Case) -> None:
    call = prepared(case, f32, len(OPERANDS))
    [source] = call.sources
    first, *rest = call.instructions
    operands = {use.name: use.value for use in first.operands() if use.direction == "in"}
    values = {
        name: np.resize(OPERANDS, source.shape).view(value.dtype.numpy)
        for name, value in operands.items()
        if isinstance(value, LocalTensor) and value.address == source.address
    }
    assert values
    # the coefficients are loaded after the first instruction, which is the one that is given the operands
    differences = compare([Run(first, values, [*call.loads, *rest])], seed=1)
    assert not differences, differences[0]
