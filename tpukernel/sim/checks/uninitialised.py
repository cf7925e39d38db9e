"""Reads of bytes that nothing has written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpukernel.sim.checks.access import Access, bytes_text
from tpukernel.sim.checks.errors import UninitialisedReadError
from tpukernel.sim.memory import Memory

__all__ = ["unwritten_reads"]


def unwritten_reads(accesses: Sequence[Access], memory: Memory) -> Iterator[UninitialisedReadError]:
    """The operands of one command that read unwritten bytes. What the command writes is marked as written."""
    for access in accesses:
        if not access.reads or access.use.name in access.instruction.indexed:
            continue
        missing = memory.written.missing(access.space, access.placement)
        if missing is not None:
            where = bytes_text(memory.chip, access.space, missing)
            yield UninitialisedReadError(
                f"{access.text()} reads {missing.size} elements that nothing has written: {where}",
                instructions=[access.instruction],
                operands=[access.use.name],
                help="load or compute them first, or write them with Machine.write",
            )
    for access in accesses:
        if access.writes:
            memory.written.mark_elements(access.space, access.placement)
