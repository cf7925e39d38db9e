"""Errors of compilation."""

from __future__ import annotations

from bmlang.graph.errors import GraphError

__all__ = ["BoundedShapeError", "CompileArgumentError", "LocalMemoryFullError", "NoFormError"]


class LocalMemoryFullError(GraphError, code="BML141"):
    """An operator does not fit into local memory, however it is cut."""


class NoFormError(GraphError, code="BML142"):
    """The TPU has no way to compute an operator for these inputs."""


class CompileArgumentError(GraphError, code="BML143"):
    """An argument of `compile` is wrong: a stage without a shape, a mode that there is not."""


class BoundedShapeError(GraphError, code="BML144"):
    """The TPU would have to compute with a tensor whose size depends on data."""
