"""The TPUKernel functions emit the recorded bytes for the calls of the golden recording."""

from __future__ import annotations

from typing import cast

import pytest

from tests.support.api_calls import encoded, instructions, python_arguments
from tests.support.golden import GoldenCase, golden_cases
from tpukernel import BM1684X
from tpukernel.api import Function, HostFunction, recording, rows
from tpukernel.isa import Instruction, decode
from tpukernel.isa.program import ENGINES

CASES = golden_cases()
CALLS = [case for case in CASES if not case.raw_instruction and not case.is_program]
PROGRAMS = [case for case in CASES if case.is_program]


def test_every_recorded_call_is_covered() -> None:
    assert len(CASES) == 195 and sum(case.raw_instruction for case in CASES) == 4
    missing = {call.function for case in CASES for call in case.calls} - rows().keys()
    assert not missing


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.id)
def test_a_call_emits_the_recorded_bytes(case: GoldenCase) -> None:
    found = instructions(case.function, case.params)
    assert encoded(found) == (case.tiu, case.gdma)
    assert not [problem for instruction in found for problem in instruction.problems(BM1684X)]


@pytest.mark.parametrize("case", PROGRAMS, ids=lambda case: case.id)
def test_a_recorded_program_is_repeated(case: GoldenCase) -> None:
    with recording(BM1684X) as program:
        for call in case.calls:
            row = cast("Function[...] | HostFunction[..., object]", rows()[call.function])
            row(**python_arguments(call.function, call.params))
    if case.end_command:
        program.end()
    assert program.streams() == {"tiu": case.tiu, "gdma": case.gdma}


@pytest.mark.parametrize("case", [case for case in CASES if case.raw_instruction], ids=lambda case: case.id)
def test_a_hand_assembled_instruction_survives(case: GoldenCase) -> None:
    """Encoded alone: `encode` fills the stream up behind an end command."""
    for engine in ENGINES:
        data = case.tiu if engine == "tiu" else case.gdma
        assert b"".join(_command(instruction) for instruction in decode(BM1684X, engine, data)) == data


def _command(instruction: Instruction) -> bytes:
    bits = instruction.encoded(BM1684X)
    return bits.record.to_bytes(bits.format.bytes, "little")
