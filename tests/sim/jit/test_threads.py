"""The work of every command can be split: three threads that share even the smallest commands give the interpreter's bits."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from tests.support.api_calls import instructions
from tests.support.differential import CASES
from tests.support.draws import draw, drawable_functions
from tests.support.native import Comparison
from tests.support.operand_values import operand_values
from tpukernel.api import Function, rows
from tpukernel.isa.instruction import Instruction
from tpukernel.sim.errors import EngineChoiceError
from tpukernel.sim.jit import assembly, run
from tpukernel.sim.jit.threads import THREADS, default_threads, processors

FUNCTIONS = [name for name in drawable_functions() if isinstance(row := rows().get(name), Function) and row.emits]
DRAWS = max(1, CASES // 5)
MOST_MACS = 300_000


@pytest.fixture(scope="module")
def on_three_threads() -> Iterator[Comparison]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "SMALL_NANOSECONDS", 0.0)
        patch.setattr(run, "PARALLEL_NANOSECONDS", 0.0)
        patch.setattr(run, "default_threads", lambda: 3)
        yield Comparison()


def drawn(function: str) -> Iterator[Instruction]:
    """One instruction of each of some random calls."""
    rng, count = Random(f"threads {function}"), 0
    for _ in range(20 * DRAWS):
        instruction = rng.choice(instructions(function, draw(function, rng, low_ddr=True)))
        if instruction.macs <= MOST_MACS:
            yield instruction
            count += 1
        if count == DRAWS:
            return


@pytest.mark.parametrize("function", FUNCTIONS)
def test_three_threads_share_a_command(on_three_threads: Comparison, function: str) -> None:
    rng = np.random.default_rng(1)
    for instruction in drawn(function):
        assert on_three_threads.differences([instruction], **operand_values(instruction, 0, rng)) == []


def test_the_environment_says_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    assert default_threads() == processors() >= 1
    monkeypatch.setenv(THREADS, "3")
    assert default_threads() == 3


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5"])
def test_a_wrong_number_of_threads_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv(THREADS, wrong)
    with pytest.raises(EngineChoiceError, match=THREADS):
        default_threads()
