"""What the DMA rules forbid, the official C model refuses; and it runs the legal instructions of the same tests."""

from __future__ import annotations

import pytest

from tests.support.dma_breaches import CHIP_REFUSES, LEGAL
from tests.support.legality import Breach
from tests.support.oracle import Job, Recorded, run_jobs
from tpukernel import BM1684X
from tpukernel.isa import Instruction

pytestmark = pytest.mark.vendor


def run(instruction: Instruction) -> Recorded:
    bits = instruction.encoded(BM1684X)
    record: int = bits.record
    [done] = run_jobs([Job(commands=[("gdma", record.to_bytes(bits.format.bytes, "little"))])])
    return done


@pytest.mark.parametrize("breach", CHIP_REFUSES, ids=str)
def test_forbidden_instructions_are_refused(breach: Breach) -> None:
    assert run(breach.instruction).rejected


@pytest.mark.parametrize("instruction", LEGAL, ids=lambda instruction: instruction.title)
def test_legal_instructions_run(instruction: Instruction) -> None:
    assert run(instruction).rejected is None
