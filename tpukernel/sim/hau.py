"""The hardware acceleration unit (HAU): sorting, non-maximum suppression and gathering of lines in system memory.

The HAU has no command stream; the firmware writes its registers. So its work is given here as functions on a `Memory`, bit by bit what the
official C model leaves there (measured with random data with many equal numbers, zeros of both signs, denormals and NaNs; see
`tests/vendor/test_hau.py`). Numbers of f32 are compared with denormals taken as zeros.

Addresses are system addresses, counts are in elements.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.tensors import Constant, SystemTensor
from tpukernel.dtypes import Dtype, f32, i32, u8, u16, u32
from tpukernel.sim.errors import HauError
from tpukernel.sim.hau_order import exchange_order, heap_order
from tpukernel.sim.interpreter.numerics import floats
from tpukernel.sim.memory import Array, Memory

__all__ = ["gather_lines", "hard_nms", "soft_nms", "sort", "sort_with_index"]

F32 = NDArray[np.float32]

SORTED_DTYPES = (f32, i32, u32)
LINE_ALIGNMENT = 64
"""Bytes to which all addresses of `gather_lines` are aligned; those of the other functions are aligned to 4."""
MOST_BOXES = (1 << 24) - 1
_BITS_OF_SIZE = {1: u8, 2: u16, 4: u32}


def sort(memory: Memory, result: int, source: int, length: int, k: int, *, descending: bool, dtype: Dtype) -> None:
    """Write the first `k` of `length` sorted numbers.

    Zeros of different sign and denormals are equal to each other, a NaN compares false with everything: the order among such numbers is
    that of a partial sort by heap with the comparison `<=` (`>=`), and is not that of `sort_with_index`.

    Raises:
        HauError: the unit cannot do it.
    """
    values = _sorted_input(memory, source, length, k, dtype)
    _store(memory, result, values[heap_order(values, k, descending)], dtype)


def sort_with_index(
    memory: Memory,
    result: int,
    result_index: int,
    source: int,
    source_index: int | None,
    length: int,
    k: int,
    *,
    descending: bool,
    dtype: Dtype,
) -> None:
    """Write the first `k` of `length` sorted numbers, and the 32-bit index of each: that at `source_index`, or without it its position.

    Equal numbers are in the order of their indices, the smallest unsigned one first, also when descending. Zeros of different sign and
    denormals are in the order in which an exchange sort leaves them that exchanges equal numbers, too; a NaN is never exchanged.

    Raises:
        HauError: the unit cannot do it.
    """
    values = _sorted_input(memory, source, length, k, dtype)
    index = np.arange(length, dtype=np.uint32) if source_index is None else _load(memory, source_index, length, u32)
    order = exchange_order(values, cast("NDArray[np.uint32]", index), descending)[:k]
    _store(memory, result, values[order], dtype)
    _store(memory, result_index, index[order], u32)


def hard_nms(memory: Memory, result: int, matrix: int, boxes: int, keep: int) -> None:
    """Go through boxes in their order; a box that is kept drops every later one whose byte in its row of the matrix is even.

    Args:
        memory: the memory.
        result: one bit for each box, the first one in the lowest bit of the first byte: whether it is kept.
        matrix: (boxes, boxes) bytes, of which the lowest bit counts: 1 where the two boxes may both be kept.
        boxes: number of boxes.
        keep: end when that many are kept; 0 stands for all.

    Raises:
        HauError: the unit cannot do it.
    """
    _check_boxes(boxes, keep)
    _check_alignment(4, result=result)
    compatible = _load(memory, matrix, boxes * boxes, u8).reshape(boxes, boxes).view(np.uint8) % 2 == 1
    alive = np.ones(boxes, np.bool_)
    kept = np.zeros(boxes, np.bool_)
    for box in range(boxes):
        if alive[box]:
            kept[box] = True
            alive[box + 1 :] &= compatible[box, box + 1 :]
            if np.count_nonzero(kept) == keep:
                break
    _store_mask(memory, result, kept)


def soft_nms(memory: Memory, result: int, decay: int, scores: int, threshold: float, boxes: int, keep: int) -> None:
    """Keep the box of the largest score, multiply all scores by its row of `decay`, and so on, until no score is above the threshold.

    What a kept box does to its own score is to turn its sign before the multiplication. So it is out of the way among scores that are not
    negative; negative factors can bring it back, and a NaN that is the first of all scores stays the largest. Then a round finds a box that
    is kept already, and counts all the same.

    Args:
        memory: the memory.
        result: one bit for each box, as in `hard_nms`.
        decay: (boxes, boxes) f32 factors.
        scores: f32 numbers, which stay as they are. Of equal ones the first counts as the largest.
        threshold: a score that is not above it ends the work.
        boxes: number of boxes.
        keep: number of rounds; 0 stands for as many as there are boxes.

    Raises:
        HauError: the unit cannot do it.
    """
    _check_boxes(boxes, keep)
    _check_alignment(4, result=result, decay=decay, scores=scores)
    factors = floats.flush(cast("F32", _load(memory, decay, boxes * boxes, f32))).reshape(boxes, boxes)
    left = floats.flush(cast("F32", _load(memory, scores, boxes, f32)))
    limit = floats.flush(np.array([threshold], np.float32))[0]
    kept = np.zeros(boxes, np.bool_)
    for _ in range(keep or boxes):
        best = 0 if np.isnan(left[0]) else int(np.nanargmax(left))
        if left[best] <= limit:
            break
        kept[best] = True
        left = left.copy()
        left[best] = -left[best]
        left = cast("F32", floats.multiply(left, factors[best], flushed=True))
    _store_mask(memory, result, kept)


def gather_lines(
    memory: Memory,
    result: int,
    table: int,
    index: int,
    fill: Constant,
    *,
    lines: int,
    length: int,
    count: int,
    start: int,
    end: int,
    fill_const: bool,
) -> None:
    """Write for each index from `start` to `end` the line of the table, of which the first line is that of index `start`; for every other
    index the constant, or nothing.

    Args:
        memory: the memory.
        result: (count, length) elements of the constant's type.
        table: lines from index `start` on, of `length` elements each.
        index: u32 numbers.
        fill: what fills lines of other indices. The bits above its type must be all 0 or all 1, also when nothing is filled.
        lines: number of lines that indices count; only `end` is compared with it.
        length: elements of a line.
        count: number of indices.
        start: first index in the table.
        end: last index in the table.
        fill_const: whether lines of other indices are filled.

    Raises:
        HauError: the unit cannot do it.
    """
    if not 0 <= start <= end < lines:
        raise HauError(f"lines {start} to {end} of {lines} are not a range", help="0 <= start <= end < lines is needed")
    if length < 0 or count < 0:
        raise HauError(f"{count} lines of {length} elements cannot be gathered", help="both numbers must be 0 or more")
    _check_alignment(LINE_ALIGNMENT, result=result, table=table, index=index)
    above = fill.bits >> fill.dtype.bits
    if above not in (0, (1 << 32 - fill.dtype.bits) - 1):
        raise HauError(f"the constant {fill.bits:#x} is no {fill.dtype}", help="the bits above the type must be all 0 or all 1")
    if not length or not count:
        return
    dtype = _BITS_OF_SIZE[fill.dtype.itemsize]
    wanted = _load(memory, index, count, u32).astype(np.int64)
    inside = (wanted >= start) & (wanted <= end)
    needed = int(wanted.max(where=inside, initial=start)) - start + 1
    found = _load(memory, table, needed * length, dtype).reshape(-1, length)
    old = np.full((count, length), fill.bits & dtype.limits[1], dtype.numpy) if fill_const else _load(memory, result, count * length, dtype)
    gathered = old.reshape(count, length)
    gathered[inside] = found[wanted[inside] - start]
    _store(memory, result, gathered.reshape(-1), dtype)


# ---------------------------------------------------------------------------- operands


def _sorted_input(memory: Memory, source: int, length: int, k: int, dtype: Dtype) -> Array:
    if dtype not in SORTED_DTYPES:
        raise HauError(f"{dtype} cannot be sorted", help=f"use one of {', '.join(each.name for each in SORTED_DTYPES)}")
    if not 0 < k <= length:
        raise HauError(f"the first {k} of {length} numbers were asked for", help="ask for at least 1 and at most all of them")
    return _load(memory, source, length, dtype)


def _check_boxes(boxes: int, keep: int) -> None:
    if not 0 < boxes <= MOST_BOXES or not 0 <= keep <= MOST_BOXES:
        raise HauError(f"{keep} of {boxes} boxes were asked for", help=f"both numbers end at {MOST_BOXES}, and there must be a box")


def _check_alignment(unit: int, **addresses: int) -> None:
    for name, address in addresses.items():
        if address % unit:
            raise HauError(f"{name} starts at {address:#x}", help=f"start it at a multiple of {unit}")


def _vector(address: int, count: int, dtype: Dtype) -> SystemTensor:
    _check_alignment(dtype.itemsize, memory=address)
    return SystemTensor(address, (1, 1, 1, count), dtype)


def _load(memory: Memory, address: int, count: int, dtype: Dtype) -> Array:
    return memory.load(_vector(address, count, dtype)).reshape(-1)


def _store(memory: Memory, address: int, values: Array, dtype: Dtype) -> None:
    tensor = _vector(address, values.size, dtype)
    memory.store(tensor, values)
    memory.written.mark_elements(*memory.place(tensor))


def _store_mask(memory: Memory, address: int, kept: NDArray[np.bool_]) -> None:
    _store(memory, address, np.packbits(kept, bitorder="little"), u8)
