"""The node tests of the backend suite inside the package `onnx`, through our backend.

`python -m tests.support.onnx_suite` runs all of it and writes docs/onnx_operators.md; with names behind it (`Conv Reduce*`), it prints the
tests of these operators.
"""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from onnx import ModelProto, TensorProto, TypeProto
from onnx.numpy_helper import to_array

from bmlang.compiler.sides import on_host
from tests.support.onnx_backend import Rep, TpuBackend
from tpukernel.errors import TpuError

__all__ = ["RIGHT", "Case", "Outcome", "cases", "of_module", "outcome", "suite"]

ELEMENTS = {1, 2, 3, 4, 5, 6, 9, 10, 12, 16}
"""Types of up to 32 bits (and booleans)."""


RIGHT = ("tpu", "host", "known")
KINDS = (*RIGHT, "refused", "wrong", "crash")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "onnx_operators.md"
HEAD = """# Operators of ONNX

Made by `python -m tests.support.onnx_suite`; do not edit. The node tests of the backend suite inside the package onnx {version}: each is a
model of one operator, or of what its definition expands to (`by definition`). It is compiled and run on the simulated BM1684X, and the
results are compared within the suite's own bounds (f16: two roundings, as the suite has it for bfloat16).

* tpu: right, and the TPU computes all of its nodes. host: right, and the host computes some of them. known: right, and nothing was left to
  compute: all inputs had to be known (shapes and the like).
* refused: a named error says why. wrong, crash: there must be none.

Tests with fixed shapes and tensors of up to 32 bits: {counted}: {share:.0f} % on the TPU. All tests: {all}.

| operator | tests | tpu | host | known | refused | wrong | crash | why |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""
HALF_ROUNDINGS = 2**-9
"""Two roundings of float16, as a share of the number."""


@dataclass(frozen=True)
class Case:
    """One test of the suite.

    Attributes:
        name: in the suite.
        model: of one node, or of those that its definition expands to.
        data: inputs and outputs.
        rtol, atol: what the results may be off.
    """

    name: str
    model: ModelProto
    data: tuple[tuple[Sequence[Any], Sequence[Any]], ...]
    rtol: float
    atol: float

    @property
    def operator(self) -> str:
        """The operator under test; of an expanded one `Name (by definition)`."""
        if "_expanded" in self.name:
            return "by definition"
        kinds = {node.op_type for node in self.model.graph.node}
        return kinds.pop() if len(kinds) == 1 else "several"

    @property
    def counted(self) -> bool:
        """Whether its shapes are fixed, and its tensors those of a TPU: up to 32 bits, one element or more."""
        return all(_fits(each.type) for each in (*self.model.graph.input, *self.model.graph.output))


def _fits(kind: TypeProto) -> bool:
    tensor = kind.tensor_type
    known = tensor.HasField("shape") and all(dim.HasField("dim_value") and dim.dim_value > 0 for dim in tensor.shape.dim)
    return kind.HasField("tensor_type") and tensor.elem_type in ELEMENTS and known


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        kind: "tpu", "host" (some of its nodes) or "known" (computed while importing) where it is right; "refused"; "wrong"; "crash".
        told: the reason.
    """

    kind: str
    told: str = ""


def of_module(name: str) -> list[Case]:
    """The cases of one module of the suite (`conv`, `reducemax`, ...), without making those of all others."""
    from onnx.backend.test.case import node

    made = cast("list[Any]", vars(node)["_NodeTestCases"])
    before = len(made)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        importlib.import_module(f"{node.__name__}.{name}")
    return [Case(each.name, each.model, tuple(each.data_sets or ()), each.rtol, each.atol) for each in made[before:]]


