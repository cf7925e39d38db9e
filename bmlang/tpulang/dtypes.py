"""The names of data types and roundings in TpuLang."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bmlang.layers.errors import OperatorArgumentError
from bmlang.layers.tensor import here
from bmlang.tpulang.errors import TensorDeclarationError
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32

__all__ = ["DTYPES", "ROUNDINGS", "dtype_named", "name_of_dtype", "rounding_named"]

DTYPES: Final[Mapping[str, Dtype]] = {
    "float32": f32,
    "float16": f16,
    "bfloat16": bf16,
    "int32": i32,
    "uint32": u32,
    "int16": i16,
    "uint16": u16,
    "int8": i8,
    "uint8": u8,
}
"""Data types by their names in TpuLang; bfloat16 is more than its manual has."""
NAMES: Final[Mapping[Dtype, str]] = {dtype: name for name, dtype in DTYPES.items()}
ROUNDINGS: Final = ("half_away_from_zero", "half_to_even", "towards_zero", "down", "up", "half_up", "half_down")
"""Names of roundings; they are those of `bmlang`, too."""


def dtype_named(name: str) -> Dtype:
    """The data type of a name, in which capitals do not count.

    Raises:
        TensorDeclarationError: there is none.
    """
    found = DTYPES.get(name.lower())
    if found is None:
        raise TensorDeclarationError(f"there is no data type {name!r}", position=here(), help=f"choose from {', '.join(DTYPES)}")
    return found


def name_of_dtype(dtype: Dtype) -> str:
    """What TpuLang calls a data type."""
    return NAMES[dtype]


def rounding_named(name: str, *, floats: bool = False) -> str:
    """The rounding of a name, also in the form `HalfAwayFromZero`.

    Args:
        name: what the user wrote.
        floats: floats are rounded, for which the chip has five kinds.

    Raises:
        OperatorArgumentError: there is none, or not for floats.
    """
    plain = "".join(f"_{each.lower()}" if each.isupper() else each for each in name).lstrip("_") if "_" not in name else name.lower()
    choice = ROUNDINGS[:5] if floats else ROUNDINGS
    if plain not in choice:
        raise OperatorArgumentError(f"there is no rounding {name!r} here", position=here(), help=f"choose from {', '.join(choice)}")
    return plain
