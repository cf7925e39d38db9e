"""Goes through the commands of groups as if it were local memory, and looks whether everything is there when it is used."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from bmlang.compiler.arena import Buffer
from bmlang.compiler.steps import Compute, Event, Load, Store
from bmlang.graph.graph import Graph
from bmlang.layers.region import Region

__all__ = ["Watch"]


class Watch:
    """Goes through the events of steps and keeps what each buffer holds."""

    def __init__(self, graph: Graph, stored: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]) -> None:
        self._graph, self.stored = graph, stored
        self._held: dict[Buffer, set[Region]] = {}

    def see(self, events: Iterable[Event]) -> None:
        """Commands in the order in which they are issued."""
        for event in events:
            match event:
                case Load():
                    if isinstance(event.source, str) and event.source in self.stored:
                        assert self.stored[event.source].all(), "loaded before all of it was stored"
                    self._place(event.buffer, event.region)
                case Compute():
                    self._compute(event)
                case Store():
                    self._store(event)

    def _place(self, buffer: Buffer, region: Region) -> None:
        for other in self._held:
            if other is not buffer and other.address < buffer.address + buffer.bytes and buffer.address < other.address + other.bytes:
                self._held[other] = set()  # overwritten
        self._held.setdefault(buffer, set()).add(region)

    def _compute(self, event: Compute) -> None:
        for index, held in event.ins.items():
            assert holds(held.region, event.regions[index])
            assert self._held.get(held.buffer), f"{event.work.node.name} reads what is not there"
        for buffer in event.packed:
            assert self._held.get(buffer), f"{event.work.node.name} has no coefficients"
        for held, (_, region) in zip(event.outs, event.work.boxes(event.region), strict=True):
            assert holds(held.region, region)
            self._place(held.buffer, region)

    def _store(self, event: Store) -> None:
        parts = self._held.get(event.held.buffer, set())
        assert sum(part.elements for part in parts) >= event.region.elements, f"{event.value} was not computed"
        shape = event.shape
        whole = self.stored.setdefault(event.value, np.zeros(prod(self._graph.specs[event.value].shape), np.int64))
        whole[event.offset : event.offset + prod(shape)].reshape(shape)[event.region.slices()] += 1


def holds(outer: Region, inner: Region) -> bool:
    return outer.join(inner) == outer
