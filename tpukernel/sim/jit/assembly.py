"""The table and the records of a program, put together from how each of its commands is executed.

A program has many commands and few different ones, so everything is made once for each list of calls and copied with numpy. Commands that
are executed in the same way share their records; those that are alike have copies with other pointers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tpukernel.sim.jit.alike import Lowered
from tpukernel.sim.jit.kernel import ARGUMENTS, Call, Kernel
from tpukernel.sim.jit.stream import NO_BARRIER, ROW, SMALL, WITH_DENORMALS

__all__ = ["Tables", "Words", "assemble", "unmet"]

SMALL_NANOSECONDS = 2000.0
"""A call that takes less is not worth splitting."""

SLICE_NANOSECONDS = 1e7
"""Estimated time after which a call looks whether it has to stop."""

Words = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tables:
    """What the executor works off, with offsets in place of pointers.

    Attributes:
        rows: the executor's rows, without the addresses of the records.
        record_starts: by row, the first word of its record.
        records: the words of all records.
        pointers: by memory, the words that are pointers into it.
        starts: by command, its first row; one more at the end.
        spent: by command, estimated nanoseconds of all rows before it; one more at the end.
        scratch: bytes of work memory.
    """

    rows: Words
    record_starts: Words
    records: Words
    pointers: dict[str, Words]
    starts: list[int]
    spent: list[float]
    scratch: int


@dataclass(eq=False)
class _Block:
    """The calls of a command, and the commands that are executed by them."""

    calls: list[Call]
    variants: list[Lowered] = field(default_factory=list[Lowered])


def assemble(lowered: Sequence[Lowered], address_of: Callable[[Kernel], int]) -> Tables:
    """The tables of a program.

    Args:
        lowered: by command, how it is executed.
        address_of: the address of a kernel's code.
    """
    blocks: dict[int, _Block] = {}
    variants = {id(each): each for each in lowered}
    for each in variants.values():
        if each.calls:
            blocks.setdefault(id(each.calls), _Block(each.calls)).variants.append(each)
    rows, row_starts, records, pointers = list[Words](), list[Words](), list[Words](), dict[str, list[Words]]()
    first_rows: dict[int, tuple[int, int]] = {}
    row = word = 0
    for block in blocks.values():
        size = _add(block, word, records, pointers)
        rows.append(np.array([(address_of(call.kernel), 0, call.units, _flags(call), _slice(call), 0) for call in block.calls], np.int64))
        row_starts.append(np.cumsum([0, *(len(call.record) for call in block.calls[:-1])]))
        for number, each in enumerate(block.variants):
            first_rows[id(each)] = row, word + number * size
        row, word = row + len(block.calls), word + size * len(block.variants)
    counts = np.array([len(each.calls or ()) for each in lowered], np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    placed = np.array([first_rows.get(id(each), (0, 0)) for each in lowered], np.int64).reshape(-1, 2)
    chosen = np.repeat(placed[:, 0] - starts[:-1], counts) + np.arange(int(counts.sum()), dtype=np.int64)
    every_row = np.concatenate([np.zeros((0, ROW), np.int64), *rows])[chosen]
    every_row[:, 3] |= unmet([call for each in lowered for call in each.calls or ()])
    costs = {key: sum(call.cost for call in block.calls) for key, block in blocks.items()}
    return Tables(
        rows=every_row,
        record_starts=np.concatenate([np.zeros(0, np.int64), *row_starts])[chosen] + np.repeat(placed[:, 1], counts),
        records=np.concatenate([np.zeros(0, np.int64), *records]),
        pointers={space: np.concatenate(words) for space, words in pointers.items()},
        starts=starts.tolist(),
        spent=np.cumsum([0.0, *(costs.get(id(each.calls), 0.0) for each in lowered)]).tolist(),
        scratch=max((call.scratch for block in blocks.values() for call in block.calls), default=0),
    )


def _add(block: _Block, start: int, records: list[Words], pointers: dict[str, list[Words]]) -> int:
    """Add the records of a block, from the word `start` on. Returns how many words those of one variant have."""
    words = list[int]()
    places: dict[str, list[int]] = {}
    arguments: list[int] = []
    for call in block.calls:
        first = len(words)
        for word, space in call.pointers:
            places.setdefault(space, []).append(first + word)
            if space == ARGUMENTS:
                arguments.append(first)
        words += call.record
    size, count = len(words), len(block.variants)
    copies = np.repeat(np.array(words, np.int64)[None], count, axis=0)
    firsts = start + size * np.arange(count)
    for space, found in places.items():
        pointers.setdefault(space, []).append((firsts[:, None] + np.array(found)).reshape(-1))
        if space == ARGUMENTS:
            copies[:, found] += 8 * (firsts[:, None] + np.array(arguments))
        elif any(each.shifts for each in block.variants):
            shifts = np.array([dict(each.shifts).get(space, 0) for each in block.variants], np.int64)
            copies[:, found] += shifts[:, None]
    records.append(copies.reshape(-1))
    return size


def _flags(call: Call) -> int:
    small = call.units == 1 or call.cost < SMALL_NANOSECONDS
    return (WITH_DENORMALS if call.kernel.ieee else 0) | (SMALL if small else 0)


def _slice(call: Call) -> int:
    """Units after which the executor looks whether it has to stop; 0 for none. A kernel that may refuse has to see all of them first."""
    if call.guarded or call.cost < 2 * SLICE_NANOSECONDS:
        return 0
    return max(1, int(call.units * SLICE_NANOSECONDS / call.cost))


@dataclass(frozen=True, slots=True, eq=False)
class _Reach:
    """What `unmet` has to know of a call; memories are the bits of a number."""

    small: bool
    leaves: bool
    units: int
    read: int
    written: int


def unmet(calls: Sequence[Call]) -> Words:
    """The flag `NO_BARRIER` for the rows behind which the threads need not meet: where one small row follows the other, and in stretches of
    large ones whose units stay in their lanes, so that each thread finds there what it has itself made.
    """
    numbers: dict[str, int] = {}

    def reach_of(call: Call) -> _Reach:
        read, written = (sum(1 << numbers.setdefault(space, len(numbers)) for space in spaces) for spaces in call.by_lane or ((), ()))
        return _Reach(bool(_flags(call) & SMALL), call.by_lane is None, call.units, read, written)

    known = {id(call): call for call in calls}
    reaches = {key: reach_of(call) for key, call in known.items()}
    flags = np.zeros(len(calls), np.int64)
    read = written = 0
    going = False
    for row in range(len(calls) - 1):
        call, following = reaches[id(calls[row])], reaches[id(calls[row + 1])]
        if call.small or following.small:
            going = call.small and following.small
        elif call.leaves or following.leaves or calls[row].guarded or call.units != following.units:
            going = False
        else:
            if not going:
                read, written = call.read, call.written
            going = not (following.written & (read | written) or following.read & written)
            read, written = read | following.read, written | following.written
        if going:
            flags[row] = NO_BARRIER
    return flags
