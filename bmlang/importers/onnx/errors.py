"""Errors of the ONNX importer: IMP101-119."""

from __future__ import annotations

from collections.abc import Sequence

from bmlang.graph.errors import GraphError

__all__ = [
    "OnnxFileError",
    "OnnxInputError",
    "OnnxLimitError",
    "OnnxMissingError",
    "OnnxNodeError",
    "OnnxTypeError",
    "UnsupportedNodesError",
]


class OnnxMissingError(GraphError, code="IMP101"):
    """The package `onnx` is not installed."""


class OnnxFileError(GraphError, code="IMP102"):
    """A file is no ONNX model, contradicts itself, or takes data from where it must not."""


class UnsupportedNodesError(GraphError, code="IMP103"):
    """A model has nodes that cannot be imported; all of them are listed.

    Attributes:
        needed: inputs of the model whose numbers some of the nodes need: they may be given as `values`.
    """

    def __init__(self, message: str, *, needed: Sequence[str] = (), help: str | None = None) -> None:
        super().__init__(message, help=help)
        self.needed = tuple(needed)


class OnnxInputError(GraphError, code="IMP104"):
    """An input of a model has no fixed shape, or what was said about an input does not fit."""


class OnnxTypeError(GraphError, code="IMP105"):
    """Numbers of a model have no data type on the TPU, or do not fit into the one that stands for theirs."""


class OnnxLimitError(GraphError, code="IMP106"):
    """A model is larger than the importer allows, or makes something that is."""


class OnnxNodeError(GraphError, code="IMP107"):
    """A node of a model is not what its operator demands."""
