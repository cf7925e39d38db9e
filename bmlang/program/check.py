"""`layer_check`: every form of a layer against every other one, over shapes and data types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias, cast

import numpy as np

from bmlang.compiler.package import package
from bmlang.compiler.pipeline import compile_graph
from bmlang.compiler.sides import bounds_of
from bmlang.graph.graph import Array, Graph
from bmlang.graph.parse import parse_graph
from bmlang.graph.text import SHOWN_ELEMENTS, spec_text
from bmlang.layers.base import Bounds, Layer
from bmlang.layers.custom import Operator
from bmlang.layers.errors import LayerCheckError, LayerDefinitionError
from bmlang.layers.reference import run_reference
from bmlang.layers.registry import layer_of
from bmlang.layers.tensor import Operand, Tracer, apply_many
from bmlang.program.function import mode_of, spec
from bmlang.program.outputs import with_output_names
from bmlang.runtime import Runtime
from tpukernel.chips.chip import Chip, chip_of
from tpukernel.dtypes import Dtype, dtype_of, f32
from tpukernel.errors import TpuError
from tpukernel.testing.closeness import assert_close
from tpukernel.testing.values import random

__all__ = ["CheckedCase", "LayerReport", "layer_check"]

Case: TypeAlias = "Sequence[int] | Mapping[str, Sequence[int]]"
"""Shapes of the inputs by name, or one for all of them."""


@dataclass(frozen=True)
class CheckedCase:
    """One set of shapes and data types.

    Attributes:
        inputs: the inputs as text.
        failures: what does not agree; empty when all is well.
        difference: the largest difference from the reference.
    """

    inputs: str
    failures: tuple[str, ...]
    difference: float

    def __str__(self) -> str:
        found = "ok" if not self.failures else "; ".join(failure.splitlines()[0] for failure in self.failures)
        return f"{self.inputs}: {found}, largest difference {self.difference:.3g}"


@dataclass(frozen=True)
class LayerReport:
    """What `layer_check` found: true when everything agrees.

    Attributes:
        name: the layer.
        cases: each set of shapes and data types.
    """

    name: str
    cases: tuple[CheckedCase, ...]

    def __bool__(self) -> bool:
        return not any(case.failures for case in self.cases)

    def __str__(self) -> str:
        return "\n".join([self.name, *(f"  {case}" for case in self.cases)])


def layer_check(
    layer: Operator | Layer | str,
    *,
    shapes: Sequence[Case],
    dtypes: Sequence[Dtype | str] = (f32,),
    attrs: Mapping[str, object] | None = None,
    constants: Sequence[str] = (),
    mode: str = "f32",
    chip: Chip | str = "BM1684X",
    seed: int = 0,
    roundings: float = 16,
    reduction: int = 1,
    atol: float = 0.0,
) -> LayerReport:
    """Check a layer. For each of the shapes and data types:

    * the specs that it infers are those of the arrays that its reference gives;
    * the program runs in the interpreter, with all checks of the simulator, and gives the reference under a tolerance;
    * machine code, and a file that was written and read again, give the bits of the interpreter;
    * the graph is the same when it is read back from its text.

    Args:
        layer: the layer, its operator or its name.
        shapes: for each case the shape of every input, or one shape for all.
        dtypes: data types of the float inputs; of all inputs where it is an integer type.
        attrs: the other arguments of the layer.
        constants: names of inputs that are known when the function is compiled.
        mode: what f32 is computed in.
        chip: the chip or its name.
        seed: another number gives other inputs (normally distributed; integers of all sizes).
        roundings, reduction, atol: the tolerance, as of `tpukernel.testing.assert_close`.

    Raises:
        LayerCheckError: something does not agree; the message says where.
        LayerDefinitionError: it is no layer.
        UnknownLayerError: there is no such layer.
    """
    found = layer.layer if isinstance(layer, Operator) else layer_of(layer) if isinstance(layer, str) else layer
    if not isinstance(cast("object", found), Layer):
        raise LayerDefinitionError(f"{found!r} is no layer", help='put @bm.layer("acme::name", reference=...) in front of it')
    checker = _Checker(found, attrs or {}, frozenset(constants), mode, chip_of(chip), seed, roundings, reduction, atol)
    report = LayerReport(found.name, tuple(checker.case(each, dtype_of(dtype)) for each in shapes for dtype in dtypes))
    if not report:
        wrong = [f"\n  {case.inputs}: {failure}" for case in report.cases for failure in case.failures]
        raise LayerCheckError(
            f"the forms of {found.name} do not agree in {sum(bool(case.failures) for case in report.cases)} of {len(report.cases)} cases"
            + "".join(wrong),
            help="the first line of a case is where it begins",
        )
    return report


@dataclass(frozen=True)
class _Checker:
    layer: Layer
    attrs: Mapping[str, object]
    constants: frozenset[str]
    mode: str
    chip: Chip
    seed: int
    roundings: float
    reduction: int
    atol: float

    def case(self, shapes: Case, dtype: Dtype) -> CheckedCase:
        names = [
            name for name in self.layer.inputs if not name.endswith(("?", "*")) or (isinstance(shapes, Mapping) and name[:-1] in shapes)
        ]
        wanted = {name.rstrip("?*"): shapes[name.rstrip("?*")] if isinstance(shapes, Mapping) else shapes for name in names}
        arrays = {name: random(shape, dtype, self.seed + place) for place, (name, shape) in enumerate(wanted.items())}
        told = ", ".join(f"{name} {spec_text(spec(array.shape, dtype))}" for name, array in arrays.items())
        try:
            graph = self._graph(arrays)
            failures, difference = self._compared(graph, {name: arrays[name] for name in graph.inputs})
        except TpuError as error:
            failures, difference = [str(error).replace("\n", "\n    ")], float("nan")
        return CheckedCase(told, tuple(failures), difference)

    def _graph(self, arrays: Mapping[str, Array]) -> Graph:
        tracer = Tracer("layer_check")
        operands: list[Operand | None] = []
        for name in (name.rstrip("?*") for name in self.layer.inputs):
            array = arrays.get(name)
            if array is None or name in self.constants:
                operands.append(array)
            else:
                operands.append(tracer.input(name, spec(array.shape, dtype_of(array.dtype))))
        outputs = {f"output_{place}": each for place, each in enumerate(apply_many(self.layer.name, *operands, **self.attrs))}
        return with_output_names(tracer.graph(outputs), list(outputs))

    def _compared(self, graph: Graph, arrays: Mapping[str, Array]) -> tuple[list[str], float]:
        failures = list(self._reference(graph, arrays))
        if failures:  # there is nothing to compare with
            return failures, float("nan")
        beside = {name: value for name, value in graph.constants.items() if value.size > SHOWN_ELEMENTS}
        if not parse_graph(str(graph), beside).equals(graph):
            failures.append("its graph is not the same when it is read back from its text")
        done = compile_graph(graph, mode_of(self.mode), self.chip)
        bmodel = package([(graph.name, [done])], self.chip)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "layer_check.bmodel"
            bmodel.save(path)
            interpreted = Runtime(bmodel, engine="interpreter", check=True)[graph.name].run(arrays)
            compiled = Runtime(bmodel, engine="jit")[graph.name].run(arrays)
            loaded = Runtime(path, engine="jit")[graph.name].run(arrays)
        failures += _bits("machine code differs from the interpreter", compiled, interpreted)
        failures += _bits("the file that was read again differs from the one in memory", loaded, compiled)
        wanted = run_reference(graph, arrays)
        difference = 0.0
        for name in graph.outputs:
            dtype = mode_of(self.mode) if graph.specs[name].dtype == f32 else graph.specs[name].dtype
            difference = max(difference, _distance(interpreted[name], wanted[name]))
            try:
                assert_close(
                    interpreted[name], wanted[name], dtype=dtype, reduction=self.reduction, roundings=self.roundings, atol=self.atol
                )
            except TpuError as error:
                failures.append(f"{name} differs from the reference: {error.message}".replace("\n", "\n    "))
        return failures, difference

    def _reference(self, graph: Graph, arrays: Mapping[str, Array]) -> Iterator[str]:
        """The reference gives what `infer` says, before anything is rounded or reshaped."""
        (node,) = (node for node in graph.nodes if node.op == self.layer.name)
        values = {**graph.constants, **arrays}
        with np.errstate(all="ignore"):
            made = self.layer.reference([values[name] if name else None for name in node.inputs], node.attrs)
        given = [made] if isinstance(made, np.ndarray | np.generic) else list(made)
        if len(given) != len(node.outputs):
            yield f"infer gives {len(node.outputs)} outputs, the reference {len(given)}"
        bounds = bounds_of(graph)
        for name, array in zip(node.outputs, given, strict=False):
            if not _has_shape(np.shape(array), graph.specs[name].shape, bounds.get(name, ())):
                yield f"infer says that {name} is {list(graph.specs[name].shape)}, the reference gives {list(np.shape(array))}"


def _has_shape(shape: tuple[int, ...], wanted: tuple[int, ...], bounds: Bounds) -> bool:
    """Whether an array has the shape that is wanted, or a smaller one where its size depends on data."""
    sizes = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(size == most or (axis in bounds and size < most) for axis, (size, most) in enumerate(sizes))


def _bits(what: str, found: Mapping[str, Array], wanted: Mapping[str, Array]) -> Iterator[str]:
    for name, array in found.items():
        if array.tobytes() != wanted[name].tobytes():
            yield f"{what} in {np.count_nonzero(array != wanted[name])} of {array.size} elements of {name}"


def _distance(found: Array, wanted: Array) -> float:
    with np.errstate(all="ignore"):
        difference = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
    return float(cast("np.float64", np.nanmax(difference, initial=0)))
