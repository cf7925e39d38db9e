"""Data types of the TPUs, on numpy and ml_dtypes.

A `Dtype` is what the chips distinguish: kind, width and signedness. The number by which a chip encodes it is a fact of the chip
(`Chip.dtype_codes`), not of the type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from tpukernel.errors import TpuError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DTYPES", "Dtype", "DtypeNameError", "bf16", "dtype_of", "f16", "f32", "i8", "i16", "i32", "u8", "u16", "u32"]


class DtypeNameError(TpuError, code="CHIP101"):
    """A data type that the TPUs do not have was asked for."""


@dataclass(frozen=True, slots=True)
class Dtype:
    """One data type: `kind` is "f" (IEEE float), "b" (bfloat), "i" (signed) or "u" (unsigned integer); `bits` its width."""

    name: str
    kind: Literal["f", "b", "i", "u"]
    bits: int

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.bits // 8

    @property
    def is_float(self) -> bool:
        return self.kind in "fb"

    @property
    def is_int(self) -> bool:
        return not self.is_float

    @property
    def is_signed(self) -> bool:
        """True for signed integers and for all floats."""
        return self.kind != "u"

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest number of an integer type."""
        return (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1) if self.kind == "i" else (0, (1 << self.bits) - 1)

    @property
    def numpy(self) -> np.dtype:
        """The numpy dtype of the same bits (`ml_dtypes.bfloat16` for bf16)."""
        import numpy as np

        if self.kind == "b":
            import ml_dtypes

            return np.dtype(ml_dtypes.bfloat16)
        return np.dtype(f"{self.kind}{self.itemsize}")

    def __repr__(self) -> str:
        return self.name


f32 = Dtype("f32", "f", 32)
f16 = Dtype("f16", "f", 16)
bf16 = Dtype("bf16", "b", 16)
i8 = Dtype("i8", "i", 8)
u8 = Dtype("u8", "u", 8)
i16 = Dtype("i16", "i", 16)
u16 = Dtype("u16", "u", 16)
i32 = Dtype("i32", "i", 32)
u32 = Dtype("u32", "u", 32)

DTYPES: dict[str, Dtype] = {t.name: t for t in (f32, f16, bf16, i8, u8, i16, u16, i32, u32)}
"""All data types by name."""

_LONG = {"f": "float", "b": "bfloat", "i": "int", "u": "uint"}
_BY_LONG_NAME = {f"{_LONG[t.kind]}{t.bits}": t for t in DTYPES.values()}


def dtype_of(value: Dtype | str | np.dtype | type) -> Dtype:
    """The `Dtype` for a Dtype, its name ("i8", "f32") or long name ("int8", "float32"), or a numpy dtype or scalar type.

    numpy's own short names mean bytes, not bits ("i4", "f4"), and are refused.

    Raises:
        DtypeNameError: the TPUs have no such type (float64, int64, bool, another byte order, ...).
    """
    if isinstance(value, Dtype):
        return value
    found = DTYPES.get(value) or _BY_LONG_NAME.get(value) if isinstance(value, str) else _BY_LONG_NAME.get(_long_name(value))
    if found is None:
        raise DtypeNameError(f"there is no TPU data type {value!r}", help=f"use one of {', '.join(DTYPES)}")
    return found


def _long_name(value: object) -> str:
    import numpy as np

    try:
        wanted = np.dtype(cast("type", value))
    except (TypeError, ValueError):
        return ""
    return wanted.name if wanted.isnative else ""