@cache
def suite() -> dict[str, Case]:
    """All node tests by name."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = cast("Sequence[Any]", load_model_tests(kind="node"))
    return {each.name: Case(each.name, each.model, tuple(each.data_sets or ()), each.rtol, each.atol) for each in found}


def cases(*patterns: str) -> Iterator[Case]:
    """The cases whose operator or name fits one of these, with `*` for anything."""
    for case in suite().values():
        if not patterns or any(fnmatch(case.operator, each) or fnmatch(case.name, each) for each in patterns):
            yield case


def outcome(case: Case) -> Outcome:
    """Run a case."""
    from onnx.backend.test.runner import Runner

    compare = cast("Callable[..., None]", Runner.assert_similar_outputs)
    rep: Rep | None = None
    for inputs, outputs in case.data:
        rep = TpuBackend.prepare(case.model)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = rep.run(inputs)
        except TpuError as error:
            return Outcome("refused", f"{error.code}: {error.message}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the table has to say it
            return Outcome("crash", f"{type(error).__name__}: {error}")
        try:
            wanted = [to_array(each) if isinstance(each, TensorProto) else each for each in outputs]
            compare(wanted, found, *tolerance(case, wanted))
        except (AssertionError, TypeError) as error:
            return Outcome("wrong", str(error))
    assert rep is not None and rep.compiled is not None
    graph = rep.compiled.stages[0].graph
    if all(node.op == "bm::copy" and node.inputs[0] in graph.constants for node in graph.nodes):
        return Outcome("known")
    return Outcome("host" if any(on_host(graph, node) for node in graph.nodes) else "tpu")


def tolerance(case: Case, wanted: Sequence[Any]) -> tuple[float, float]:
    """What results may be off: as the suite says, but two roundings of float16 at least, as it has it for bfloat16 itself."""
    halves = any(getattr(each, "dtype", None) == np.float16 for each in wanted)
    return (max(case.rtol, HALF_ROUNDINGS), case.atol) if halves else (case.rtol, case.atol)


def _outcome(name: str) -> Outcome:
    return outcome(suite()[name])


def run(names: Sequence[str], jobs: int) -> dict[str, Outcome]:
    """The outcomes of cases by name."""
    if jobs == 1:
        return {name: _outcome(name) for name in names}
    suite()
    with ProcessPoolExecutor(jobs) as pool:
        return dict(zip(names, pool.map(_outcome, names, chunksize=8), strict=True))


def main(arguments: Sequence[str]) -> None:
    """Run what the arguments name."""
    chosen = {case.name: case for case in cases(*arguments)}
    found = run(list(chosen), 2)
    for name, each in found.items():
        if each.kind not in RIGHT:
            print(f"{'' if chosen[name].counted else '('}{name}: {each.kind}: {' '.join(each.told.split())[:300]}")
    for counted in (True, False):
        print(f"{'counted' if counted else 'others'}: {told([each for name, each in found.items() if chosen[name].counted == counted])}")
    if not arguments:
        PAGE.write_text(page(chosen, found), encoding="utf-8")


def told(outcomes: Sequence[Outcome]) -> str:
    """How many there are of each kind."""
    kinds = [each.kind for each in outcomes]
    return ", ".join([f"{len(kinds)} in all", *(f"{kinds.count(kind)} {kind}" for kind in KINDS)])


def page(chosen: Mapping[str, Case], found: Mapping[str, Outcome]) -> str:
    """The page of the documentation."""
    counted = [each for name, each in found.items() if chosen[name].counted]
    share = sum(each.kind == "tpu" for each in counted) / len(counted)
    rows: dict[str, list[str]] = {}
    for name, case in chosen.items():
        rows.setdefault(case.operator, []).append(name)
    lines = [HEAD.format(version=version(), counted=told(counted), share=100 * share, all=told(list(found.values())))]
    for operator, names in sorted(rows.items()):
        kinds = [found[name].kind for name in names]
        why = dict.fromkeys(_reason(found[name]) for name in names if found[name].kind not in RIGHT)
        cells = [operator, str(len(names)), *(str(kinds.count(kind)) for kind in KINDS), "; ".join(list(why)[:4])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _reason(found: Outcome) -> str:
    """Why a case is refused, without the names in it."""
    text = " ".join(found.told.split()).rpartition("cannot be imported: ")[2]
    text = re.sub(r"^[A-Z]+\d+: ", "", text)
    text = re.sub(r"'[^']*'", "...", text)
    return text[:110].replace("|", "/").replace("*", "\\*").replace("<", "&lt;").replace("[", "\\[")


def version() -> str:
    """Of the package onnx."""
    import onnx

    return onnx.__version__


if __name__ == "__main__":
    main(sys.argv[1:])
