"""All operators that are imported, by domain and name: those of the families together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from bmlang.importers.onnx.families import (
    constants,
    control,
    einsum,
    hosted,
    logic,
    norms,
    pointwise,
    products,
    quantised,
    recurrent,
    reductions,
    resizing,
    sampling,
    selections,
    sequences,
    shapes,
    windows,
)
from bmlang.importers.onnx.node import Handler

__all__ = ["EAGER", "OPERATORS"]

Handlers: TypeAlias = Mapping[tuple[str, str], Handler]
FAMILIES: Final = (
    constants,
    einsum,
    hosted,
    logic,
    norms,
    pointwise,
    products,
    quantised,
    recurrent,
    reductions,
    resizing,
    sampling,
    selections,
    shapes,
    windows,
)
OPERATORS: Final[Handlers] = {("", name): handler for family in FAMILIES for name, handler in family.TABLE.items()}
"""Where all inputs are known, a node is computed while importing, and these are not asked."""
EAGER: Final[Handlers] = {
    ("", name): handler for family in (constants, control, quantised, selections, sequences) for name, handler in family.EAGER.items()
}
"""These are asked whether inputs are known or not."""
