"""Errors of functions."""

from __future__ import annotations

from bmlang.graph.errors import GraphError

__all__ = ["FunctionArgumentError", "FunctionResultError", "FunctionSignatureError"]


class FunctionSignatureError(GraphError, code="BML101"):
    """A Python function cannot be a function of BMLang."""


class FunctionArgumentError(GraphError, code="BML102"):
    """A function was called with arguments that do not fit."""


class FunctionResultError(GraphError, code="BML103"):
    """A function returns something that is no tensor."""
