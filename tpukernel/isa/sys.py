"""SYS: commands of the TIU without data: end of the stream, no operation, barriers and synchronisation.

Source: field tables of tpu-mlir's debugger; on the official emulator none of them touches memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar

from tpukernel.chips.chip import Engine
from tpukernel.isa.format import BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.spec import attribute

__all__ = ["Sys", "SysOp"]


class SysOp(IntEnum):
    """What a SYS command does."""

    INTERRUPT_BARRIER = 0
    SPB = 1
    SWR = 2
    SWR_FROM_LMEM = 3
    SWR_COLLECT_FROM_LMEM = 4
    DATA_BARRIER = 5
    NOP = 30
    END = 31


class Sys(Instruction):
    """A TIU command without data; `op` says which."""

    unit: ClassVar[str] = "SYS"
    family: ClassVar[str] = "sys"
    engine: ClassVar[Engine] = "tiu"
    fixed: ClassVar[Mapping[str, int]] = {"tsk_typ": 15}

    op: SysOp = attribute("tsk_eu_typ", SysOp)

    def write_derived(self, bits: BitWriter) -> None:
        # The official library leaves the flag clear in the end command, and only there.
        bits.put("cmd_id_en", 0 if self.op is SysOp.END else 1, "op")

    @property
    def is_end(self) -> bool:
        return self.op is SysOp.END
