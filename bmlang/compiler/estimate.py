"""How long steps take, to choose between ways to cut a group: the cost model counts transfers, the layers their computations."""

from __future__ import annotations

from functools import lru_cache

from bmlang.compiler.arena import Buffer
from bmlang.compiler.steps import Compute, Load, Steps, Store
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

__all__ = ["cycles_of"]


def cycles_of(steps: Steps, chip: Chip) -> int:
    """Cycles until both engines are done, when a step waits for its loads and a store for its step."""
    tiu = gdma = 0.0
    ready: dict[Buffer, float] = {}
    for event in steps.events():
        match event:
            case Load():
                gdma += _transfer(event.buffer, event.shape, event.region, True, chip)
                ready[event.buffer] = gdma
            case Store():
                whole = event.region == event.held.region
                gdma = max(gdma, ready[event.held.buffer])
                gdma += _transfer(event.held.buffer if whole else None, event.shape, event.region, False, chip, event.held.buffer.dtype)
            case Compute():
                needs = [ready.get(buffer, 0.0) for buffer in (*(held.buffer for held in event.ins.values()), *event.packed)]
                tiu = max(tiu, *needs, 0.0) + _compute(event, chip)
                for held in event.outs:
                    ready[held.buffer] = tiu
    return int(max(tiu, gdma))


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
