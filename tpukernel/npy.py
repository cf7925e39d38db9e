"""Reading `.npy` data of unknown origin: the header first, and never more bytes than it may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import IO, Final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

__all__ = ["NPY_ERRORS", "Header", "read_elements", "read_header"]

NPY_ERRORS: Final = (ValueError, TypeError, SyntaxError, EOFError, OverflowError, RecursionError)
"""What numpy may raise for a header that is none."""

_HEADERS: Final[dict[tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype]]]] = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Header:
    """What an `.npy` file says of its array."""

    dtype: np.dtype
    shape: tuple[int, ...]
    is_fortran: bool

    @property
    def size(self) -> int:
        """Bytes of the elements."""
        return prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> Header:
    """The header, up to the first element.

    Raises:
        ValueError or another of `NPY_ERRORS`: there is no header, or it describes Python objects or nothing that an array can be.
    """
    version = npy_format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the .npy format")
    shape, is_fortran, dtype = _HEADERS[version](file)  # at most 10,000 bytes, read as literals and not executed
    if dtype.hasobject or dtype.names or any(size < 0 for size in shape):
        raise ValueError(f"elements of type {dtype} and shape {shape}")
    return Header(dtype, shape, is_fortran)


def read_elements(file: IO[bytes], header: Header) -> NDArray[np.generic]:
    """The elements behind the header. The caller has checked that their size is sensible.

    Raises:
        ValueError: there are fewer or more of them.
    """
    data = file.read(header.size + 1)
    if len(data) != header.size:
        raise ValueError(f"{'more than ' * (len(data) > header.size)}{min(len(data), header.size)} bytes instead of {header.size}")
    return np.frombuffer(bytearray(data), header.dtype).reshape(header.shape, order="F" if header.is_fortran else "C")
