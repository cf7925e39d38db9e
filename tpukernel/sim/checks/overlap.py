"""Commands that write over their own operands.

Elementwise units work in place: a result may start where an operand starts, if its elements are not wider. So do broadcasts to other lanes.
The official compiler does both. Everything else that overlaps depends on the order in which the unit works, which nobody promises.
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
        if not result.writes or operand.use.name == "partial_sum" or _in_place(result, operand):
            continue
        common = result.common_bytes(operand)
        if common.size:
            yield OverlapError(
                f"{result.text()} lies over {operand.use.name}: {bytes_text(result.chip, result.space, common)}",
                instructions=[result.instruction],
                operands=[result.use.name],
                help="move one of them" + (", or let them start at the same byte" if result.instruction.works_in_place else ""),
            )


def _in_place(result: Access, operand: Access) -> bool:
    ours, theirs = result.placement, operand.placement
    same_elements = all(one == other or other == 1 for one, other in zip(ours.shape, theirs.shape, strict=True))
    return result.instruction.works_in_place and ours.base == theirs.base and ours.itemsize <= theirs.itemsize and same_elements
