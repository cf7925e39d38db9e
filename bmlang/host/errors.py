"""Errors of operators that run on the host; they belong to the errors of the runtime (RT113, RT116)."""

from __future__ import annotations

from tpukernel.errors import TpuError

__all__ = ["CpuOperatorError", "HostLayerError"]


class CpuOperatorError(TpuError, code="RT113"):
    """An operator for the host that is not registered, or parameters and tensors that do not fit it."""


class HostLayerError(TpuError, code="RT116"):
    """A model needs a layer of a user on the host that this process has not registered, or says its arguments in no known way."""
