"""The calls that compute a product: pack the left factor (unless it lies as if it were packed), multiply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tpukernel.sim.interpreter.numerics.accumulate import GROUP
from tpukernel.sim.jit.kernel import SCRATCH, Call
from tpukernel.sim.jit.llvm import host_target
from tpukernel.sim.jit.products.group_left import GroupLeftKernel
from tpukernel.sim.jit.products.groups import GroupBlock
from tpukernel.sim.jit.products.kernel import MOST_ROWS, Head, ProductKernel
from tpukernel.sim.jit.products.kinds import GROUPS
from tpukernel.sim.jit.products.left import LeftHead, LeftKernel
from tpukernel.sim.jit.products.product import Grid, Offsets, Product
from tpukernel.sim.jit.products.record import Builder
from tpukernel.sim.jit.products.tables import column_table

__all__ = ["product_calls"]


def product_calls(product: Product, scratch: int = 0) -> list[Call]:
    """The calls.

    Args:
        product: what is computed.
        scratch: bytes of the scratch space that the command uses otherwise; a multiple of 64.
    """
    target, kind = host_target(), product.kind
    rows, order = kind.rows(target), _order(product)
    blocks = -(-product.rows // rows)
    if product.is_packed:
        left = product.left
        return [_main_call(product, order, _Left(left.space, left.base + int(left.second[0]), _filled(left.first, blocks * rows)))]
    if kind == GROUPS:
        block_bytes = GroupBlock(target).bytes * len(product.group_counts)
        packing = _group_left_call(product, blocks, block_bytes, scratch)
        size, offsets = blocks * block_bytes, np.arange(blocks) * block_bytes
    else:
        behind = kind.left_size if kind.per_step == 2 else 0  # the zero that fills up an odd number is written in any case
        row_bytes = _row_bytes(kind.size * (order.size // kind.per_step) + behind)
        packing = _left_call(product, row_bytes, scratch)
        size, offsets = blocks * rows * row_bytes, np.arange(blocks * rows) * row_bytes
    main = _main_call(product, order, _Left(SCRATCH, scratch, offsets))
    packing.scratch = main.scratch = scratch + size
    return [packing, main]


@dataclass(frozen=True, eq=False)
class _Left:
    """Where the packed left factor is, and the offsets of its rows (of 16-bit floats: of its blocks)."""

    space: str
    base: int
    offsets: Offsets


def _filled(offsets: Offsets, count: int) -> Offsets:
    """So many offsets, the last one again and again."""
    return np.concatenate([offsets, np.repeat(offsets[-1:], count - offsets.size)])


def _row_bytes(size: int) -> int:
    """Bytes from one packed row to the next: whole cache lines, and no distance at which all rows would fall into one set of a cache."""
    lines = -(-size // 64)
    return 64 * (lines + (lines % 8 == 0))


def _order(product: Product) -> Offsets:
    """Every k in the order of the steps."""
    numbers = np.arange(product.depth)
    if product.kind.buffers == 2:
        return np.concatenate([numbers[::2], numbers[1::2]])
    filled = -numbers.size % product.kind.per_step
    return np.concatenate([numbers, np.repeat(numbers[-1:], filled)])


def _along(offsets: Offsets, size: int) -> Offsets:
    return np.broadcast_to(offsets, size) if offsets.size == 1 else offsets


def _left_call(product: Product, row_bytes: int, scratch: int) -> Call:
    kind, left, builder = product.kind, product.left, Builder(LeftHead)
    offsets = _along(left.second, product.depth)
    breaks = np.flatnonzero(np.diff(offsets) != left.dtype.itemsize) + 1
    starts = np.concatenate([[0], breaks])
    counts = np.diff(np.concatenate([starts, [product.depth]]))
    builder.words[LeftHead.RUNS] = starts.size
    builder.words[LeftHead.ROW_BYTES] = row_bytes
    builder.pointer(LeftHead.TO, SCRATCH, scratch)
    builder.grid(LeftHead.FROM, left)
    builder.offsets(LeftHead.ROWS, _along(left.first, product.rows))
    builder.offsets(LeftHead.RUN_TABLE, np.stack([offsets[starts], counts], axis=1).reshape(-1))
    cost = product.rows * (0.2 * product.depth + 2 * starts.size)
    return Call(LeftKernel(kind, left.dtype), builder.words, builder.pointers, units=product.rows, cost=cost)


def _group_left_call(product: Product, blocks: int, block_bytes: int, scratch: int) -> Call:
    left, builder, rows = product.left, Builder(LeftHead), GROUPS.rows(host_target())
    first, second = _along(left.first, product.rows), _along(left.second, product.depth)
    builder.words[LeftHead.RUNS] = len(product.group_counts)
    builder.words[LeftHead.ROW_BYTES] = block_bytes
    builder.pointer(LeftHead.TO, SCRATCH, scratch)
    builder.grid(LeftHead.FROM, left)
    builder.offsets(LeftHead.ROWS, _filled(first, blocks * rows))
    builder.offsets(LeftHead.K, second)
    pairs = ((count, count == GROUP and run) for count, run in zip(product.group_counts, _runs(second, left.dtype.itemsize), strict=True))
    builder.offsets(LeftHead.COUNTS, [int(word) for pair in pairs for word in pair])
    cost = 1.3 * blocks * rows * product.depth
    return Call(GroupLeftKernel(left.dtype), builder.words, builder.pointers, units=blocks, cost=cost)


def _runs(offsets: Offsets, itemsize: int) -> list[bool]:
    """By group, whether its numbers lie one behind the other."""
    steps = np.diff(offsets.reshape(-1, GROUP), axis=1)
    return np.all(steps == itemsize, axis=1).tolist()


_NANOSECONDS = {"f32": 0.03, "fused": 0.02, "pairs": 0.015, "i32": 0.06, "i64": 0.2, "groups": 0.1}
"""Time of a product, about."""


def _main_call(product: Product, order: Offsets, left: _Left) -> Call:
    kind, target = product.kind, host_target()
    lanes, vectors, rows = kind.lanes(target), kind.vectors(target), kind.rows(target)
    blocks = -(-product.rows // rows)
    panels = -(-product.columns // (lanes * vectors))
    steps = order.size // kind.per_step
    chunks = max(-(-blocks * rows // MOST_ROWS), min(blocks, -(-2 // panels)))
    builder = Builder(Head, len(product.addends))
    for word, value in (
        (Head.ROWS, product.rows),
        (Head.BLOCKS, blocks),
        (Head.CHUNKS, chunks),
        (Head.COLUMNS, product.columns),
        (Head.HALF, (steps + 1) // 2 if kind.buffers == 2 else steps),
        (Head.STEPS, steps),
    ):
        builder.words[word] = value
    builder.pointer(Head.LEFT, left.space, left.base)
    builder.offsets(Head.LEFT_ROWS, left.offsets)

    def columns(word: int, grid: Grid, *, stored: bool = False, packed: bool = False) -> None:
        offsets = _along(grid.second, product.columns)
        builder.columns(word, column_table(offsets, grid.dtype.itemsize, lanes, vectors, stored=stored, packed=packed))

    builder.offsets(Head.COUNTS, product.group_counts)
    builder.grid(Head.RIGHT, product.right)
    builder.offsets(Head.RIGHT_STEPS, _along(product.right.first, product.depth)[order])
    columns(Head.RIGHT_COLUMNS, product.right, packed=True)
    builder.grid(Head.DST, product.dst)
    builder.offsets(Head.DST_ROWS, _along(product.dst.first, product.rows))
    columns(Head.DST_COLUMNS, product.dst, stored=True)
    addends = [addend.based() for addend in product.addends]
    for number, addend in enumerate(addends):
        word = builder.operand(number)
        builder.grid(word, addend)
        if "r" in addend.by:
            builder.offsets(word + 1, addend.first)
        if "c" in addend.by:
            columns(word + 2, addend)
    kernel = ProductKernel(
        kind,
        product.right.dtype,
        product.dst.dtype,
        tuple((addend.dtype, addend.by) for addend in addends),
        product.finish,
    )
    depth = sum(product.group_counts) or order.size
    cost = _NANOSECONDS[kind.name] * blocks * rows * panels * lanes * vectors * depth
    return Call(kernel, builder.words, builder.pointers, units=panels * chunks, cost=cost)
