"""Where a function on the TPU differs from numpy: tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bmlang.compiler.emit import emit
from bmlang.compiler.groups import plan
from bmlang.compiler.package import package
from bmlang.compiler.pipeline import BEST, prepared
from bmlang.graph.graph import Array, Graph, Node
from bmlang.graph.text import spec_text
from bmlang.layers.reference import evaluated, rounded, shaped
from bmlang.layers.registry import layer_of
from bmlang.runtime import Runtime
from tpukernel.chips.chip import Chip
from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.lang.signature import TensorSpec

__all__ = ["FunctionComparison", "Others", "TensorDifference", "compare_graph"]

ROUNDINGS: Final = 16
EPSILON: Final[Mapping[Dtype, float]] = {f32: 2.0**-24, f16: 2.0**-11, bf16: 2.0**-8}
"""Largest relative error of one rounding."""


@dataclass(frozen=True)
class TensorDifference:
    """One tensor, simulated and in numpy.

    Attributes:
        name: of the tensor.
        node: what makes it.
        told: its data type and shape.
        own: the largest difference from what numpy makes of the simulated inputs of the node: what this operator adds.
        whole: the largest difference from what numpy makes of the inputs of the function, floats in float64 all the way; or from what
            somebody else makes of them.
        largest: the largest number of the tensor in numpy.
        allowed: what `own` may be.
        allowed_whole: what `whole` may be.
    """

    name: str
    node: Node
    told: str
    own: float
    whole: float
    largest: float
    allowed: float
    allowed_whole: float = math.inf

    @property
    def differs(self) -> bool:
        """Whether the operator itself, or everything up to it, is off by more than is allowed."""
        return not (self.own <= self.allowed and self.whole <= self.allowed_whole)

    def __str__(self) -> str:
        place = f"  {self.node.position}" if self.node.position is not None else ""
        own, whole = _marked(self.own, self.allowed), _marked(self.whole, self.allowed_whole)
        return f"{self.name} {self.told} = {self.node.op}: own {own}, whole {whole}, of {self.largest:.3g}{place}"


def _marked(found: float, allowed: float) -> str:
    return f"{found:.3g}" if found <= allowed else f"{found:.3g} > {allowed:.3g}"


@dataclass(frozen=True)
class FunctionComparison:
    """All tensors of a function, in the order in which they are computed: true when no operator is off.

    Attributes:
        tensors: each of them.
    """

    tensors: tuple[TensorDifference, ...]

    @property
    def first(self) -> TensorDifference | None:
        """The first operator that is off by more than is allowed; None where none is."""
        return next((each for each in self.tensors if each.differs), None)

    def __bool__(self) -> bool:
        return self.first is None

    def __str__(self) -> str:
        lines = [str(each) for each in self.tensors]
        first = self.first
        if first is None:
            return "\n".join([*lines, "no operator is off by more than is allowed"])
        lines.append(f"the first difference arises in {first.node.name}, which makes {first.name}:")
        where = f"  at {first.node.position.rendered()}" if first.node.position is not None else ""
        return "\n".join([*lines, where] if where else lines)


@dataclass(frozen=True)
class Others:
    """What somebody else computes for the same inputs.

    Attributes:
        arrays: tensors by the names that they have in the function.
        allowed: how far everything up to a tensor may be off from it, as a share of the largest number of the tensor.
    """

    arrays: Mapping[str, Array]
    allowed: float

    def array(self, name: str, spec: TensorSpec) -> Array | None:
        """A tensor of the compiled function; None where nobody computed it. In f16 and bf16 names of tensors tell their type."""
        found = self.arrays.get(name, self.arrays.get(name.removesuffix(f"_{spec.dtype.name}")))
        return found if found is not None and found.shape == spec.shape else None


def compare_graph(
    graph: Graph,
    inputs: Mapping[str, Array],
    mode: Dtype,
    chip: Chip,
    tolerance: float | None = None,
    *,
    opt: int = BEST,
    others: Others | None = None,
) -> FunctionComparison:
    """Compare each tensor of a function as it is computed on the chip with numpy.

    Every tensor is stored, so that operators run together in other groups than in the program that is shipped; what each of them computes
    is the same.

    Args:
        graph: the function.
        inputs: its inputs by name.
        mode: what f32 is computed in.
        chip: the chip.
        tolerance: what an operator may be off, as a share of the largest number that it makes; by default 16 roundings of the data type.
        opt: level of optimisation.
        others: what somebody else computes; tensors that are there are compared with that on the whole, the rest with numpy.
    """
    done = prepared(graph, mode, opt=opt)
    shown = [node for node in done.nodes if not layer_of(node.op).alias]
    stored = replace(done, outputs=tuple(name for node in shown for name in node.outputs))
    runtime = Runtime(package([(graph.name, [(stored, emit(stored, plan(stored, chip), chip))])], chip))
    values = {**done.constants, **inputs, **runtime[graph.name].run(inputs)}
    return FunctionComparison(tuple(_differences(done, values, _exact(done, inputs), tolerance, others)))


def _differences(
    graph: Graph, values: dict[str, Array], exact: Mapping[str, Array], tolerance: float | None, others: Others | None
) -> Iterator[TensorDifference]:
    for node in graph.nodes:
        specs = [graph.specs[name] for name in node.outputs]
        own = evaluated(node, [values[name] if name else None for name in node.inputs], specs)
        if layer_of(node.op).alias:
            values.update(zip(node.outputs, own, strict=True))
            continue
        for name, spec, mine in zip(node.outputs, specs, own, strict=True):
            largest = _largest(mine)
            share = ROUNDINGS * EPSILON.get(spec.dtype, 0.0) if tolerance is None else tolerance
            theirs = None if others is None else others.array(name, spec)
            yield TensorDifference(
                name=name,
                node=node,
                told=spec_text(spec),
                own=_distance(values[name], mine),
                whole=_distance(values[name], exact[name] if theirs is None else theirs),
                largest=largest,
                allowed=share * largest,
                allowed_whole=math.inf if theirs is None or others is None else others.allowed * max(largest, _largest(theirs)),
            )


def _exact(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Every tensor without the roundings of the data types of floats."""
    values: dict[str, Array] = {**graph.constants, **inputs}
    for node in graph.nodes:
        with np.errstate(all="ignore"):
            made = layer_of(node.op).reference([_wide(values[name]) if name else None for name in node.inputs], node.attrs)
        arrays = [made] if isinstance(made, np.ndarray | np.generic) else list(made)
        for name, array in zip(node.outputs, arrays, strict=True):
            spec = graph.specs[name]
            values[name] = shaped(_wide(np.asarray(array)) if spec.dtype.is_float else rounded(np.asarray(array), spec.dtype), spec)
    return values


def _wide(array: Array) -> Array:
    return array if np.issubdtype(array.dtype, np.integer) else array.astype(np.float64)


def _largest(array: Array) -> float:
    wide = np.abs(array.astype(np.float64))
    finite = wide[np.isfinite(wide)]
    return float(finite.max()) if finite.size else 0.0


def _distance(found: Array, wanted: Array) -> float:
    """The largest difference; infinite where one has a NaN or an infinity and the other has not, or where their shapes differ."""
    if found.shape != wanted.shape:  # sizes that depend on data
        return float("inf")
    one, other = found.astype(np.float64), wanted.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(all="ignore"):
        difference = np.where(same, 0.0, np.abs(one - other))
    return float(np.nan_to_num(difference, nan=np.inf).max()) if difference.size else 0.0
