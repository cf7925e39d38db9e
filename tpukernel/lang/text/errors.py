"""Errors of kernels as text: KER150 to KER169. What tracing finds in a text has the codes that it has in Python."""

from __future__ import annotations

from tpukernel.lang.errors import KernelError

__all__ = [
    "TextArgumentError",
    "TextCheckError",
    "TextDeclarationError",
    "TextFormatError",
    "TextLimitError",
    "TextNameError",
    "TextSelectionError",
    "TextSyntaxError",
    "TextValueError",
]


class TextSyntaxError(KernelError, code="KER150"):
    """The text is no kernel: something stands where the language does not have it."""


class TextNameError(KernelError, code="KER151"):
    """A name stands for nothing here, or is given to two things."""


class TextValueError(KernelError, code="KER152"):
    """A value is not of the kind that is needed, or cannot be computed."""


class TextArgumentError(KernelError, code="KER153"):
    """The arguments of an operation are not those that it has."""


class TextDeclarationError(KernelError, code="KER154"):
    """The head of a kernel contradicts itself, or says too little."""


class TextLimitError(KernelError, code="KER155"):
    """A text is too large, too deeply nested, or computes with too large expressions or numbers."""


class TextSelectionError(KernelError, code="KER156"):
    """The text does not hold the kernel that is asked for, or holds several and none is asked for."""


class TextFormatError(KernelError, code="KER157"):
    """A text of kernels is not in the usual form, and somebody asked whether it is."""


class TextCheckError(KernelError, code="KER158"):
    """Texts of kernels have mistakes; the message has all that were found."""
