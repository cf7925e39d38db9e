"""Errors of the commands that work on kernels. Codes: CLI110 to CLI129."""

from __future__ import annotations

from tpukernel.errors import TpuError

__all__ = ["ArrayFileError", "KernelArgumentError", "KernelChoiceError", "KernelFailedError", "KernelFileError"]


class KernelFileError(TpuError, code="CLI110"):
    """A file that was given for its kernels cannot be loaded."""


class KernelChoiceError(TpuError, code="CLI111"):
    """A file holds no kernel, none of the name that was given, or several and no name was given."""


class ArrayFileError(TpuError, code="CLI112"):
    """A file that was given as an array is none."""


class KernelArgumentError(TpuError, code="CLI113"):
    """What was given on the command line does not fit the kernel: an input is missing, a tensor is unknown, a type contradicts a file."""


class KernelFailedError(TpuError, code="CLI114"):
    """The Python of a kernel raised an exception while the kernel was traced, as when it unpacks four dimensions of a tensor with two."""
