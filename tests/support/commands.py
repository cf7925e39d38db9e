"""Splits BM1684X streams into commands and their fields, independently of the decoder under test (only the field tables are shared).

The lengths are those that the loader of libsophon assumes; the library emits short TIU and long GDMA forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tpukernel.chips.bm1684x_fields import FORMATS

TIU_NAMES = {0: "CONV", 1: "PorD", 4: "RQ&DQ", 5: "TRANS&BC", 9: "SFU", 10: "LIN", 13: "CMP", 14: "VC", 15: "SYS"}
DMA_NAMES = ("tensor", "matrix", "masked_select", "general", "cw_transpose", "nonzero", "sys", "gather", "scatter")
SIZES = {"CONV": 64, "PorD": 64, "AR": 64, "SEG": 16, "MM": 48, "MM2": 32, "SG": 48, "SGL": 48, "CMP": 48, "VC": 48, "SYS": 16}
OTHER_TIU_BYTES, DMA_BYTES, DMA_SYS_BYTES = 32, 96, 16
END_SUBOP = {"SYS": 31, "DMA_sys": 0}


@dataclass(frozen=True)
class RawCommand:
    """One command: its name in the field tables, and all its fields."""

    name: str
    fields: dict[str, int]


@cache
def layout(name: str) -> tuple[tuple[str, int, int], ...]:
    """(field, lowest bit, width) of a command, without the unused bits."""
    found: list[tuple[str, int, int]] = []
    position = 0
    for field, _, width in (entry.partition(":") for entry in FORMATS[name].split()):
        if field != "_":
            found.append((field, position, int(width)))
        position += int(width)
    return tuple(found)


def split(engine: str, data: bytes) -> Iterator[RawCommand]:
    """The commands of a stream up to the end command or the end of the data; raises ``ValueError`` for a truncated command."""
    offset = 0
    while offset < len(data):
        head = int.from_bytes(data[offset : offset + 8], "little")
        name, size = _tiu(head) if engine == "tiu" else _gdma(head)
        command = data[offset : offset + size]
        if len(command) < size:
            raise ValueError(f"{engine} command at {offset} is truncated")
        word = int.from_bytes(command, "little")
        fields = {field: word >> low & ((1 << width) - 1) for field, low, width in layout(name)}
        yield RawCommand(name, fields)
        if name in END_SUBOP and fields.get("tsk_eu_typ", fields.get("cmd_special_function")) == END_SUBOP[name]:
            return
        offset += size


def _tiu(head: int) -> tuple[str, int]:
    kind, subop = head >> 41 & 15, head >> 45 & 31
    match kind:
        case 2:
            name = "MM" if subop <= 3 else "MM2"
        case 3:
            name = "SEG" if subop in (24, 25) else "AR"
        case 6:
            name = "SG" if subop < 17 else "SGL"
        case _:
            name = TIU_NAMES[kind]
    return name, SIZES.get(name, OTHER_TIU_BYTES)


def _gdma(head: int) -> tuple[str, int]:
    name = f"DMA_{DMA_NAMES[head >> 32 & 15]}"
    return name, DMA_SYS_BYTES if name == "DMA_sys" else DMA_BYTES
