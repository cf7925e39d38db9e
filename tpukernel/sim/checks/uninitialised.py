"""Reads of bytes that nothing has written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpukernel.chips.tensors import Constant
from tpukernel.sim.checks.access import Access, bytes_text
from tpukernel.sim.checks.errors import UninitialisedReadError
from tpukernel.sim.memory import Memory

__all__ = ["unwritten_reads"]


def unwritten_reads(accesses: Sequence[Access], memory: Memory) -> Iterator[UninitialisedReadError]:
    """The operands of one command that read unwritten bytes. What the command writes is marked as written."""
    for access in accesses:
        value = access.use.value
        if isinstance(value, Constant):
            continue
        if access.reads and access.use.name not in access.instruction.indexed:
            missing = memory.written.missing(value)
            if missing is not None:
                where = bytes_text(memory.chip, access.space, missing)
                yield UninitialisedReadError(
                    f"{access.text()} reads {missing.size} elements that nothing has written: {where}",
                    instructions=[access.instruction],
                    operands=[access.use.name],
                    help="load or compute them first, or write them with Machine.write",
                )
    for access in accesses:
        if access.writes and not isinstance(access.use.value, Constant):
            memory.written.mark_tensor(access.use.value)
