"""The way from a graph to a program: one flat list of passes, then groups, then commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from bmlang.compiler.emit import Emission, emit
from bmlang.compiler.groups import plan
from bmlang.compiler.passes.common import common_subexpressions
from bmlang.compiler.passes.dead import dead_code
from bmlang.compiler.passes.decompose import decompose
from bmlang.compiler.passes.expand import expand
from bmlang.compiler.passes.fold import fold_constants
from bmlang.compiler.passes.idle import without_idle_reshapes
from bmlang.compiler.passes.known import known_outputs
from bmlang.compiler.passes.pads import fold_pads
from bmlang.compiler.passes.precision import computable, precision
from bmlang.compiler.passes.scales import fold_scales
from bmlang.compiler.passes.swaps import fewer_swaps
from bmlang.compiler.sides import parted
from bmlang.graph.graph import Graph
from bmlang.graph.verify import verify
from tpukernel.chips.chip import Chip
from tpukernel.dtypes import Dtype

__all__ = ["BEST", "LEVELS", "PASSES", "Pass", "compile_graph", "prepared"]

LEVELS: Final = (0, 1, 2)
"""Levels of optimisation: 0 each operator by itself, 1 neighbours together, 2 also what changes last bits."""
BEST: Final = LEVELS[-1]


class Pass(NamedTuple):
    """A pass: its name, what it does with a graph for a mode, and the level of optimisation from which on it runs."""

    name: str
    run: Callable[[Graph, Dtype], Graph]
    level: int = 0


def _of_any_mode(function: Callable[[Graph], Graph]) -> Callable[[Graph, Dtype], Graph]:
    return lambda graph, _: function(graph)


def _swaps_of_sums(graph: Graph, mode: Dtype) -> Graph:
    """Before precision is chosen: what a mode rounds between layers is rounded where the layers are afterwards."""
    return fewer_swaps(graph, mode, exact=False)


PASSES: Final[tuple[Pass, ...]] = (
    Pass("expand", _of_any_mode(expand)),
    Pass("fold-constants", _of_any_mode(fold_constants)),
    Pass("swaps-of-sums", _swaps_of_sums, level=2),
    Pass("fold-pads", _of_any_mode(fold_pads), level=1),
    Pass("fold-scales", fold_scales, level=2),
    Pass("precision", precision),
    Pass("computable", _of_any_mode(computable)),
    Pass("decompose", _of_any_mode(lambda graph: computable(decompose(graph)))),
    Pass("fold-casts", _of_any_mode(fold_constants)),
    Pass("swaps", _of_any_mode(fewer_swaps), level=1),
    Pass("common-subexpressions", _of_any_mode(common_subexpressions)),
    Pass("dead-code", _of_any_mode(dead_code)),
    Pass("idle-reshapes", _of_any_mode(without_idle_reshapes), level=1),
    Pass("known-outputs", _of_any_mode(known_outputs)),
    Pass("sides", _of_any_mode(parted)),
)
"""What is done with a graph, in order."""


def prepared(graph: Graph, mode: Dtype, dump: Path | None = None, opt: int = BEST) -> Graph:
    """The graph after all passes of a level of optimisation; each leaves its result in `dump`, as text."""
    verify(graph)
    _dump(graph, dump, 0, "traced")
    for number, each in enumerate((each for each in PASSES if each.level <= opt), 1):
        graph = each.run(graph, mode)
        verify(graph, each.name)
        _dump(graph, dump, number, each.name)
    return graph


def _dump(graph: Graph, folder: Path | None, number: int, name: str) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{graph.name}.{number:02}-{name}.txt").write_text(f"{graph}\n", encoding="utf-8")


def compile_graph(graph: Graph, mode: Dtype, chip: Chip, dump: Path | None = None, opt: int = BEST) -> tuple[Graph, Emission]:
    """The graph that is computed in the end, and its program.

    Args:
        graph: a function for concrete shapes.
        mode: f32, f16 or bf16: what f32 is computed in.
        chip: the chip.
        dump: a folder for the graph after each pass.
        opt: level of optimisation, see `LEVELS`.

    Raises:
        GraphError, TpuError: it cannot be compiled; the message names the user's line.
    """
    done = prepared(graph, mode, dump, opt)
    return done, emit(done, plan(done, chip, together=opt > 0), chip)
