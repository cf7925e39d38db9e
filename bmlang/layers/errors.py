"""Errors of layers and operators."""

from __future__ import annotations

from bmlang.graph.errors import GraphError

__all__ = [
    "LayerCheckError",
    "LayerDefinitionError",
    "LayerNameError",
    "OperatorArgumentError",
    "OperatorDtypeError",
    "OutsideFunctionError",
    "ShapeError",
    "UnknownLayerError",
]


class ShapeError(GraphError, code="BML120"):
    """Shapes of operands do not fit together."""


class OperatorDtypeError(GraphError, code="BML121"):
    """An operator does not work on this data type."""


class OperatorArgumentError(GraphError, code="BML122"):
    """An argument of an operator is missing, unknown or out of range."""


class UnknownLayerError(GraphError, code="BML123"):
    """No layer has this name."""


class LayerNameError(GraphError, code="BML124"):
    """A layer cannot be registered under this name."""


class OutsideFunctionError(GraphError, code="BML125"):
    """An operator was called with numbers only, outside of a function."""


class LayerDefinitionError(GraphError, code="BML126"):
    """A layer cannot be made of what was given: something is missing, or does not fit together."""


class LayerCheckError(GraphError, code="BML127"):
    """`layer_check` found that the forms of a layer do not agree."""
