"""SG on the official model and on the interpreter: every operation, every width, and the indices at which both stop."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tests.support.differential import CASES, CHIP, Arena, Case, compare, hard_values
from tests.support.oracle import Job, run_jobs
from tests.support.places import DMA_DTYPES
from tpukernel.chips.tensors import Layout, LocalTensor
from tpukernel.dtypes import Dtype, u8, u16, u32
from tpukernel.isa import Gather, GatherOp, lane_table, share_bank
from tpukernel.sim.errors import ExecutionError
from tpukernel.sim.interpreter import execute
from tpukernel.sim.memory import Array, Memory

pytestmark = pytest.mark.vendor

ONE_INDEX = [GatherOp.GATHER_W, GatherOp.GATHER_HW, GatherOp.SCATTER_W, GatherOp.SCATTER_HW]
BATCHES = [GatherOp.BATCH_GATHER, GatherOp.BATCH_SCATTER]
FAR = CHIP.bank_bytes
"""Bytes between operands that share no bank (where they need less than a bank)."""


def channels(rng: Random) -> int:
    return rng.choice((1, 3, 17, 64, 65, 130))


def indices(rng: Random, shape: tuple[int, ...], sizes: tuple[int, ...], dtype: Dtype, *, unset: bool) -> Array:
    """Numbers below the sizes (one for each element of the last dimension), some of them all ones."""
    chosen = np.random.default_rng(rng.getrandbits(32))
    values = chosen.integers(0, np.minimum(sizes, 1 << dtype.bits), shape)
    if unset:
        values = np.where(chosen.random(shape) < 0.2, (1 << dtype.bits) - 1, values)
    return values.astype(dtype.numpy)


@pytest.mark.parametrize("index_dtype", [u8, u16], ids=str)
@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("op", ONE_INDEX, ids=lambda op: op.name)
def test_one_index(op: GatherOp, dtype: Dtype, index_dtype: Dtype) -> None:
    cases = [one_index(Random(f"{op.name} {dtype} {index_dtype} {number}"), op, dtype, index_dtype) for number in range(CASES)]
    assert compare(cases, seed=1) == []


def one_index(rng: Random, op: GatherOp, dtype: Dtype, index_dtype: Dtype) -> Case:
    arena, n, c, count = Arena(rng), rng.randint(1, 3), channels(rng), rng.choice((1, 5, 64, 70, 130))
    pairs, gathers = op in (GatherOp.GATHER_HW, GatherOp.SCATTER_HW), op in (GatherOp.GATHER_W, GatherOp.GATHER_HW)
    index_dtype = u16 if pairs else index_dtype
    table_shape = n, c, rng.randint(1, 7) if pairs else 1, rng.choice((1, 9, 70, 300))
    table, moved = arena.tensor(table_shape, dtype), arena.tensor((n, c, 1, count), dtype)
    lane, arena.lane = arena.lane, rng.choice((0, 5, 63))
    index = arena.tensor((1, count, 1, 2 if pairs else 1), index_dtype, Layout.COMPACT)
    arena.lane = lane
    skips = gathers and rng.random() < 0.5
    command = Gather(
        op=op,
        dst=moved if gathers else table,
        src=table if gathers else moved,
        index=index,
        skip_invalid=skips,
        fill=arena.constant(dtype) if skips and rng.random() < 0.5 else None,
    )
    sizes = (table_shape[3], table_shape[2]) if pairs else (table_shape[3],)
    return Case(command, {"index": indices(rng, index.shape, sizes, index_dtype, unset=skips)})


@pytest.mark.parametrize("index_dtype", [u8, u16], ids=str)
@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("shared", [False, True], ids=["banks of their own", "shared bank"])
@pytest.mark.parametrize("op", BATCHES, ids=lambda op: op.name)
def test_batches(op: GatherOp, shared: bool, dtype: Dtype, index_dtype: Dtype) -> None:
    cases = [batch(Random(f"{op.name} {shared} {dtype} {index_dtype} {number}"), op, shared, dtype, index_dtype) for number in range(CASES)]
    assert compare(cases, seed=2) == []


def batch(rng: Random, op: GatherOp, shared: bool, dtype: Dtype, index_dtype: Dtype) -> Case:
    arena, n, c, count = Arena(rng), rng.randint(1, 3), channels(rng), rng.choice((1, 5, 70))
    width, gathers = rng.choice((1, 9, 70, 300)), op is GatherOp.BATCH_GATHER
    outer, inner = (count, width) if gathers else (width, count)
    dst = arena.tensor((n, c, 1, outer), dtype)
    src = _source(rng, arena, c, inner, dtype)
    index = arena.tensor((n, c, 1, count), index_dtype)
    if not shared:
        dst, src, index = _apart(dst, src, index)
    skips = gathers and rng.random() < 0.5
    command = Gather(
        op=_form(op, dst, src, index),
        dst=dst,
        src=src,
        index=index,
        skip_invalid=skips,
        fill=arena.constant(dtype) if skips and rng.random() < 0.5 else None,
    )
    return Case(command, {"index": indices(rng, index.shape, (width,), index_dtype, unset=skips)})


def _source(rng: Random, arena: Arena, c: int, width: int, dtype: Dtype) -> LocalTensor:
    """The operand that all n share, for every channel or for all of a lane."""
    src = arena.tensor((1, c, 1, width), dtype)
    return src if rng.random() < 0.5 else lane_table(CHIP, src.address, src.shape, dtype)


def _apart(*tensors: LocalTensor) -> list[LocalTensor]:
    return [
        LocalTensor(tensor.address + place * FAR, tensor.shape, tensor.dtype, tensor.layout, tensor.strides)
        for place, tensor in enumerate(tensors)
    ]


def _form(op: GatherOp, *tensors: LocalTensor) -> GatherOp:
    return GatherOp[f"{op.name}_SHARED"] if share_bank(CHIP, *tensors) else op


@pytest.mark.parametrize("mask_dtype", [u8, u16, u32], ids=str)
@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
@pytest.mark.parametrize("shared", [False, True], ids=["banks of their own", "shared bank"])
def test_select(shared: bool, dtype: Dtype, mask_dtype: Dtype) -> None:
    cases = [select(Random(f"{shared} {dtype} {mask_dtype} {number}"), shared, dtype, mask_dtype) for number in range(CASES)]
    assert compare(cases, seed=3) == []


def select(rng: Random, shared: bool, dtype: Dtype, mask_dtype: Dtype) -> Case:
    arena, n, c, width = Arena(rng), rng.randint(1, 3), channels(rng), rng.choice((1, 5, 70))
    dst, src = arena.tensor((n, c, 1, width), dtype), _source(rng, arena, c, width, dtype)
    mask, count = arena.tensor((n, c, 1, width), mask_dtype), arena.tensor((n, c, 1, 1), u16, Layout.COMPACT)
    if not shared:
        dst, src, mask = _apart(dst, src, mask)
    chosen = np.random.default_rng(rng.getrandbits(32))
    values = chosen.integers(0, 1 << mask_dtype.bits, mask.shape) * (chosen.random(mask.shape) < rng.choice((0.0, 0.3, 0.9, 1.0)))
    command = Gather(op=_form(GatherOp.MASK_SELECT, dst, src, mask, count), dst=dst, src=src, mask=mask, count=count)
    return Case(command, {"mask": values.astype(mask_dtype.numpy)})


@pytest.mark.parametrize("index_dtype", [u8, u16], ids=str)
@pytest.mark.parametrize("dtype", DMA_DTYPES, ids=str)
def test_four_banks(dtype: Dtype, index_dtype: Dtype) -> None:
    cases = [four_banks(Random(f"{dtype} {index_dtype} {number}"), dtype, index_dtype) for number in range(CASES)]
    assert compare(cases, seed=4) == []


def four_banks(rng: Random, dtype: Dtype, index_dtype: Dtype) -> Case:
    c, count, width, lane = channels(rng), rng.choice((1, 5, 70)), rng.choice((1, 9, 70, 300)), rng.choice((0, 5, 63)) * CHIP.lane_bytes
    src = LocalTensor(lane + rng.choice((8, 9)) * FAR, (1, c, 1, width), dtype, Layout.LINE_ALIGNED)
    if repeated := rng.random() < 0.5:
        src = lane_table(CHIP, src.address, src.shape, dtype)
    index = LocalTensor(lane + rng.choice((0, 2)) * FAR, (1, c, 1, count), index_dtype)
    command = Gather(
        op=GatherOp.BATCH_GATHER_BANKS,
        dst=LocalTensor(lane + rng.choice((4, 6)) * FAR, (1, c, 1, count), dtype),
        src=src,
        index=index,
        skip_invalid=rng.random() < 0.5,
    )
    if command.skip_invalid and rng.random() < 0.5:
        command = command.replace(fill=Arena(rng).constant(dtype))
    chosen = indices(rng, index.shape, (width,), index_dtype, unset=command.skip_invalid)
    values = hard_values(np.random.default_rng(rng.getrandbits(32)), (1, 1 if repeated else c, 1, width), dtype)
    copies = dict.fromkeys(("src", "src_copy1", "src_copy2", "src_copy3"), np.broadcast_to(values, src.shape))
    return Case(command, {"index": chosen, **copies})


@pytest.mark.parametrize("different", [1, 2, 3])
def test_both_stop_at_copies_that_differ(different: int) -> None:
    src = LocalTensor(8 * FAR, (1, 2, 1, WIDTH), u8, Layout.LINE_ALIGNED)
    index, dst = LocalTensor(0, (1, 2, 1, WIDTH), u8), LocalTensor(4 * FAR, (1, 2, 1, WIDTH), u8)
    command = Gather(op=GatherOp.BATCH_GATHER_BANKS, dst=dst, src=src, index=index)
    memory = Memory(CHIP)
    copy = LocalTensor((8 + 2 * different) * FAR, src.shape, u8, Layout.LINE_ALIGNED)
    memory.store(copy, (np.arange(2 * WIDTH) == 2 * WIDTH - 1).astype(np.uint8).reshape(src.shape))
    with pytest.raises(ExecutionError, match=f"src_copy{different} of"):
        execute(command, memory)
    assert stopped(command, memory)


def stopped(command: Gather, memory: Memory) -> bool:
    """Whether the official model refuses the command with that local memory."""
    bits = command.encoded(CHIP)
    record: int = bits.record
    lmem = memory.read_bytes("lmem", 0, 2 * CHIP.lane_bytes)
    job = Job(commands=[("tiu", record.to_bytes(bits.format.bytes, "little"))], initial={"lmem": [(0, lmem)]}, fill={"lmem": 0})
    [official] = run_jobs([job])
    return official.rejected is not None


WIDTH = 9
DST, SRC, BATCH_INDEX = (LocalTensor(place * FAR, (1, 2, 1, WIDTH), u8) for place in range(3))
ONE = LocalTensor(2 * FAR, (1, WIDTH, 1, 1), u8, Layout.COMPACT)
PAIR = LocalTensor(2 * FAR, (1, WIDTH, 1, 2), u16, Layout.COMPACT)
STOPS = [
    (Gather(op=GatherOp.GATHER_W, dst=DST, src=SRC, index=ONE), WIDTH),
    (Gather(op=GatherOp.GATHER_W, dst=DST, src=SRC, index=ONE), 0xFF),
    (Gather(op=GatherOp.GATHER_W, dst=DST, src=SRC, index=ONE, skip_invalid=True), 0xFE),
    (Gather(op=GatherOp.SCATTER_W, dst=DST, src=SRC, index=ONE), 0xFF),
    (Gather(op=GatherOp.GATHER_HW, dst=DST, src=SRC, index=PAIR), WIDTH),
    (Gather(op=GatherOp.GATHER_HW, dst=DST, src=SRC, index=PAIR), 0xFFFF),
    (Gather(op=GatherOp.GATHER_HW, dst=DST, src=SRC, index=PAIR, skip_invalid=True), WIDTH),
    (Gather(op=GatherOp.SCATTER_HW, dst=DST, src=SRC, index=PAIR), WIDTH),
    (Gather(op=GatherOp.BATCH_GATHER, dst=DST, src=SRC, index=BATCH_INDEX), WIDTH),
    (Gather(op=GatherOp.BATCH_SCATTER, dst=DST, src=SRC, index=BATCH_INDEX), WIDTH),
]


@pytest.mark.parametrize(("command", "value"), STOPS, ids=lambda case: getattr(case, "title", None))
def test_both_stop_at_an_index_outside(command: Gather, value: int) -> None:
    assert not command.problems(CHIP)
    index = command.index
    assert index is not None
    values = np.zeros(index.shape, index.dtype.numpy)
    values.reshape(-1)[4] = value
    memory = Memory(CHIP)
    memory.store(index, values)
    bits = command.encoded(CHIP)
    record: int = bits.record
    lmem = memory.read_bytes("lmem", 0, WIDTH * CHIP.lane_bytes)
    job = Job(commands=[("tiu", record.to_bytes(bits.format.bytes, "little"))], initial={"lmem": [(0, lmem)]}, fill={"lmem": 0})
    [official] = run_jobs([job])
    assert official.rejected is not None
    with pytest.raises(ExecutionError, match=f"is {value}, but"):
        execute(command, memory)
