"""How much the tensors of a program are like references, and where the first one that is not comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bmlang.graph.graph import Array, Graph
from bmlang.graph.text import spec_text
from tpukernel.source import Position

__all__ = ["AS_COMPUTED", "AS_WRITTEN", "Comparison", "Likeness", "Tolerance", "compared", "likeness"]

Wide = NDArray[np.float64]


@dataclass(frozen=True)
class Tolerance:
    """What two tensors have to be to count as equal, as the tools of TpuLang measure it.

    Attributes:
        cosine: least cosine of the angle between them as vectors.
        euclid: least `1 - |a - b| / |(a + b) / 2|`.
    """

    cosine: float
    euclid: float


AS_WRITTEN: Final = Tolerance(0.99, 0.99)
"""Of numpy and references: the numbers of TpuLang."""
AS_COMPUTED: Final = Tolerance(0.95, 0.80)
"""Of what a TPU computes: the numbers of TpuLang."""


@dataclass(frozen=True)
class Likeness:
    """One tensor beside its reference.

    Attributes:
        name, told: of the tensor: its name, and its data type and shape.
        made_by: the operator that makes it.
        position: where the user wrote it.
        cosine, euclid: how much both are alike; 1 for equal ones.
        is_like: whether that is enough.
    """

    name: str
    told: str
    made_by: str
    position: Position | None
    cosine: float
    euclid: float
    is_like: bool

    def __str__(self) -> str:
        found = "equal" if self.cosine == self.euclid == 1 else f"cosine {self.cosine:.4f}, euclid {self.euclid:.4f}"
        return f"{self.name} {self.told} = {self.made_by}: {found}{'' if self.is_like else ' - differs'}"


@dataclass(frozen=True)
class Comparison:
    """Tensors beside their references, in the order in which they are computed; true when all are alike.

    Attributes:
        what: what is compared with what.
        tensors: each of them.
        since: tensors between the last one in front of the first difference that is alike, and that; its own one included.
    """

    what: str
    tensors: tuple[Likeness, ...]
    since: tuple[str, ...] = ()

    @property
    def first(self) -> Likeness | None:
        """The first one that differs."""
        return next((each for each in self.tensors if not each.is_like), None)

    def __bool__(self) -> bool:
        return self.first is None

    def __str__(self) -> str:
        lines = [self.what, *(f"  {each}" for each in self.tensors)]
        if self.first is not None:
            lines.append(f"  the first difference arises in {self.first.name}, which comes by way of {', '.join(self.since)}")
        return "\n".join(lines)


def likeness(found: Array, wanted: Array) -> tuple[float, float]:
    """Cosine and euclidean similarity of two arrays; NaN and infinities at the same places are equal, at others nothing is alike."""
    one, other = (np.asarray(each, np.float64).reshape(-1) for each in (found, wanted))
    finite = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return -1.0, -np.inf
    one, other = one[finite], other[finite]
    if np.array_equal(one, other):
        return 1.0, 1.0
    largest = max(_largest(one), _largest(other))
    one, other = one / largest, other / largest
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    middle = float(np.linalg.norm((one + other) / 2))
    cosine = float(one @ other) / lengths if lengths else 0.0
    return cosine, 1 - float(np.linalg.norm(one - other)) / middle if middle else -np.inf


def compared(what: str, graph: Graph, found: Mapping[str, Array], wanted: Mapping[str, Array], tolerance: Tolerance) -> Comparison:
    """Compare tensors of a graph with references.

    Args:
        what: what is compared with what, for the report.
        graph: the graph.
        found: tensors by name.
        wanted: references by name, of the same shapes; tensors without one are left out.
        tolerance: what counts as equal.
    """
    makers = graph.makers()
    order = [name for node in graph.nodes for name in node.outputs if name in wanted and name in found]
    tensors: list[Likeness] = []
    for name in order:
        cosine, euclid = likeness(found[name], wanted[name])
        node = makers[name]
        is_like = cosine >= tolerance.cosine and euclid >= tolerance.euclid
        tensors.append(Likeness(name, spec_text(graph.specs[name]), node.op, node.position, cosine, euclid, is_like))
    different = next((each.name for each in tensors if not each.is_like), None)
    alike = {each.name for each in tensors if each.is_like}
    return Comparison(what, tuple(tensors), () if different is None else tuple(_since(graph, different, alike)))


def _since(graph: Graph, name: str, alike: set[str]) -> Sequence[str]:
    """The tensors from which one is made, back to those that are alike, inputs and constants."""
    makers, wanted = graph.makers(), {name}
    found: list[str] = []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            found.append(f"{node.op} ({', '.join(node.outputs)})")
            wanted.update(each for each in node.inputs if each in makers and each not in alike)
    return found[::-1]


def _largest(numbers: Wide) -> float:
    return float(np.abs(numbers).max(initial=0.0)) or 1.0
