"""Checks that find mistakes in a program from its commands alone, before it runs.

Everything that a command touches follows from its operands, so that the checks need no execution engine; commands whose accesses depend
on data (gathers by index, selection by mask) are taken to touch all of what they may touch.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpukernel.isa.program import Program
from tpukernel.sim.checks.access import Access, accesses_of
from tpukernel.sim.checks.errors import CheckError
from tpukernel.sim.checks.legality import illegal
from tpukernel.sim.checks.overlap import overlapping
from tpukernel.sim.checks.races import races
from tpukernel.sim.checks.uninitialised import unwritten_reads
from tpukernel.sim.memory import Memory

__all__ = ["CheckError", "find_mistakes", "raise_findings"]


def find_mistakes(program: Program, memory: Memory) -> list[CheckError]:
    """Every mistake in a program, in the order in which its commands may run. What the program writes is marked as written in `memory`."""
    return list(_find(program, memory))


def _find(program: Program, memory: Memory) -> Iterator[CheckError]:
    for group in program.groups:
        accesses: list[Access] = []
        for instruction in group:
            wrong = list(illegal(instruction, memory))
            yield from wrong
            if wrong:  # its operands are nowhere, or not where they seem to be
                continue
            try:
                found = accesses_of(instruction, memory)
            except CheckError as error:
                yield error
                continue
            yield from overlapping(found)
            yield from unwritten_reads(found, memory)
            accesses.extend(found)
        yield from races(accesses, memory)


def raise_findings(findings: list[CheckError]) -> None:
    """Raise the first finding, with a note for each of the others.

    Raises:
        CheckError: there is a finding.
    """
    if not findings:
        return
    first, *others = findings
    for other in others[:20]:
        first.add_note(str(other))
    if len(others) > 20:
        first.add_note(f"and {len(others) - 20} more")
    raise first
