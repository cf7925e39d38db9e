"""Errors of functions and their graphs.

Codes: BML101-119 functions and their arguments, BML120-139 operators and shapes, BML140-159 compilation, BML160-169 graph text.
"""

from __future__ import annotations

from tpukernel.errors import TpuError
from tpukernel.source import Position

__all__ = [
    "GraphConstantError",
    "GraphError",
    "GraphLimitError",
    "GraphNameError",
    "GraphSizeError",
    "GraphStructureError",
    "GraphSyntaxError",
    "SizeUseError",
]


class GraphError(TpuError):
    """Base of the errors of functions, graphs and compilation.

    Args:
        message: what is wrong.
        position: the user's line.
        help: what to change.
    """

    def __init__(self, message: str, *, position: Position | None = None, where: str | None = None, help: str | None = None) -> None:
        super().__init__(message, where=where or (None if position is None else position.rendered()), help=help)
        self.position = position


class SizeUseError(GraphError, code="BML104"):
    """A function that is compiled for sizes that vary does something else for each size."""


class GraphStructureError(GraphError, code="BML140"):
    """A graph contradicts itself: a name that nothing makes, two makers of one name, a cycle."""


class GraphSyntaxError(GraphError, code="BML160"):
    """A text is no graph: something stands where the language does not have it."""


class GraphNameError(GraphError, code="BML161"):
    """A name of a graph as text stands for nothing, or for two things."""


class GraphConstantError(GraphError, code="BML162"):
    """The value of a constant is missing, or does not fit its shape and data type."""


class GraphLimitError(GraphError, code="BML163"):
    """A graph as text is too large."""


class GraphSizeError(GraphError, code="BML164"):
    """Real sizes for which a graph with sizes that vary is not made: too large, or other than what its function decided by."""
