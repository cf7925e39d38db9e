"""How long steps take, roughly: enough to choose between ways to cut a group. (The cost model judges the finished program.)"""

from __future__ import annotations

from math import prod

from bmlang.compiler.arena import Buffer
from bmlang.compiler.steps import Compute, Load, Steps, Store
from bmlang.layers.base import lines
from bmlang.layers.region import Region
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Dim4

__all__ = ["cycles_of"]

LOAD_RATE, STORE_RATE = 54.0, 41.0
"""Bytes a cycle of the DMA engine (cost model of the official compiler)."""
RUN_BYTES = 256
"""Shorter runs cost as much as one of this length."""
WINDOW_BYTES = 16384
"""Smaller transfers do not use all channels of the DDR."""


def cycles_of(steps: Steps, chip: Chip) -> int:
    """Cycles until both engines are done, when a step waits for its loads and a store for its step."""
    tiu = gdma = 0.0
    ready: dict[Buffer, float] = {}
    for event in steps.events():
        match event:
            case Load():
                gdma += _transfer(event.region, event.shape, event.buffer.dtype.itemsize, LOAD_RATE)
                ready[event.buffer] = gdma
            case Store():
                gdma = max(gdma, ready[event.held.buffer])
                gdma += _transfer(event.region, event.shape, event.held.buffer.dtype.itemsize, STORE_RATE)
            case Compute():
                needs = [ready.get(buffer, 0.0) for buffer in (*(held.buffer for held in event.ins.values()), *event.packed)]
                tiu = max(tiu, *needs, 0.0) + _compute(event, chip)
                for held in event.outs:
                    ready[held.buffer] = tiu
    return int(max(tiu, gdma))


def _transfer(region: Region, shape: Dim4, itemsize: int, rate: float) -> float:
    run = itemsize * region.size[3]
    if region.size[3] == shape[3]:
        run *= region.size[2]
    total = prod(region.size) * itemsize
    spread = min(max(WINDOW_BYTES / max(total, 1), 1.0), 4.0)
    return total * max(RUN_BYTES / run, 1.0) * spread / rate


def _compute(event: Compute, chip: Chip) -> int:
    if event.work.form.cycles is not None:
        return event.work.form.cycles(event.region)
    return lines(event.region, event.work.call.outputs[0].dtype, chip)
