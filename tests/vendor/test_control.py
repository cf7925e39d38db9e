"""Polls, parallel sections, id nodes and messages do what they do in the official library."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.control_sequences import draw_steps, official, replay
from tests.support.oracle import HostCall, Job, run_jobs
from tpukernel.api import MissingFunction, rows, synchronization

pytestmark = pytest.mark.vendor

SEQUENCES = 120


def test_random_sequences_are_recorded_byte_for_byte() -> None:
    sequences = [draw_steps(Random(f"control {seed}")) for seed in range(SEQUENCES)]
    refused = 0
    for steps, found in zip(sequences, official(sequences), strict=True):
        program, refusal = replay(steps)
        assert refusal == (found.rejected is not None), (steps, found.rejected)
        if not refusal:
            assert program.streams() == {"tiu": found.tiu, "gdma": found.gdma}, steps
        refused += refusal
    assert SEQUENCES // 20 < refused < SEQUENCES // 2


def test_the_library_implements_no_messages() -> None:
    names = [
        name
        for name, row in rows().items()
        if row.group == synchronization.GROUP and isinstance(row, MissingFunction) and "set_base" not in name
    ]
    jobs = [Job(host=[HostCall(name, "none", [("int", 1), ("int", 1)])]) for name in names]
    assert len(jobs) == 12
    assert all("Not implemented" in (found.rejected or "") for found in run_jobs(jobs))
