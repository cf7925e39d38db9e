"""Commands that write over their own operands.

Elementwise units may work in place, element on element. Everything else that overlaps depends on the order in which the unit works, which
nobody promises.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from tpukernel.sim.checks.access import Access, bytes_text
from tpukernel.sim.checks.errors import OverlapError

__all__ = ["overlapping"]


def overlapping(accesses: Sequence[Access]) -> Iterator[OverlapError]:
    """Results of one command that share bytes with its operands, or with each other."""
    for one, other in combinations(accesses, 2):
        result, operand = (one, other) if one.writes else (other, one)
        if not result.writes or operand.use.name == "partial_sum" or (result.instruction.in_place and result.placement == operand.placement):
            continue
        common = result.common_bytes(operand)
        if common.size:
            yield OverlapError(
                f"{result.text()} lies over {operand.use.name}: {bytes_text(result.chip, result.space, common)}",
                instructions=[result.instruction],
                operands=[result.use.name],
                help="move one of them" + (", or let them lie element on element" if result.instruction.in_place else ""),
            )
