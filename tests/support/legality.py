"""Legality rules in tests: one instruction for every rule that breaks it and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpukernel import BM1684X
from tpukernel.isa import Instruction
from tpukernel.isa.errors import LegalityError


@dataclass(frozen=True)
class Breach:
    """An instruction with one fault: the rule that it breaks, the error, and the operand or attribute to blame."""

    instruction: Instruction
    rule: str
    error: type[LegalityError]
    operand: str

    def __str__(self) -> str:
        return f"{self.instruction.title}-{self.rule}-{self.operand}"


def check_breach(breach: Breach) -> None:
    """Exactly this problem is found, and it has a message."""
    found = [(problem.rule, type(problem), problem.operand) for problem in breach.instruction.problems(BM1684X)]
    assert found == [(breach.rule, breach.error, breach.operand)]
    [problem] = breach.instruction.problems(BM1684X)
    assert problem.instruction == breach.instruction.title and problem.message


def check_every_rule_is_broken(unit: type[Instruction], breaches: Sequence[Breach]) -> None:
    """Every rule of the unit has an instruction that breaks it."""
    names = [rule.name for rule in unit.rules]
    assert len(names) == len(set(names))
    assert {breach.rule for breach in breaches} == set(names)
