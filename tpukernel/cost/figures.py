"""What a timeline amounts to: utilisation of the engines, and the roofline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Self

from tpukernel.chips.chip import Engine
from tpukernel.cost.constants import CostTable
from tpukernel.cost.result import Cost, Loss, Traffic

__all__ = ["Figures"]


@dataclass(frozen=True)
class Figures:
    """Totals of a program.

    Attributes:
        cycles: cycles from the start to the end of everything.
        commands, busy: number of commands, and cycles in which the engine works, by engine.
        overlap: share of the time of the engine that is less busy during which the other one works too, 0 to 1.
        macs: multiply-accumulates of CONV, MM and MM2.
        mac_util: time that these would take at the peak rate, as a share of all time.
        mac_eff: the same as a share of the time of these commands.
        dma_eff: time that the bytes would take at the peak rate of loads, or of stores, as a share of the GDMA's busy time. Above 1 only
            for kinds that are not modelled.
        traffic: bytes that the program reads from and writes to system memory.
        intensity: operations (two for each multiply-accumulate) per byte of this traffic.
        compulsory: bytes that every implementation must move; `traffic` when nobody said.
        traffic_ratio: traffic over compulsory traffic; None when nobody said what is compulsory.
        roof: cycles that no program can beat: the multiply-accumulates at the peak rate, or the compulsory bytes at that of the GDMA.
        bound: which of the two it is.
        of_roof: roof over `cycles`.
        unmodelled: number of commands that the official estimator does not really model.
        losses: cycles of commands that would be saved without each cause alone, and the number of commands that it hits.
    """

    cycles: int
    commands: Mapping[Engine, int]
    busy: Mapping[Engine, int]
    overlap: float
    macs: int
    mac_util: float
    mac_eff: float
    dma_eff: float
    traffic: Traffic
    intensity: float
    compulsory: Traffic
    traffic_ratio: float | None
    roof: float
    bound: Literal["mac", "mem"]
    of_roof: float
    unmodelled: int
    losses: Mapping[Loss, tuple[int, int]]

    @classmethod
    def of(cls, table: CostTable, cycles: int, costs: Iterable[tuple[Engine, Cost]], compulsory: Traffic | None) -> Self:
        """The totals of commands that take `cycles` together."""
        by_engine: dict[Engine, list[Cost]] = {"tiu": [], "gdma": []}
        for engine, cost in costs:
            by_engine[engine].append(cost)
        busy: dict[Engine, int] = {engine: sum(cost.cycles for cost in found) for engine, found in by_engine.items()}
        matrix = [cost for cost in by_engine["tiu"] if cost.macs]
        best_macs = sum(cost.best_cycles for cost in matrix)
        macs = sum(cost.macs for cost in matrix)
        traffic = sum((cost.traffic for cost in by_engine["gdma"]), Traffic())
        needed = traffic if compulsory is None else compulsory
        best_bytes = needed.read / table.dma_rates["S2L"] + needed.written / table.dma_rates["L2S"]
        roof = max(best_macs, best_bytes)
        everything = [*by_engine["tiu"], *by_engine["gdma"]]
        return cls(
            cycles=cycles,
            commands=MappingProxyType({engine: len(found) for engine, found in by_engine.items()}),
            busy=MappingProxyType(busy),
            overlap=_ratio(sum(busy.values()) - cycles, min(busy.values())),
            macs=macs,
            mac_util=_ratio(best_macs, cycles),
            mac_eff=_ratio(best_macs, sum(cost.cycles for cost in matrix)),
            dma_eff=_ratio(sum(cost.best_cycles for cost in by_engine["gdma"]), busy["gdma"]),
            traffic=traffic,
            intensity=_ratio(2 * macs, traffic.total),
            compulsory=needed,
            traffic_ratio=None if compulsory is None else _ratio(traffic.total, compulsory.total),
            roof=roof,
            bound="mac" if best_macs > best_bytes else "mem",
            of_roof=_ratio(roof, cycles),
            unmodelled=sum(cost.unmodelled for cost in everything),
            losses=MappingProxyType(_losses(everything)),
        )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _losses(costs: Iterable[Cost]) -> dict[Loss, tuple[int, int]]:
    found: dict[Loss, tuple[int, int]] = {}
    for cost in costs:
        for loss, cycles in cost.losses.items():
            total, count = found.get(loss, (0, 0))
            found[loss] = total + cycles, count + 1
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))
