"""The numbers of commands and of what they wait for, as the official library counts them.

The library keeps three pairs of numbers ("id nodes"): one for both engines, and in a parallel section one for each engine, from which that
engine's commands take their own number and the number to wait for. Source: measured with the official library's recorder, also what
`tpu_set_id_node` and its sisters do to the three in each state; random sequences are compared with it (`tests/vendor/test_control.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tpukernel.chips.chip import Engine
from tpukernel.isa.errors import DependencyError, ParallelSectionError

__all__ = ["IdNode", "Numbering"]


@dataclass(frozen=True, slots=True)
class IdNode:
    """Where the numbers stand.

    Attributes:
        tiu: number of the last TIU command.
        gdma: number of the last GDMA command.
        parallel: whether they are those of a parallel section.
    """

    tiu: int = 0
    gdma: int = 0
    parallel: bool = False


class Numbering:
    """The state that gives each command its numbers.

    Attributes:
        node: the numbers that both engines go on from; `node.parallel` tells whether a parallel section is open.
        views: what each engine sees in a parallel section; afterwards what it saw in the last one.
    """

    def __init__(self) -> None:
        self.node = IdNode()
        self.views: dict[Engine, IdNode] = {"tiu": IdNode(), "gdma": IdNode()}

    @property
    def parallel(self) -> bool:
        """Whether a parallel section is open."""
        return self.node.parallel

    def take(self, engine: Engine, number: int) -> int:
        """Give the next command of an engine its numbers, of which the first must be `number`; return the one that it waits for.

        Raises:
            DependencyError: the next number is another one, because a node was set that does not belong to this stream.
        """
        seen = self.views[engine] if self.node.parallel else self.node
        after = replace(seen, tiu=seen.tiu + 1) if engine == "tiu" else replace(seen, gdma=seen.gdma + 1)
        given, awaited = (after.tiu, after.gdma) if engine == "tiu" else (after.gdma, after.tiu)
        if given != number:
            raise DependencyError(
                f"the next {engine} command would get number {given}, but it is command {number} of its stream",
                help="set only a node of the same recording, taken after the last command of this engine",
            )
        if self.node.parallel:
            self.views[engine] = after
        else:
            self.node = after
        return awaited

    def restart(self) -> None:
        """Begin again at 1 for both engines, in a parallel section if one is open."""
        self.node = IdNode(parallel=self.node.parallel)
        self.views = dict.fromkeys(self.views, self.node)

    def open(self) -> None:
        """Open a parallel section (`tpu_parallel_start`).

        Raises:
            ParallelSectionError: one is open.
        """
        if self.node.parallel:
            raise ParallelSectionError("a parallel section is open already", help="close it first: sections do not nest")
        self.node = replace(self.node, parallel=True)
        self.views = dict.fromkeys(self.views, self.node)

    def close(self) -> None:
        """Close the parallel section (`tpu_parallel_end`).

        Raises:
            ParallelSectionError: none is open.
        """
        if not self.node.parallel:
            raise ParallelSectionError("no parallel section is open", help="open one with parallel() or parallel_start()")
        views = self.views.values()
        self.node = IdNode(max(view.tiu for view in views), max(view.gdma for view in views))

    def current(self) -> IdNode:
        """What `tpu_get_id_node` tells: in a parallel section the TIU's view."""
        return self.views["tiu"] if self.node.parallel else self.node

    def set(self, node: IdNode) -> None:
        """What `tpu_set_id_node` does: a node from a parallel section becomes the TIU's view and leaves that of the GDMA as it is."""
        if node.parallel:
            self.views["tiu"] = node
            self.node = replace(self.node, parallel=True)
        else:
            self.node = node

    def set_views(self, tiu: IdNode, gdma: IdNode) -> None:
        """What `tpu_set_parallel_id_node` does.

        Raises:
            ParallelSectionError: a node is not from a parallel section, or an engine has not come as far as the other one sees it.
        """
        if not (tiu.parallel and gdma.parallel and tiu.tiu >= gdma.tiu and gdma.gdma >= tiu.gdma):
            raise ParallelSectionError(
                f"{tiu} and {gdma} are not the nodes of a parallel section", help="take both with tpu_get_parallel_id_node"
            )
        self.views = {"tiu": tiu, "gdma": gdma}
        self.node = replace(self.node, parallel=True)
