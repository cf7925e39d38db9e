"""The way from a graph to a program: one flat list of passes, then groups, then commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bmlang.compiler.emit import Emission, emit
from bmlang.compiler.groups import plan
from bmlang.compiler.passes.common import common_subexpressions
from bmlang.compiler.passes.dead import dead_code
from bmlang.compiler.passes.decompose import decompose
from bmlang.compiler.passes.expand import expand
from bmlang.compiler.passes.fold import fold_constants
from bmlang.compiler.passes.precision import computable, precision
from bmlang.compiler.sides import parted
from bmlang.graph.graph import Graph
from bmlang.graph.verify import verify
from tpukernel.chips.chip import Chip
from tpukernel.dtypes import Dtype

__all__ = ["PASSES", "compile_graph", "prepared"]

Pass = Callable[[Graph, Dtype], Graph]

PASSES: Final[tuple[tuple[str, Pass], ...]] = (
    ("expand", lambda graph, _: expand(graph)),
    ("fold-constants", lambda graph, _: fold_constants(graph)),
    ("precision", precision),
    ("computable", lambda graph, _: computable(graph)),
    ("decompose", lambda graph, _: computable(decompose(graph))),
    ("fold-casts", lambda graph, _: fold_constants(graph)),
    ("common-subexpressions", lambda graph, _: common_subexpressions(graph)),
    ("dead-code", lambda graph, _: dead_code(graph)),
    ("sides", lambda graph, _: parted(graph)),
)
"""What is done with a graph, in order."""


def prepared(graph: Graph, mode: Dtype, dump: Path | None = None) -> Graph:
    """The graph after all passes; each leaves its result in `dump`, as text."""
    verify(graph)
    _dump(graph, dump, 0, "traced")
    for number, (name, function) in enumerate(PASSES, 1):
        graph = function(graph, mode)
        verify(graph, name)
        _dump(graph, dump, number, name)
    return graph


def _dump(graph: Graph, folder: Path | None, number: int, name: str) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{graph.name}.{number:02}-{name}.txt").write_text(f"{graph}\n", encoding="utf-8")


def compile_graph(graph: Graph, mode: Dtype, chip: Chip, dump: Path | None = None) -> tuple[Graph, Emission]:
    """The graph that is computed in the end, and its program.

    Args:
        graph: a function for concrete shapes.
        mode: f32, f16 or bf16: what f32 is computed in.
        chip: the chip.
        dump: a folder for the graph after each pass.

    Raises:
        GraphError, TpuError: it cannot be compiled; the message names the user's line.
    """
    done = prepared(graph, mode, dump)
    return done, emit(done, plan(done, chip), chip)
