"""SG: gathering and scattering elements by index, and selecting them by mask."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.tensors import LocalTensor
from tpukernel.isa.gather import Gather, GatherOp
from tpukernel.sim.errors import ExecutionError
from tpukernel.sim.interpreter.lookup import Bits, Positions, gather, refuse_outside, scatter
from tpukernel.sim.interpreter.moves import bits_of, put
from tpukernel.sim.memory import Memory

__all__ = ["execute"]

_GATHERS = {GatherOp.GATHER_W, GatherOp.GATHER_HW, GatherOp.BATCH_GATHER, GatherOp.BATCH_GATHER_BANKS, GatherOp.BATCH_GATHER_SHARED}
_PAIRS = {GatherOp.GATHER_HW, GatherOp.SCATTER_HW}
_ONE_INDEX = {GatherOp.GATHER_W, GatherOp.SCATTER_W, *_PAIRS}


def execute(instruction: Gather, memory: Memory) -> None:
    """Move the bits of the chosen elements.

    Raises:
        ExecutionError: an index names no element, and is none that `skip_invalid` lets pass; or the copies of `src` differ.
    """
    if instruction.index is not None:
        _move(instruction, instruction.index, memory)
    elif instruction.mask is not None and instruction.count is not None:
        _select(instruction, instruction.mask, instruction.count, memory)


def _move(instruction: Gather, index: LocalTensor, memory: Memory) -> None:
    if instruction.op is GatherOp.BATCH_GATHER_BANKS:
        _check_copies(instruction, memory)
    dst, src = (_flat(bits_of(memory.load(operand))) for operand in (instruction.dst, instruction.src))
    positions, passed = _positions(instruction, bits_of(memory.load(index)))
    if instruction.op in _GATHERS:
        kept = dst if instruction.fill is None else bits_of(memory.load(instruction.fill))
        dst = np.where(passed[..., None], kept, gather(src, np.where(passed, 0, positions)))
    else:
        scatter(dst, positions, src)
    put(memory, instruction.dst, dst.reshape(instruction.dst.shape))


def _check_copies(instruction: Gather, memory: Memory) -> None:
    """Stop where the copies of `src` that the chip reads are not the same."""
    first = bits_of(memory.load(instruction.src))
    for use in instruction.operands():
        if use.name.startswith("src_copy") and isinstance(use.value, LocalTensor):
            different = np.argwhere(bits_of(memory.load(use.value)) != first)
            if different.size:
                place = tuple(int(number) for number in different[0])
                raise ExecutionError(
                    f"{use.name} of {instruction.title} differs from src at {place}",
                    help="load src four times, two banks apart, before the gather",
                )


def _flat(values: Bits) -> Bits:
    """(n, c, h, w) as (n, c, h * w, 1)."""
    return values.reshape(*values.shape[:2], -1, 1)


def _positions(instruction: Gather, index: Bits) -> tuple[Positions, NDArray[np.bool_]]:
    """The positions that an index names in the flattened table, (n or 1, c or 1, count), and which of them name nothing and may."""
    name, table = ("src", instruction.src) if instruction.op in _GATHERS else ("dst", instruction.dst)
    _, _, height, width = table.shape
    sizes = np.array([width, height] if instruction.op in _PAIRS else [width])
    shape = (1, 1, -1) if instruction.op in _ONE_INDEX else (*index.shape[:2], -1)
    parts = index.astype(np.int64).reshape(*shape, sizes.size)
    unset = (1 << 8 * index.dtype.itemsize) - 1
    passed = (parts == unset).any(axis=-1) & instruction.skip_invalid  # one half of a pair is enough
    outside = (parts >= sizes) & ~passed[..., None]
    refuse_outside(instruction, index, outside.reshape(index.shape), name, np.broadcast_to(sizes, parts.shape).reshape(index.shape))
    return parts @ np.array([1, width])[: sizes.size], passed


def _select(instruction: Gather, mask: LocalTensor, count: LocalTensor, memory: Memory) -> None:
    """The selected elements come first, in their order; the rest of `dst` stays as it is."""
    selected = bits_of(memory.load(mask)) != 0
    counts = cast("NDArray[np.int64]", selected.sum(axis=-1, keepdims=True))
    dst, src = (bits_of(memory.load(operand)) for operand in (instruction.dst, instruction.src))
    order = np.argsort(~selected, axis=-1, kind="stable")
    values = np.take_along_axis(np.broadcast_to(src, dst.shape), order, axis=-1)
    kept = np.greater_equal(np.arange(dst.shape[-1], dtype=np.int64), counts)
    put(memory, instruction.dst, np.where(kept, dst, values))
    memory.store(count, counts.astype(count.dtype.numpy))
