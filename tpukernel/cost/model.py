"""The cost of one command."""

from __future__ import annotations

from types import MappingProxyType
from typing import get_args

from tpukernel.chips.chip import Chip, chip_of
from tpukernel.chips.tensors import Constant
from tpukernel.cost.constants import CostTable, cost_table
from tpukernel.cost.dma import DMA_COSTS, direction_of, moved_bytes, traffic_of
from tpukernel.cost.errors import CostModeError, UnknownCostError
from tpukernel.cost.result import Cost, Mode
from tpukernel.cost.tiu import TIU_COSTS, Lanes, matrix_dtype
from tpukernel.isa.conv import Conv
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.matmul import MatMul
from tpukernel.isa.matmul2 import MatMul2
from tpukernel.isa.pool import Pool

__all__ = ["checked_table", "cost_of"]


def cost_of(instruction: Instruction, chip: Chip | str = "BM1684X", mode: Mode = "peer") -> Cost:
    """What a command costs.

    Args:
        instruction: the command.
        chip: the chip or its name.
        mode: `peer` counts as the official compiler does; `hw` adds cycles to start the command, which is a guess.

    Raises:
        NoCostTableError: the figures of the chip are not known.
        UnknownCostError: nobody has measured commands of this kind, or the chip forbids it (an operand without elements, a type that the
            unit does not multiply).
        CostModeError: there is no such mode.
    """
    chip = chip_of(chip)
    table = checked_table(chip, mode)
    _refuse_nonsense(instruction, table)
    start = _start_cycles(instruction, table) if mode == "hw" else 0
    return _tiu_cost(instruction, chip, table, start) if instruction.engine == "tiu" else _dma_cost(instruction, chip, table, start)


def checked_table(chip: Chip, mode: Mode) -> CostTable:
    """The figures of the chip, once it is sure that there is such a mode.

    Raises:
        NoCostTableError, CostModeError: as `cost_of`.
    """
    if mode not in get_args(Mode):
        raise CostModeError(f"the cost model has no mode {mode!r}", help=f"use one of {', '.join(get_args(Mode))}")
    return cost_table(chip)


def _refuse_nonsense(instruction: Instruction, table: CostTable) -> None:
    """Foreign streams can hold commands that no chip executes; these have no cost."""
    for use in instruction.operands():
        if not isinstance(use.value, Constant) and 0 in use.value.shape:
            raise _senseless(instruction, f"{use.name} has shape {use.value.shape}")
    if isinstance(instruction, Conv | Pool) and 0 in instruction.kernel:
        raise _senseless(instruction, f"its kernel is {instruction.kernel}")
    if isinstance(instruction, Conv | MatMul | MatMul2):
        dtype = matrix_dtype(instruction)
        if dtype not in (table.macs_per_cycle if isinstance(instruction, MatMul) else table.conv_pixels):
            raise _senseless(instruction, f"it multiplies {dtype.name}")


def _start_cycles(instruction: Instruction, table: CostTable) -> int:
    if instruction.engine == "gdma":
        return 0 if direction_of(instruction) is None else table.dma_start
    for key in (f"{instruction.unit}.{instruction.op_name}", instruction.unit):
        if key in table.tiu_start:
            return table.tiu_start[key]
    raise _unknown(instruction)


def _tiu_cost(instruction: Instruction, chip: Chip, table: CostTable, start: int) -> Cost:
    count = TIU_COSTS.get(type(instruction))
    if count is None:
        raise _unknown(instruction)
    found = count(instruction, Lanes(chip, table))
    matrix = isinstance(instruction, Conv | MatMul | MatMul2)
    return Cost(
        cycles=found.cycles + start,
        start_cycles=start,
        macs=instruction.macs if matrix else 0,
        best_cycles=instruction.macs / table.macs_per_cycle[matrix_dtype(instruction)] if matrix else 0.0,
        losses=MappingProxyType(dict(found.losses)),
    )


def _dma_cost(instruction: Instruction, chip: Chip, table: CostTable, start: int) -> Cost:
    count = DMA_COSTS.get(type(instruction))
    if count is None:
        raise _unknown(instruction)
    found, direction, moved = count(instruction, chip, table), direction_of(instruction), moved_bytes(instruction)
    return Cost(
        cycles=found.cycles + start,
        start_cycles=start,
        unmodelled=found.unmodelled,
        bytes=moved,
        traffic=traffic_of(instruction),
        best_cycles=moved / table.dma_rates["L2S" if direction == "L2S" else "S2L"],
        losses=MappingProxyType(dict(found.losses)),
    )


def _senseless(instruction: Instruction, why: str) -> UnknownCostError:
    return UnknownCostError(
        f"{instruction.title} has no cost: {why}", where=instruction.where, help="instruction.problems(chip) lists what the chip forbids"
    )


def _unknown(instruction: Instruction) -> UnknownCostError:
    return UnknownCostError(
        f"what {instruction.title} ({instruction.unit}) costs is not known",
        where=instruction.where,
        help="the official library never emits this command, so that its estimator cannot be asked; leave it out to cost the rest",
    )
