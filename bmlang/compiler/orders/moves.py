"""Moves: what reshapes and swaps, one after the other, do to the elements of a tensor; and the cheapest swaps that do it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from math import prod
from typing import Final

import numpy as np

from bmlang.graph.graph import Array
from bmlang.layers.swap_forms import RUN_BYTES, is_woven

__all__ = ["LANES", "STAY", "Exchange", "Move", "exchanges", "price", "refined", "then"]

SEARCHED: Final = 5
"""Factors of a move up to which all orders of exchanges are tried."""
LANES: Final = 64
"""Lanes for which swaps are priced: passes know no chip, and with fewer lanes no swap becomes dearer than another one."""


@dataclass(frozen=True)
class Move:
    """The elements of a tensor, seen as one with these sizes, with its dimensions in another order.

    Made by `Move.of`, so that moves which do the same are equal: no size is 1, and neighbours that stay neighbours are one.

    Attributes:
        sizes: of the dimensions; nothing where no element moves.
        order: the dimensions in the order of the result.
    """

    sizes: tuple[int, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, sizes: Sequence[int], order: Sequence[int]) -> Move:
        """The move that brings dimensions of any sizes into an order."""
        runs: list[list[int]] = []
        for axis in order:
            if sizes[axis] == 1:
                continue
            if runs and all(size == 1 for size in sizes[runs[-1][-1] + 1 : axis]) and runs[-1][-1] < axis:
                runs[-1].append(axis)
            else:
                runs.append([axis])
        if len(runs) < 2:
            return STAY
        places = {run[0]: place for place, run in enumerate(sorted(runs))}
        return cls(tuple(prod(sizes[axis] for axis in run) for run in sorted(runs)), tuple(places[run[0]] for run in runs))

    @property
    def result(self) -> tuple[int, ...]:
        """Sizes in the order of the result."""
        return tuple(self.sizes[axis] for axis in self.order)

    @lru_cache(4096)  # noqa: B019 - moves are few, small and equal to each other
    def inverse(self) -> Move:
        """What brings every element back."""
        return Move(self.result, tuple(self.order.index(axis) for axis in range(len(self.order))))

    def of_array(self, array: Array) -> Array:
        """The elements of an array, moved; in one dimension."""
        return np.ascontiguousarray(array.reshape(self.sizes or -1).transpose(self.order or 0)).reshape(-1)


STAY: Final = Move((), ())
"""No element moves."""


def refined(one: Sequence[int], other: Sequence[int]) -> list[int] | None:
    """Sizes into which those of both ways to see a tensor can be cut; None where the two do not fit together."""
    left, right, found = list(one), list(other), list[int]()
    while left and right:
        a, b = left.pop(), right.pop()
        small, large = min(a, b), max(a, b)
        if large % small:
            return None
        found.append(small)
        if large > small:
            (left if a > b else right).append(large // small)
    return found[::-1]


@lru_cache(16384)
def then(first: Move, second: Move) -> Move | None:
    """Both moves, one after the other; None where they see the tensor in ways that do not fit together."""
    if STAY in (first, second):
        return second if first == STAY else first
    sizes = refined(first.result, second.sizes)
    if sizes is None:
        return None
    pieces = iter(range(len(sizes)))
    by_first = dict(zip(first.order, _grouped(sizes, first.result, pieces), strict=True))
    by_second = _grouped(sizes, second.sizes, iter(range(len(sizes))))
    source = [piece for axis in range(len(first.sizes)) for piece in by_first[axis]]
    places = {piece: place for place, piece in enumerate(source)}
    return Move.of([sizes[piece] for piece in source], [places[piece] for axis in second.order for piece in by_second[axis]])


def _grouped(sizes: Sequence[int], wholes: Sequence[int], pieces: Iterator[int]) -> list[list[int]]:
    """The pieces of which each whole consists."""
    found: list[list[int]] = []
    for whole in wholes:
        group: list[int] = []
        while prod(sizes[piece] for piece in group) < whole:
            group.append(next(pieces))
        found.append(group)
    return found


Exchange = tuple[int, int, int, int]
"""The sizes of a `bm::swap`: (outer, a, b, inner)."""


def price(sizes: Exchange, itemsize: int) -> int:
    """Bytes that a swap moves, those of a run below 256 bytes counted as 256, as the cost model counts them."""
    outer, a, b, inner = sizes
    run = inner * itemsize if inner > 1 else RUN_BYTES if is_woven(a, b, itemsize, LANES) else min(a, b) * itemsize
    return outer * a * b * inner * itemsize * RUN_BYTES // min(run, RUN_BYTES)


@lru_cache(4096)
def exchanges(move: Move, itemsize: int) -> tuple[int, tuple[Exchange, ...]]:
    """The swaps that do a move at the lowest price, and that price."""
    start = tuple(range(len(move.order)))
    number = count()
    waiting: list[tuple[int, int, tuple[int, ...], tuple[Exchange, ...]]] = [(0, next(number), start, ())]
    done: set[tuple[int, ...]] = set()
    while waiting:
        paid, _, current, swaps = heapq.heappop(waiting)
        if current == move.order:
            return paid, swaps
        if current in done:
            continue
        done.add(current)
        for new, exchange in _neighbours(current, move):
            if new not in done:
                heapq.heappush(waiting, (paid + price(exchange, itemsize), next(number), new, (*swaps, exchange)))
    raise AssertionError("every order can be reached")  # pragma: no cover


def _neighbours(current: tuple[int, ...], move: Move) -> Iterator[tuple[tuple[int, ...], Exchange]]:
    """The orders that one swap makes of an order; of many dimensions only the one that brings the first of them into its place."""
    length = len(current)
    starts = range(length)
    if length > SEARCHED:
        first = next(place for place in starts if current[place] != move.order[place])
        middle = current.index(move.order[first])
        bounds = [(first, middle, _run_end(current, move.order, first, middle))]
    else:
        bounds = [(a, b, c) for a in starts for b in range(a + 1, length) for c in range(b + 1, length + 1)]
    for first, middle, end in bounds:
        blocks = current[:first], current[first:middle], current[middle:end], current[end:]
        outer, a, b, inner = (prod(move.sizes[axis] for axis in block) for block in blocks)
        yield (*blocks[0], *blocks[2], *blocks[1], *blocks[3]), (outer, a, b, inner)


def _run_end(current: Sequence[int], target: Sequence[int], first: int, begin: int) -> int:
    """Where what can be brought to a place at once ends."""
    end = begin
    while end < len(current) and current[end] == target[first + end - begin]:
        end += 1
    return end
