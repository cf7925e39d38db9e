"""What the cost of a command is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Literal

__all__ = ["Cost", "Loss", "Mode", "Traffic"]

Mode = Literal["peer", "hw"]
"""`peer`: as the official compiler counts. `hw`: the same plus cycles to start a command; a guess."""


class Loss(Enum):
    """Why a command takes longer than its amount of work would; the value is what to do about it."""

    SHORT_RUNS = "contiguous runs below a DDR burst: make the rows of a lane longer (fewer lanes, DMA_matrix)"
    FEW_CHANNELS = "transfers that do not reach all DDR channels (below 16 KiB, or c or n strides of whole rounds): join small transfers"
    TWO_STRIDED = "two operands of free strides, read one after the other: use a layout without strides for one of them"
    STRIDED = "operands or results of free strides that touch more lines than they fill: use an aligned or compact layout"
    SAME_BANK = "a result in place or in its operand's bank: write it to a buffer in another bank"
    STRIDED_WINDOW = "pooling with strides in both directions: pool in one direction after the other, where the operation allows it"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that go over the bus to DDR and L2.

    Attributes:
        read: bytes read from system memory.
        written: bytes written to it.
    """

    read: int = 0
    written: int = 0

    @property
    def total(self) -> int:
        """Bytes in both directions."""
        return self.read + self.written

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.read + other.read, self.written + other.written)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command costs.

    Attributes:
        cycles: cycles of its engine's clock.
        start_cycles: those of them that the start takes; 0 in the mode `peer`.
        unmodelled: the official estimator does not really model this kind of command: do not optimise for the number.
        macs: multiply-accumulates of a matrix command (CONV, MM, MM2); 0 for all others.
        bytes: bytes that a GDMA command moves; 0 for the TIU.
        traffic: those of them that are read from and written to system memory.
        best_cycles: cycles for `macs` at the peak rate of the unit, or for `bytes` at that of the bus to the DDR: of stores where it
            stores, else of loads; 0 where there is neither.
        losses: cycles that would be saved without each of these causes alone.
    """

    cycles: int
    start_cycles: int = 0
    unmodelled: bool = False
    macs: int = 0
    bytes: int = 0
    traffic: Traffic = Traffic()
    best_cycles: float = 0.0
    losses: Mapping[Loss, int] = field(default_factory=lambda: MappingProxyType({}))
