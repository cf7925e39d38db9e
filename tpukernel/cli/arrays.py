"""Arrays in `.npy` files. They are read as files of unknown origin: no objects, and no more bytes than are there."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tpukernel.cli.errors import ArrayFileError, KernelArgumentError
from tpukernel.dtypes import Dtype
from tpukernel.files import save_atomically
from tpukernel.npy import NPY_ERRORS, read_elements, read_header

__all__ = ["read_array", "write_array"]


def read_array(path: Path, dtype: Dtype | None) -> NDArray[np.generic]:
    """The array of a file.

    Args:
        path: the file.
        dtype: what its elements are; None for what the file says. numpy writes bf16 as bytes without a meaning (`|V2`), so that it must be
            told; nothing is converted.

    Raises:
        ArrayFileError: it is no `.npy` file of numbers.
        KernelArgumentError: its elements are of another type.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            found = _plain(read_elements(file, read_header(file)))
    except NPY_ERRORS as error:
        raise ArrayFileError(f"{path} is no array: {error}", help="give a file that numpy.save has written, with numbers") from error
    if dtype is None or found.dtype == dtype.numpy:
        return found
    if found.dtype.kind == "V" and found.dtype.itemsize == dtype.itemsize:
        return found.view(dtype.numpy)
    raise KernelArgumentError(f"the elements of {path} are {found.dtype}, not {dtype.name}", help="leave --dtype out, or convert the file")


def _plain(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """In the byte order of this computer."""
    return array.astype(array.dtype.newbyteorder("="))


def write_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array, all at once or not at all; bf16 as bytes without a meaning (`|V2`), as numpy does it."""
    file = BytesIO()
    plain = array if array.dtype.isbuiltin == 1 else array.view(np.dtype((np.void, array.dtype.itemsize)))
    np.save(file, plain, allow_pickle=False)
    save_atomically(path, [file.getbuffer()])
