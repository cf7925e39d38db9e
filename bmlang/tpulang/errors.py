"""Errors of TpuLang programs that are none of an operator. What does not fit an operator has the errors of operators (BML120-125)."""

from __future__ import annotations

from bmlang.graph.errors import GraphError

__all__ = [
    "CompileTensorsError",
    "NotInTpuLangError",
    "ReferenceMismatchError",
    "SessionError",
    "TensorDeclarationError",
    "TensorNameError",
]


class SessionError(GraphError, code="TPUL101"):
    """There is no graph to write to, or a tensor belongs to another one."""


class TensorDeclarationError(GraphError, code="TPUL102"):
    """A tensor or scalar is declared with shape, type, data or quantisation that do not fit together."""


class TensorNameError(GraphError, code="TPUL103"):
    """Two tensors of a graph have the same name."""


class CompileTensorsError(GraphError, code="TPUL104"):
    """The inputs, outputs or references that a program is compiled with do not belong to it."""


class ReferenceMismatchError(GraphError, code="TPUL105"):
    """Tensors are not what the references say."""


class NotInTpuLangError(GraphError, code="TPUL106"):
    """A part of TpuLang that is not there, with the reason."""
