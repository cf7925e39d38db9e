"""Errors of the TPUKernel functions.

Codes: API101-109 calls.
"""

from __future__ import annotations

from tpukernel.errors import TpuError

__all__ = ["ApiError", "ArgumentError", "ChipFunctionError", "NotRecordingError", "StaticStreamError"]


class ApiError(TpuError):
    """Base of the errors of TPUKernel functions."""


class ArgumentError(ApiError, code="API101"):
    """An argument of a TPUKernel function has a type or a value that the parameter cannot take."""


class ChipFunctionError(ApiError, code="API102"):
    """The function is in the public header, but the chip cannot do what it is for."""


class NotRecordingError(ApiError, code="API103"):
    """A TPUKernel function was called where nothing takes its instructions."""


class StaticStreamError(ApiError, code="API104"):
    """The function cannot be a part of a static command stream."""
