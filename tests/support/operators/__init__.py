"""The operators of BMLang as the tests know them: one row for each function of `bm` that makes tensors, and for each layer without one."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.operators import (
    dimension,
    hosted,
    indexed,
    integers,
    logic,
    moving,
    packed,
    pointwise,
    pooled,
    products,
    quantised,
    resampling,
    rows,
    volumes,
)
from tests.support.operators.base import Example, Operator

__all__ = ["OPERATORS", "Example", "Operator"]

FAMILIES = (pointwise, logic, moving, indexed, rows, dimension, products, integers, pooled, resampling, hosted, volumes, quantised, packed)
OPERATORS: Mapping[str, Operator] = {operator.name: operator for family in FAMILIES for operator in family.OPERATORS}
