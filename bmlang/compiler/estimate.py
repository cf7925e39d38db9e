"""How long steps take, to choose between ways to cut a group: the cost model counts transfers, the layers their computations."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from bmlang.compiler.arena import Buffer
from bmlang.compiler.steps import Compute, Event, Load, Store
from bmlang.compiler.transfer import as_rows
from bmlang.layers.base import lines
from bmlang.layers.region import Region
from tpukernel.chips.chip import Chip
from tpukernel.chips.layout import matrix_tensor
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.cost import cost_of
from tpukernel.dtypes import Dtype
from tpukernel.isa import DmaMatrix, DmaTensor
from tpukernel.isa.instruction import Instruction

__all__ = ["Clock", "cycles_of", "load_cycles"]


def cycles_of(events: Iterable[Event], chip: Chip, *, placed: bool = False) -> int:
    """Cycles until both engines are done, when a step waits for its loads and a store for its step.

    Args:
        events: what is issued.
        chip: the chip.
        placed: a buffer waits, too, until what lay at its address is not needed any more.
    """
    clock = Clock(chip, _Occupied() if placed else None)
    for event in events:
        clock.run(event)
    return clock.cycles


class Clock:
    """How far both engines are."""

    def __init__(self, chip: Chip, occupied: _Occupied | None = None) -> None:
        self._chip, self._occupied = chip, occupied
        self._tiu: float = 0.0
        self._gdma: float = 0.0
        self._ready: dict[Buffer, float] = {}
        self._waited = 0.0

    @property
    def cycles(self) -> int:
        """Until both are done."""
        return int(max(self._tiu, self._gdma))

    @property
    def waited(self) -> float:
        """Cycles for which the DMA engine waited for what it stores."""
        return self._waited

    @property
    def dma(self) -> float:
        """Until the DMA engine is done."""
        return self._gdma

    def ready(self, buffer: Buffer) -> float:
        """Until what a buffer holds is there."""
        return self._ready[buffer]

    def run(self, event: Event) -> None:
        """Issue the next command."""
        match event:
            case Load():
                self._gdma = max(self._gdma, self._free(event.buffer)) + load_cycles(event, self._chip)
                self._ready[event.buffer] = self._gdma
                self._used([event.buffer], self._gdma)
            case Store():
                whole = event.held.buffer if event.region == event.held.region else None
                begin = max(self._gdma, self._ready[event.held.buffer])
                self._waited += begin - self._gdma
                self._gdma = begin
                self._gdma += _transfer(whole, event.shape, event.region, False, self._chip, event.held.buffer.dtype)
                self._used([event.held.buffer], self._gdma)
            case Compute():
                taken: list[Buffer] = [*(held.buffer for held in event.ins.values()), *event.packed]
                made = [held.buffer for held in event.outs]
                loaded = max((self._ready.get(buffer, 0.0) for buffer in taken), default=0.0)
                free = max((self._free(buffer) for buffer in made), default=0.0)
                self._tiu = max(self._tiu, loaded, free) + _compute(event, self._chip)
                self._ready.update((buffer, self._tiu) for buffer in made)
                self._used([*taken, *made], self._tiu)

    def _free(self, buffer: Buffer) -> float:
        return self._occupied.claim(buffer) if self._occupied is not None else 0.0

    def _used(self, buffers: Iterable[Buffer], until: float) -> None:
        if self._occupied is not None:
            self._occupied.until.update((buffer, until) for buffer in buffers)


class _Occupied:
    """Which buffer lies where, and until when it is used.

    Attributes:
        until: by buffer.
    """

    def __init__(self) -> None:
        self.until: dict[Buffer, float] = {}
        self._places: list[tuple[int, int, Buffer]] = []

    def claim(self, buffer: Buffer) -> float:
        """When all of the place of a buffer is free."""
        if buffer in self.until:
            return 0.0
        begin, end = buffer.address, buffer.address + buffer.bytes
        places, latest = [(begin, end, buffer)], 0.0
        for first, last, other in self._places:
            if last <= begin or first >= end:
                places.append((first, last, other))
                continue
            latest = max(latest, self.until[other])
            if first < begin:
                places.append((first, begin, other))
            if last > end:
                places.append((end, last, other))
        self._places = places
        return latest


def load_cycles(load: Load, chip: Chip) -> int:
    """Cycles of a load."""
    return _transfer(load.buffer, load.shape, load.region, True, chip)


def _compute(event: Compute, chip: Chip) -> int:
    if event.work.form.cycles is not None:
        return event.work.form.cycles(event.region)
    return lines(event.region, event.work.call.outputs[0].dtype, chip)


def _transfer(buffer: Buffer | None, shape: Dim4, region: Region, loads: bool, chip: Chip, dtype: Dtype | None = None) -> int:
    kind = dtype if buffer is None else buffer.dtype
    assert kind is not None  # noqa: S101
    rows = None if buffer is None else as_rows(buffer, shape, region, chip)
    if rows is not None:
        return _matrix(rows.rows, rows.columns, rows.columns_per_channel, kind, loads, chip)
    _, c, h, w = shape
    return _tensor(region.size, (c * h * w, h * w, w, 1), kind, loads, chip)


@lru_cache(4096)
def _matrix(rows: int, columns: int, per_channel: int, dtype: Dtype, loads: bool, chip: Chip) -> int:
    local = matrix_tensor(0, rows, columns, dtype, cols_per_channel=per_channel)
    system = SystemTensor(chip.regions["ddr"].base, (1, 1, rows, columns), dtype)
    return _cycles(DmaMatrix(dst=local, src=system) if loads else DmaMatrix(dst=system, src=local), chip)


@lru_cache(4096)
def _tensor(size: Dim4, strides: Dim4, dtype: Dtype, loads: bool, chip: Chip) -> int:
    local = LocalTensor(0, size, dtype, Layout.EU_ALIGNED)
    system = SystemTensor(chip.regions["ddr"].base, size, dtype, strides)
    return _cycles(DmaTensor(dst=local, src=system) if loads else DmaTensor(dst=system, src=local), chip)


def _cycles(instruction: Instruction, chip: Chip) -> int:
    return cost_of(instruction, chip).cycles
