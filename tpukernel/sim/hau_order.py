"""The orders in which the HAU's official model sorts numbers.

As long as all numbers that compare equal have the same bits, every way to sort gives the same. With zeros of both signs, denormals (which
compare as zeros) or NaNs the result depends on the steps, and these are followed here.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from tpukernel.sim.interpreter.numerics import floats
from tpukernel.sim.memory import Array

__all__ = ["exchange_order", "heap_order"]

Positions = NDArray[np.int64]
Ranks = NDArray[np.float64]


def exchange_order(values: Array, index: NDArray[np.uint32], descending: bool) -> Positions:
    """Positions in the order of an exchange sort that exchanges where the later number is not behind the earlier one; neighbours of the
    same bits are then put in the order of their indices.
    """
    bits, ranks = values.view(np.uint32), _ranks(values, descending)
    if _is_plain(bits, ranks):
        return np.lexsort((index, ranks))
    order = np.arange(values.size)
    for first in range(values.size - 1):
        left = ranks[order[first:]]
        if np.isnan(left[0]):
            continue
        # The front gets every number that is not behind all before it, and gives its old one away in exchange.
        smallest = np.fmin.accumulate(left)
        exchanged = first + 1 + np.flatnonzero(left[1:] <= smallest[:-1])
        places = np.concatenate([[first], exchanged])
        order[places] = np.roll(order[places], 1)
    runs = np.concatenate([[0], np.cumsum(bits[order][1:] != bits[order][:-1])])
    return order[np.lexsort((index[order], runs))]


def heap_order(values: Array, k: int, descending: bool) -> Positions:
    """The first `k` positions in the order of a partial sort by heap in which equal numbers count as one before the other."""
    bits, ranks = values.view(np.uint32), _ranks(values, descending)
    if _is_plain(bits, ranks):
        return np.argsort(ranks, kind="stable")[:k]
    return np.array(_Heap(ranks.tolist(), k).sorted(), np.int64)


def _ranks(values: Array, descending: bool) -> Ranks:
    """Numbers that compare ascending as the values do in the order that is wanted; NaN stays NaN."""
    keys = floats.flush(cast("NDArray[np.float32]", values)) if values.dtype == np.float32 else values
    missing = np.isnan(keys)
    ranks = np.full(values.size, np.nan)
    ranks[~missing] = np.unique(keys[~missing], return_inverse=True)[1]
    return -ranks if descending else ranks


def _is_plain(bits: NDArray[np.uint32], ranks: Ranks) -> bool:
    """Whether all numbers can be compared, and equal ones have the same bits."""
    return not np.isnan(ranks).any() and np.unique(bits).size == np.unique(ranks).size


class _Heap:
    """A partial sort by heap, with its steps in the order of the GNU C++ library (found by comparing results)."""

    def __init__(self, ranks: list[float], k: int) -> None:
        self._ranks = ranks
        self._order = list(range(len(ranks)))
        self._k = k

    def sorted(self) -> list[int]:
        """The first k positions."""
        order, k = self._order, self._k
        for parent in range((k - 2) // 2, -1, -1):
            self._sink(parent, k, order[parent])
        for place in range(k, len(order)):
            if self._before(order[place], order[0]):
                self._replace_top(place, k)
        for place in range(k - 1, 0, -1):
            self._replace_top(place, place)
        return order[:k]

    def _before(self, a: int, b: int) -> bool:
        return self._ranks[a] <= self._ranks[b]

    def _replace_top(self, place: int, length: int) -> None:
        """Exchange the top with what is at a place, and let that find its place in the heap."""
        value = self._order[place]
        self._order[place] = self._order[0]
        self._sink(0, length, value)

    def _sink(self, hole: int, length: int, value: int) -> None:
        """Move the hole down to a leaf along the larger children, and from there up to where the value belongs."""
        order, top = self._order, hole
        while (child := 2 * hole + 2) <= length:
            if child == length or self._before(order[child], order[child - 1]):
                child -= 1
            order[hole] = order[child]
            hole = child
        while hole > top and self._before(order[parent := (hole - 1) // 2], value):
            order[hole] = order[parent]
            hole = parent
        order[hole] = value
