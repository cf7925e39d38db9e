"""LIN: floating-point multiply-add and squared sums with one number per channel.

Source: field tables of tpu-mlir's debugger; use of the fields and arithmetic as measured on the official library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import ClassVar, cast

from tpukernel.chips.chip import Engine
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.isa.format import Bits
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, dtypes_by_op, operand_count, placement, same_lane
from tpukernel.isa.spec import DtypeCode, attribute, local, local_or_constant, optional_local_or_constant

__all__ = ["Linear", "LinearOp"]


class LinearOp(IntEnum):
    """What LIN computes; each step is rounded to the type."""

    MAC = 1
    """`dst = src0 * src1 + src2`."""
    SQUARE_SUM = 20
    """`dst = (src0 + src1) * (src0 + src1)`."""
    SQUARE_DIFF = 21
    """`dst = (src0 - src1) * (src0 - src1)`."""


_SHAPE = ("res0_n", "res0_c", "res0_h", "res0_w")
_PER_CHANNEL = (1, "res0_c", 1, 1)
_DTYPE = DtypeCode("res0_prec")


def _is_mac(bits: Bits) -> bool:
    return bits["tsk_eu_typ"] == LinearOp.MAC


def _source_counts(instruction: Instruction) -> tuple[int, int]:
    count = 3 if instruction.value_of("op") is LinearOp.MAC else 2
    return count, count


def _allowed(instruction: Instruction) -> Iterator[tuple[str, tuple[Dtype, ...]]]:
    yield "dst", (f32, f16, bf16)
    for source in ("src0", "src1", "src2"):
        yield source, (cast("LocalTensor", instruction.value_of("dst")).dtype,)


class Linear(Instruction):
    """Multiply-add with numbers per channel. All operands have the type of `dst`: f32, f16 or bf16.

    Attributes:
        op: the operation.
        dst: result, (n, c, h, w), EU-aligned.
        src0: operand of the same shape.
        src1: scale of MAC, or what is added or subtracted; a constant, or one number per channel: (1, c, 1, 1), compact.
        src2: bias of MAC, likewise.
    """

    unit: ClassVar[str] = "LIN"
    family: ClassVar[str] = "linear"
    engine: ClassVar[Engine] = "tiu"
    in_place: ClassVar[bool | frozenset[int]] = True
    fixed: ClassVar[Mapping[str, int]] = {"cmd_short": 1, "cmd_id_en": 1, "tsk_typ": 10}

    op: LinearOp = attribute("tsk_eu_typ", LinearOp)
    dst: LocalTensor = local("res0", _DTYPE, _SHAPE, direction="out")
    src0: LocalTensor = local("opd0", _DTYPE, _SHAPE)
    src1: LocalTensor | Constant = local_or_constant("opd1", _DTYPE, _PER_CHANNEL, layout=Layout.COMPACT, const="opd1_const")
    src2: LocalTensor | Constant | None = optional_local_or_constant(
        "opd2", _DTYPE, _PER_CHANNEL, layout=Layout.COMPACT, const="opd2_const", present=_is_mac, default=None
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        operand_count("Three sources for MAC, two for the others.", _source_counts),
        dtypes_by_op("`dst` is f32, f16 or bf16, and the sources have its type.", _allowed),
        placement,
        same_lane,
    )
