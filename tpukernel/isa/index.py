"""SEG: numbers that count the elements of a channel.

Source: field tables of tpu-mlir's debugger; behaviour as measured on the official C model. The official library itself never emits it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import ClassVar

from tpukernel.chips.chip import Chip, Engine
from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import i32, u32
from tpukernel.isa.errors import AttributeRangeError
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, dtypes, placement, rule
from tpukernel.isa.spec import DtypeCode, attribute, local

__all__ = ["IndexGen", "IndexGenOp"]


class IndexGenOp(IntEnum):
    """What SEG counts."""

    ELEMENT = 24
    """`dst[0, c, 0, w] = w`."""
    LANE = 25
    """Named by the tables; what the official C model writes differs from run to run. Do not use."""


def _unknown_result(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
    if instruction.value_of("op") is IndexGenOp.LANE:
        yield "op", f"nobody knows what {instruction.title} writes", "use ELEMENT, or distribute integers from the static memory"


class IndexGen(Instruction):
    """Fills every channel with numbers.

    Attributes:
        op: what is counted.
        dst: result, (1, c, 1, w), EU-aligned, 32-bit integers.
    """

    unit: ClassVar[str] = "SEG"
    family: ClassVar[str] = "index"
    engine: ClassVar[Engine] = "tiu"
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 3}

    op: IndexGenOp = attribute("tsk_eu_typ", IndexGenOp)
    dst: LocalTensor = local("res0", DtypeCode("res0_prec"), (1, "res0_c", 1, "res0_w"), direction="out")

    rules: ClassVar[tuple[Rule, ...]] = (
        dtypes("dst", i32, u32),
        rule("not_reproducible", "What LANE writes is not known.", AttributeRangeError, _unknown_result),
        placement,
    )
