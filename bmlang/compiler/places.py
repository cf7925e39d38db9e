"""Device memory: coefficients at the start of the DDR, behind them inputs, outputs and what lives between groups, which share memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import prod

import numpy as np

from bmlang.bmodel.section import align
from bmlang.compiler.arena import Life
from bmlang.graph.graph import Array, Graph, unused_name
from tpukernel.lang.signature import TensorSpec

__all__ = ["Coefficients", "DeviceMemory", "bytes_of", "device_memory"]


def bytes_of(spec: TensorSpec) -> int:
    """Bytes of a tensor in system memory."""
    return prod(spec.shape) * spec.dtype.itemsize


@dataclass
class Coefficients:
    """Arrays for the memory of coefficients; equal ones are there once.

    Attributes:
        taken: names that tensors of the graph have, and that no array gets.
        arrays: by name, in the order of their addresses.
    """

    taken: Collection[str]
    arrays: dict[str, Array] = field(default_factory=dict[str, Array])
    _known: dict[tuple[bytes, str], str] = field(default_factory=dict[tuple[bytes, str], str])

    def add(self, array: Array) -> str:
        """The name under which an array is kept."""
        array = np.ascontiguousarray(array)
        key = (sha256(array.view(np.uint8).data if array.size else b"").digest(), array.dtype.name)
        if key not in self._known:
            name = unused_name(f"coefficient_{len(self.arrays)}", {*self.taken, *self.arrays})
            self._known[key] = name
            self.arrays[name] = array
        return self._known[key]


@dataclass(frozen=True)
class DeviceMemory:
    """Addresses of tensors.

    Attributes:
        addresses: by name: inputs, outputs, and results that live between groups.
        start, size: the bytes in which they lie.
    """

    addresses: Mapping[str, int]
    start: int
    size: int


def device_memory(graph: Graph, touched: Sequence[Iterable[str]], owners: Mapping[str, tuple[str, int]], start: int) -> DeviceMemory:
    """Addresses for everything that is no coefficient.

    Args:
        graph: the graph.
        touched: for each group in order: the tensors in system memory that it reads or writes.
        owners: tensors that lie inside of another one: which one, and their first element there.
        start: first address behind the coefficients.
    """
    lives: dict[str, Life] = {}
    for moment, names in enumerate(touched):
        for name in names:
            lives.setdefault(name, Life(moment, moment)).last = moment
    fixed = dict.fromkeys((*graph.inputs, *(owners.get(name, (name, 0))[0] for name in graph.outputs)))
    addresses: dict[str, int] = {}
    free = start
    for name in fixed:
        if name not in graph.constants:
            addresses[name] = free
            free += align(bytes_of(graph.specs[name]))
    end = _intermediate(graph, {name: life for name, life in lives.items() if name not in addresses}, addresses, free)
    for name in graph.specs:
        owner, first = owners.get(name, (name, 0))
        if owner in addresses:
            addresses[name] = addresses[owner] + first * graph.specs[name].dtype.itemsize
    return DeviceMemory(addresses, start, end - start)


def _intermediate(graph: Graph, lives: Mapping[str, Life], addresses: dict[str, int], start: int) -> int:
    """Addresses for results between groups, large ones first, where nothing lies that is alive at one time; the end of the last one."""
    placed: list[tuple[int, int, Life]] = []
    end = start
    for name in sorted(lives, key=lambda name: (-bytes_of(graph.specs[name]), name)):
        life, size = lives[name], align(bytes_of(graph.specs[name]))
        address = start
        for begin, stop, other in sorted(placed, key=lambda each: each[0]):
            if other.first <= life.last and life.first <= other.last and begin < address + size and address < stop:
                address = stop
        placed.append((address, address + size, life))
        addresses[name] = address
        end = max(end, address + size)
    return end
