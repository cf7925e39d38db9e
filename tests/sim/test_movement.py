"""TRANS&BC, SG and SGL on the interpreter: what goes where, bit for bit, that nothing else is written, and where they stop.

Compared with the recordings in `test_golden` and with the official C model in `tests/vendor`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.moved import LANE, random_bits, run
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i32, u8, u16
from tpukernel.isa import Gather, GatherLine, GatherLineOp, GatherOp, LaneMove, LaneMoveOp, lane_table
from tpukernel.sim.errors import ExecutionError
from tpukernel.sim.interpreter import execute
from tpukernel.sim.memory import Array, Memory

BANK = BM1684X.bank_bytes
DTYPES = st.sampled_from((i8, f16, bf16, f32))
SHAPES = st.tuples(st.integers(1, 2), st.sampled_from((1, 5, 64, 70)), st.integers(1, 3), st.integers(1, 5))
SEEDS = st.integers(0, 1 << 30)


def bits(values: Array) -> Array:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


@given(SHAPES, DTYPES, SEEDS)
def test_moves_between_lanes(shape: Dim4, dtype: Dtype, seed: int) -> None:
    n, c, h, w = shape
    for op, src, layout in (
        (LaneMoveOp.CW_TRANSPOSE, LocalTensor(0x4000, (n, w, h, c), dtype), Layout.LINE_ALIGNED),
        (LaneMoveOp.WC_TRANSPOSE, LocalTensor(5 * LANE + 0x4000, (n, w, h, c), dtype), Layout.EU_ALIGNED),
        (LaneMoveOp.LANE_COPY, LocalTensor(60 * LANE + 0x4000, shape, dtype), Layout.EU_ALIGNED),
    ):
        values = random_bits(seed, src)
        got = run(LaneMove(op=op, dst=LocalTensor(0, shape, dtype, layout), src=src), src=values)
        assert np.array_equal(got, bits(values if op is LaneMoveOp.LANE_COPY else values.swapaxes(1, 3)))
    one = LocalTensor(9 * LANE + 0x4000, (n, 1, h, w), dtype)
    values = random_bits(seed, one)
    got = run(LaneMove(op=LaneMoveOp.LANE_BROADCAST, dst=LocalTensor(3 * LANE, (n, min(c, 61), h, w), dtype), src=one), src=values)
    assert (got == bits(values)).all()


def test_static_memory() -> None:
    table = BM1684X.static_tables["iota"]
    address = BM1684X.regions["static"].base + table.offset
    line = LocalTensor(address, (1, 1, 1, 64), i32, Layout.COMPACT)
    got = run(LaneMove(op=LaneMoveOp.STATIC_BROADCAST, dst=LocalTensor(60 * LANE, (1, 4, 1, 64), i32), src=line))
    assert (got == np.arange(64)).all()
    column = LocalTensor(address, (1, 64, 1, 1), i32, Layout.COMPACT)
    got = run(LaneMove(op=LaneMoveOp.STATIC_DISTRIBUTE, dst=LocalTensor(0, (1, 64, 1, 1), i32, Layout.COMPACT), src=column))
    assert np.array_equal(got.reshape(-1), np.arange(64))


# ---------------------------------------------------------------------------- gather, scatter, select


@given(st.sampled_from((1, 3, 70)), st.integers(1, 70), st.integers(1, 4), st.integers(1, 6), st.booleans(), DTYPES, SEEDS)
def test_by_one_index(c: int, count: int, height: int, width: int, pairs: bool, dtype: Dtype, seed: int) -> None:
    n, height = 2, height if pairs else 1
    table, moved = LocalTensor(0, (n, c, height, width), dtype), LocalTensor(0x2000, (n, c, 1, count), dtype)
    index = LocalTensor(5 * LANE + 0x6000, (1, count, 1, 2 if pairs else 1), u16, Layout.COMPACT)
    chosen = np.random.default_rng(seed).integers(0, (width, height)[: index.shape[3]], index.shape).astype(np.uint16)
    places = [(pair[1] if pairs else 0, pair[0]) for pair in chosen.reshape(count, -1).tolist()]
    gather, scatter = (GatherOp.GATHER_HW, GatherOp.SCATTER_HW) if pairs else (GatherOp.GATHER_W, GatherOp.SCATTER_W)

    values = random_bits(seed, table)
    got = run(Gather(op=gather, dst=moved, src=table, index=index), src=values, index=chosen)
    assert np.array_equal(got[:, :, 0], np.stack([bits(values)[:, :, h, w] for h, w in places], -1))

    values, kept = random_bits(seed, moved), random_bits(seed + 1, table)
    expected = bits(kept).copy()
    for i, (h, w) in enumerate(places):
        expected[:, :, h, w] = bits(values)[:, :, 0, i]
    assert np.array_equal(run(Gather(op=scatter, dst=table, src=moved, index=index), dst=kept, src=values, index=chosen), expected)


@given(st.sampled_from((1, 3, 70)), st.integers(1, 9), st.integers(1, 9), st.booleans(), DTYPES, SEEDS)
def test_by_an_index_of_each_channel(c: int, count: int, width: int, shared: bool, dtype: Dtype, seed: int) -> None:
    c = min(c, 64) if shared else c  # channels of one lane would write the same table
    index = LocalTensor(0x5000, (2, c, 1, count), u8)
    few, many = LocalTensor(0, (2, c, 1, count), dtype), LocalTensor(0, (2, c, 1, width), dtype)
    table, moved = (LocalTensor(0x3000, (1, c, 1, size), dtype) for size in (width, count))
    if shared:
        table, moved = (lane_table(BM1684X, tensor.address, tensor.shape, dtype) for tensor in (table, moved))
    chosen = np.random.default_rng(seed).integers(0, width, index.shape).astype(np.uint8)

    values = random_bits(seed, table)
    got = run(Gather(op=GatherOp.BATCH_GATHER_SHARED, dst=few, src=table, index=index), src=values, index=chosen)
    assert all(got[a, k, 0, i] == bits(values)[0, k, 0, chosen[a, k, 0, i]] for a, k, i in np.ndindex(2, c, count))

    values, kept = random_bits(seed, moved), random_bits(seed + 1, many)
    expected = bits(kept).copy()
    for a, k, i in np.ndindex(2, c, count):
        expected[a, k, 0, chosen[a, k, 0, i]] = bits(values)[0, k, 0, i]
    command = Gather(op=GatherOp.BATCH_SCATTER_SHARED, dst=many, src=moved, index=index)
    assert np.array_equal(run(command, dst=kept, src=values, index=chosen), expected)


@given(st.sampled_from((1, 3, 70)), st.integers(1, 6), st.integers(1, 6), st.booleans(), DTYPES, SEEDS)
def test_lines(c: int, count: int, rows: int, shared: bool, dtype: Dtype, seed: int) -> None:
    c = min(c, 64) if shared else c
    index = LocalTensor(0x5000, (2, c, count, 1), u16)
    few, many = (LocalTensor(0, (2, c, size, 3), dtype, Layout.LINE_ALIGNED) for size in (count, rows))
    table, moved = (LocalTensor(0x3000, (1, c, size, 3), dtype, Layout.LINE_ALIGNED) for size in (rows, count))
    if shared:
        table, moved = (lane_table(BM1684X, tensor.address, tensor.shape, dtype, line_aligned=True) for tensor in (table, moved))
    chosen = np.random.default_rng(seed).integers(0, rows, index.shape).astype(np.uint16)

    values = random_bits(seed, table)
    got = run(GatherLine(op=GatherLineOp.GATHER, dst=few, src=table, index=index), src=values, index=chosen)
    assert all((got[a, k, i] == bits(values)[0, k, chosen[a, k, i, 0]]).all() for a, k, i in np.ndindex(2, c, count))

    values, kept = random_bits(seed, moved), random_bits(seed + 1, many)
    expected = bits(kept).copy()
    for a, k, i in np.ndindex(2, c, count):
        expected[a, k, chosen[a, k, i, 0]] = bits(values)[0, k, i]
    command = GatherLine(op=GatherLineOp.SCATTER, dst=many, src=moved, index=index)
    assert np.array_equal(run(command, dst=kept, src=values, index=chosen), expected)


@given(st.sampled_from((1, 3, 70)), st.integers(1, 70), st.floats(0, 1), DTYPES, SEEDS)
def test_select(c: int, width: int, part: float, dtype: Dtype, seed: int) -> None:
    n = 2
    dst, src, mask = (LocalTensor(place * BANK, (n if place != 1 else 1, c, 1, width), dtype if place < 2 else u8) for place in range(3))
    count = LocalTensor(3 * BANK, (n, c, 1, 1), u16, Layout.COMPACT)
    chosen = (np.random.default_rng(seed).random(mask.shape) < part).astype(np.uint8) * 255
    values, kept = random_bits(seed, src), random_bits(seed + 1, dst)
    command = Gather(op=GatherOp.MASK_SELECT, dst=dst, src=src, mask=mask, count=count)
    expected = bits(kept).copy()
    for a, k in np.ndindex(n, c):
        selected = bits(values)[0, k, 0][chosen[a, k, 0] != 0]
        expected[a, k, 0, : selected.size] = selected
    memory = Memory(BM1684X, 1 << 20)
    for operand, array in ((src, values), (mask, chosen), (dst, kept)):
        memory.store(operand, array)
    execute(command, memory)
    assert np.array_equal(bits(memory.load(dst)), expected)
    assert np.array_equal(memory.load(count)[..., 0, 0], (chosen != 0).sum(axis=(2, 3)))


FOUR_BANKS = [LocalTensor((8 + 2 * copy) * BANK, (1, 70, 1, 9), f16, Layout.LINE_ALIGNED) for copy in range(4)]
FROM_FOUR_BANKS = Gather(
    op=GatherOp.BATCH_GATHER_BANKS,
    dst=LocalTensor(4 * BANK, (1, 70, 1, 5), f16),
    src=FOUR_BANKS[0],
    index=LocalTensor(0, (1, 70, 1, 5), u8),
)


@pytest.mark.parametrize("different", [None, 1, 2, 3])
def test_a_gather_from_four_banks_needs_equal_copies(different: int | None) -> None:
    chosen = np.random.default_rng(0).integers(0, 9, (1, 70, 1, 5)).astype(np.uint8)
    values, memory = random_bits(1, FROM_FOUR_BANKS.src), Memory(BM1684X, 1 << 20)
    memory.store(LocalTensor(0, chosen.shape, u8), chosen)
    for number, copy in enumerate(FOUR_BANKS):
        stored = values.copy()
        stored[0, 69, 0, 8] = 0 if number == different else 1
        memory.store(copy, stored)
    values[0, 69, 0, 8] = 1
    if different is None:
        execute(FROM_FOUR_BANKS, memory)
        assert np.array_equal(bits(memory.load(FROM_FOUR_BANKS.dst)), bits(np.take_along_axis(values, chosen.astype(int), axis=3)))
    else:
        with pytest.raises(ExecutionError, match=rf"src_copy{different} of gather.batch_gather_banks differs from src at \(0, 69, 0, 8\)"):
            execute(FROM_FOUR_BANKS, memory)


# ---------------------------------------------------------------------------- indices outside

ROW = (1, 2, 1, 9)
DST, SRC, INDEX = LocalTensor(0, ROW, f16), LocalTensor(BANK, ROW, f16), LocalTensor(2 * BANK, ROW, u8)
COLUMN = LocalTensor(2 * BANK, (1, 9, 1, 1), u8, Layout.COMPACT)
PAIRS = LocalTensor(2 * BANK, (1, 9, 1, 2), u16, Layout.COMPACT)
TALL, TALL_DST = LocalTensor(BANK, (1, 2, 3, 9), f16), LocalTensor(0, (1, 2, 3, 9), f16)
LINES, LINES_DST = (LocalTensor(place, (1, 2, 3, 9), f16, Layout.LINE_ALIGNED) for place in (BANK, 0))
LINE_INDEX = LocalTensor(2 * BANK, (1, 2, 3, 1), u8)

OUTSIDE = [
    (Gather(op=GatherOp.GATHER_W, dst=DST, src=SRC, index=COLUMN), (0, 4, 0, 0), 9, "the table src has 9"),
    (Gather(op=GatherOp.GATHER_W, dst=DST, src=SRC, index=COLUMN, skip_invalid=True), (0, 4, 0, 0), 254, "the table src has 9"),
    (Gather(op=GatherOp.SCATTER_W, dst=DST, src=SRC, index=COLUMN), (0, 4, 0, 0), 255, "the table dst has 9"),
    (Gather(op=GatherOp.GATHER_HW, dst=DST, src=TALL, index=PAIRS), (0, 4, 0, 0), 9, "the table src has 9"),
    (Gather(op=GatherOp.GATHER_HW, dst=DST, src=TALL, index=PAIRS), (0, 4, 0, 1), 3, "the table src has 3"),
    (Gather(op=GatherOp.SCATTER_HW, dst=TALL_DST, src=SRC, index=PAIRS), (0, 8, 0, 1), 65535, "the table dst has 3"),
    (Gather(op=GatherOp.BATCH_GATHER, dst=DST, src=SRC, index=INDEX), (0, 1, 0, 5), 200, "the table src has 9"),
    (Gather(op=GatherOp.BATCH_SCATTER, dst=DST, src=SRC, index=INDEX), (0, 1, 0, 5), 9, "the table dst has 9"),
    (GatherLine(op=GatherLineOp.GATHER, dst=LINES_DST, src=LINES, index=LINE_INDEX, skip_invalid=True), (0, 1, 2, 0), 255, "src has 3"),
    (GatherLine(op=GatherLineOp.SCATTER, dst=LINES_DST, src=LINES, index=LINE_INDEX), (0, 1, 2, 0), 3, "the table dst has 3"),
]


@pytest.mark.parametrize(("command", "position", "value", "table"), OUTSIDE, ids=lambda value: getattr(value, "title", None))
def test_an_index_outside_stops(command: Gather | GatherLine, position: Dim4, value: int, table: str) -> None:
    assert not command.problems(BM1684X)
    index = command.index
    assert index is not None
    chosen = np.zeros(index.shape, index.dtype.numpy)
    chosen[position] = value
    memory = Memory(BM1684X, 1 << 20)
    memory.store(index, chosen)
    with pytest.raises(ExecutionError) as caught:
        execute(command, memory)
    place = ", ".join(map(str, position))
    assert f"index[{place}] of {command.title} is {value}, but" in caught.value.message and table in caught.value.message


@pytest.mark.parametrize("fill", [None, Constant(0x1234, f16)], ids=["kept", "filled"])
@pytest.mark.parametrize("half", [0, 1])
def test_an_index_without_a_meaning_is_skipped(half: int, fill: Constant | None) -> None:
    chosen = np.zeros(PAIRS.shape, np.uint16)
    chosen[0, 3, 0, half] = 0xFFFF
    command = Gather(op=GatherOp.GATHER_HW, dst=DST, src=TALL, index=PAIRS, skip_invalid=True, fill=fill)
    values, kept = random_bits(1, TALL), random_bits(2, DST)
    expected = np.broadcast_to(bits(values)[:, :, :1, :1], DST.shape).copy()
    expected[..., 3] = bits(kept)[..., 3] if fill is None else 0x1234
    assert np.array_equal(run(command, dst=kept, src=values, index=chosen), expected)
