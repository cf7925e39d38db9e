"""What differs between chips, as data. Nothing outside this folder may know a number of one chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from tpukernel.dtypes import Dtype
from tpukernel.errors import TpuError

__all__ = ["CHIPS", "Chip", "ChipNameError", "Engine", "Region", "StaticTable", "chip_of"]

Engine = Literal["tiu", "gdma"]
"""The two command engines: the tensor instruction unit (TIU, "BDC" in the C API) and the DMA engine of the global memory."""


class ChipNameError(TpuError, code="CHIP102"):
    """An unknown chip was named."""


@dataclass(frozen=True, slots=True)
class Region:
    """One address range of the chip: `base` is the system address of its first byte, `size` its bytes."""

    name: str
    base: int
    size: int

    @property
    def end(self) -> int:
        """First address behind the region."""
        return self.base + self.size

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and self.base <= address < self.end


@dataclass(frozen=True, slots=True)
class StaticTable:
    """One table of the static memory: `count` elements of `dtype` from byte `offset` on.

    The tables are the series of a function around 0: `exp`, `log` (of 1 + x), `arcsin` and `arctan` of x, `sin` and `cos` of 2 pi x,
    `tan` of pi x; odd and even functions list only their odd or even coefficients. `erf` is a rational approximation's exponent,
    `exp_values` are e^-103 to e^88, `iota` the numbers from 0.
    """

    name: str
    offset: int
    count: int
    dtype: Dtype


@dataclass(frozen=True)
class Chip:
    """One TPU: the numbers by which it differs from the others.

    Attributes:
        lanes: lanes (NPUs), each with its own local memory and its own EUs.
        lane_bytes: bytes of local memory of one lane.
        banks: banks of the local memory of one lane.
        eu_bytes: the alignment unit of local tensors, in bytes. (On the BM1684X also what the EUs of one lane take in a cycle; not on the
            BM1684.)
        regions: the address map seen by the GDMA, by name: `lmem`, `l2`, `ddr`, and `static` where the chip has it.
        dtype_codes: the number by which an instruction names the width and kind of a type; signedness is a separate bit.
        weight_pack: input channels that a convolution weight keeps together per tap ("IC parallel"), by type of the weight. A type that
            is not in here has no known weight layout.
        command_id_bits: width of a command number; a longer program is cut into groups.
        max_shape: largest size of one dimension in an instruction.
        gdma_max_w_stride_bytes: largest distance of two neighbouring w elements in a GDMA copy, or None when there is no such limit.
        stream_alignment: bytes to which a finished command stream is padded.
        static_tables: what the static memory holds, by the table's name; those of 16-bit types carry the type in the name ("exp_bf16").
        cores: TPU cores, each with its own engines and memories.
        packs: how many n may share a unit (`LocalTensor.pack`) besides 1, by type.
    """

    name: str
    lanes: int
    lane_bytes: int
    banks: int
    eu_bytes: int
    regions: Mapping[str, Region]
    dtype_codes: Mapping[Dtype, int]
    weight_pack: Mapping[Dtype, int]
    command_id_bits: int
    max_shape: int
    gdma_max_w_stride_bytes: int | None
    stream_alignment: int
    static_tables: Mapping[str, StaticTable] = field(default_factory=lambda: MappingProxyType({}))
    cores: int = 1
    packs: Mapping[Dtype, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def __repr__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __reduce__(self) -> tuple[object, ...]:
        return chip_of, (self.name,)  # a copy or an unpickled chip is the chip itself

    @property
    def bank_bytes(self) -> int:
        """Bytes of one bank of one lane."""
        return self.lane_bytes // self.banks

    @property
    def local_bytes(self) -> int:
        """Bytes of the local memory of all lanes together."""
        return self.lanes * self.lane_bytes

    @property
    def max_command_id(self) -> int:
        """The largest command number."""
        return (1 << self.command_id_bits) - 1

    def eu_count(self, dtype: Dtype) -> int:
        """Elements of `dtype` in one alignment unit, as `tpu_eu_num` and `okk_eu_num` count them."""
        return self.eu_bytes // dtype.itemsize

    @cached_property
    def dtypes_by_code(self) -> Mapping[tuple[int, bool], Dtype]:
        """(code, signed) -> dtype; float types answer to both signs, because instructions set the sign bit of a float at will."""
        table: dict[tuple[int, bool], Dtype] = {}
        for dtype, code in self.dtype_codes.items():
            for signed in (False, True) if dtype.is_float else (dtype.is_signed,):
                table[code, signed] = dtype
        return MappingProxyType(table)


CHIPS: dict[str, Chip] = {}
"""Every known chip by its name as a BModel writes it."""


def chip_of(chip: Chip | str) -> Chip:
    """The chip itself, or the chip of that name (upper or lower case).

    Raises:
        ChipNameError: no such chip.
    """
    if isinstance(chip, Chip):
        return chip
    found = CHIPS.get(str(chip).upper())
    if found is None:
        raise ChipNameError(f"there is no chip {chip!r}", help=f"use one of {', '.join(CHIPS)}")
    return found
