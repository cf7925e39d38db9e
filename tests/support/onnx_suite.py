"""The node tests of the backend suite inside the package `onnx`, through our backend.

`python -m tests.support.onnx_suite` runs all of it and writes docs/onnx_operators.md; with names behind it (`Conv Reduce*`), it prints the
tests of these operators.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from typing import Any, cast

import numpy as np
from onnx import ModelProto, TensorProto, TypeProto
from onnx.numpy_helper import to_array

from tests.support.onnx_backend import Rep, TpuBackend
from tpukernel.errors import TpuError

__all__ = ["Case", "Outcome", "cases", "outcome", "suite"]

ELEMENTS = {1, 2, 3, 4, 5, 6, 9, 10, 12, 16}
"""Types of up to 32 bits (and booleans)."""


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
        kind: "tpu" or "known" (computed while importing), both right; "refused" by name; "wrong"; "crash".
        told: the reason.
    """

    kind: str
    told: str = ""


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
    computed = rep is not None and rep.compiled is not None and any(node.op != "bm::copy" for node in rep.compiled.stages[0].graph.nodes)
    return Outcome("tpu" if computed else "known")


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
        if each.kind not in ("tpu", "known"):
            print(f"{'' if chosen[name].counted else '('}{name}: {each.kind}: {' '.join(each.told.split())[:300]}")
    for counted in (True, False):
        kinds = [each.kind for name, each in found.items() if chosen[name].counted == counted]
        told = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("tpu", "known", "refused", "wrong", "crash"))
        print(f"{'counted' if counted else 'others'}: {len(kinds)}: {told}")


if __name__ == "__main__":
    main(sys.argv[1:])
