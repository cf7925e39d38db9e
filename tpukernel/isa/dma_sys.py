"""DMA_sys: GDMA commands without data: end of the stream, no operation.

Source: field tables of tpu-mlir's debugger. The only GDMA command that is emitted in its short form.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar

from tpukernel.chips.chip import Engine
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.spec import attribute

__all__ = ["DmaSys", "DmaSysOp"]


class DmaSysOp(IntEnum):
    """What a DMA_sys command does."""

    END = 0
    NOP = 1


class DmaSys(Instruction):
    """A GDMA command without data; `op` says which."""

    unit: ClassVar[str] = "DMA_sys"
    family: ClassVar[str] = "dma_sys"
    engine: ClassVar[Engine] = "gdma"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "cmd_type": 6}

    op: DmaSysOp = attribute("cmd_special_function", DmaSysOp)

    @property
    def is_end(self) -> bool:
        return self.op is DmaSysOp.END
