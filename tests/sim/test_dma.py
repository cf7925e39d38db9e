"""The DMA commands on the interpreter: what goes where, bit for bit, and that nothing else is written.

Compared with the recordings in `test_golden` and with the official C model in `tests/vendor/test_sim_dma_*`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.moved import DDR, L2, LANE, random_bits, run
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u32
from tpukernel.isa import (
    Arith,
    ArithOp,
    DmaCwTranspose,
    DmaGather,
    DmaGeneral,
    DmaGeneralOp,
    DmaMaskedSelect,
    DmaMatrix,
    DmaMatrixOp,
    DmaNonzero,
    DmaScatter,
    DmaTensor,
    DmaTensorOp,
    Program,
)
from tpukernel.sim import Machine
from tpukernel.sim.checks.errors import RaceError
from tpukernel.sim.interpreter import execute
from tpukernel.sim.memory import Array, Memory

DTYPES = (i8, f16, bf16, f32)
SHAPES = st.tuples(st.integers(1, 2), st.sampled_from((1, 5, 64, 70)), st.integers(1, 3), st.integers(1, 5))
LANES = st.sampled_from((0, 5, 63))
MASKS = st.one_of(st.just((1 << 64) - 1), st.integers(0, (1 << 64) - 1))
SEEDS = st.integers(0, 1 << 30)


def bits(values: Array) -> Array:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def masked(written: Array, kept: Array, lane: int, mask: int) -> Array:
    """What a copy leaves in a tensor (n, c, h, w) from that lane on, of which only the lanes of the mask are written."""
    allowed = [bool(mask >> (lane + channel) % 64 & 1) for channel in range(kept.shape[1])]
    return np.where(np.array(allowed)[:, None, None], bits(written), bits(kept))


@given(SHAPES, LANES, MASKS, st.sampled_from(DTYPES), SEEDS)
def test_copies_keep_every_bit_and_masked_lanes(shape: Dim4, lane: int, mask: int, dtype: Dtype, seed: int) -> None:
    dst, src = LocalTensor(lane * LANE + 64, shape, dtype), SystemTensor(DDR + 128, shape, dtype)
    given_bits, kept = random_bits(seed, src), random_bits(seed + 1, dst)
    copy = DmaTensor(dst=dst, src=src, lane_mask=mask)
    assert np.array_equal(run(copy, dst=kept, src=given_bits), masked(given_bits, kept, lane, mask))
    back = DmaTensor(dst=SystemTensor(L2, shape, dtype), src=dst, lane_mask=mask)
    assert np.array_equal(run(back, src=given_bits), bits(given_bits))


@given(SHAPES, MASKS, st.sampled_from(DTYPES), SEEDS)
def test_transposes(shape: Dim4, mask: int, dtype: Dtype, seed: int) -> None:
    n, c, h, w = shape
    src = SystemTensor(DDR, shape, dtype)
    values = random_bits(seed, src)
    dst = LocalTensor(5 * LANE, (c, n, h, w), dtype)
    kept = random_bits(seed + 1, dst)
    turned = run(DmaTensor(op=DmaTensorOp.TRANSPOSE, dst=dst, src=src, lane_mask=mask), dst=kept, src=values)
    assert np.array_equal(turned, masked(values.swapaxes(0, 1), kept, 5, mask))
    dst = LocalTensor(5 * LANE, (n, w, h, c), dtype)
    kept = random_bits(seed + 1, dst)
    turned = run(DmaCwTranspose(dst=dst, src=src, lane_mask=mask), dst=kept, src=values)
    assert np.array_equal(turned, masked(values.swapaxes(1, 3), kept, 5, mask))


def test_a_transpose_takes_w_strides_as_1() -> None:
    memory = Memory(BM1684X, 1 << 20)
    src = SystemTensor(DDR, (1, 1, 1, 4), i8, (8, 8, 8, 1))
    memory.store(src, np.array([[[[1, 2, 3, 4]]]], np.int8))
    far = SystemTensor(DDR, (1, 1, 1, 4), i8, (8, 8, 8, 2))
    execute(DmaTensor(op=DmaTensorOp.TRANSPOSE, dst=SystemTensor(DDR + 64, (1, 1, 1, 4), i8, (8, 8, 8, 2)), src=far), memory)
    assert memory.range("ddr", 64, 8).tolist() == [1, 2, 3, 4, 0, 0, 0, 0]


FIRST, LAST = 1 << 5, 1 << 8
"""The lanes 5 and 8, the ends of the broadcast below."""


@pytest.mark.parametrize(
    ("mask", "written"), [(0, "none"), (LAST, "none"), (FIRST, "first"), (FIRST | LAST, "all"), ((1 << 64) - 1, "all")]
)
def test_a_broadcast_looks_at_its_first_and_last_lane(mask: int, written: str) -> None:
    dst, src = LocalTensor(5 * LANE, (2, 4, 3, 7), f32), LocalTensor(9 * LANE, (2, 1, 3, 7), f32)
    values, kept = random_bits(1, src), random_bits(2, dst)
    expected = bits(kept).copy()
    if written == "first":
        expected[:, :, 0, 0] = bits(values)[:, :, 0, 0]
    elif written == "all":
        expected[...] = bits(values)
    assert np.array_equal(run(DmaTensor(op=DmaTensorOp.BROADCAST, dst=dst, src=src, lane_mask=mask), dst=kept, src=values), expected)


def test_fill() -> None:
    nan = Constant(0xFFFF_7F81, bf16)
    assert (run(DmaTensor(dst=LocalTensor(63 * LANE, (2, 70, 3, 5), bf16), src=nan)) == 0x7F81).all()


@given(st.integers(1, 9), st.integers(1, 90), st.integers(1, 9), st.sampled_from(DmaMatrixOp), MASKS, st.sampled_from(DTYPES), SEEDS)
def test_matrix(rows: int, cols: int, width: int, op: DmaMatrixOp, mask: int, dtype: Dtype, seed: int) -> None:
    width = min(width, cols)
    packed = LocalTensor(60 * LANE, (rows, -(-cols // width), 1, width), dtype)
    turned = op is DmaMatrixOp.TRANSPOSE
    plain = SystemTensor(DDR, (1, 1, cols, rows) if turned else (1, 1, rows, cols), dtype)
    matrix, kept = bits(random_bits(seed, plain)), bits(random_bits(seed + 1, packed))
    expected = kept.copy()
    expected.reshape(rows, -1)[:, :cols] = matrix[0, 0].T if turned else matrix[0, 0]
    got = run(DmaMatrix(op=op, dst=packed, src=plain, lane_mask=mask), dst=kept.view(dtype.numpy), src=matrix.view(dtype.numpy))
    assert np.array_equal(got, masked(expected, kept, 60, mask))
    back = run(DmaMatrix(op=op, dst=plain, src=packed), src=expected.view(dtype.numpy))
    assert np.array_equal(back, matrix)


@given(SHAPES, st.floats(0, 1), st.sampled_from(DTYPES), st.sampled_from((i8, i16, i32)), SEEDS)
def test_select_and_nonzero(shape: Dim4, part: float, dtype: Dtype, mask_dtype: Dtype, seed: int) -> None:
    src, mask, dst = LocalTensor(5 * LANE, shape, dtype), SystemTensor(L2 + 1, shape, mask_dtype), SystemTensor(DDR, shape, dtype)
    values, kept = random_bits(seed, src), random_bits(seed + 1, dst)
    chosen = np.where(np.random.default_rng(seed).random(shape) < part, random_bits(seed + 2, mask), 0).astype(mask_dtype.numpy)
    selected = bits(values)[chosen != 0]
    got = run(DmaMaskedSelect(dst=dst, src=src, mask=mask), dst=kept, src=values, mask=chosen).reshape(-1)
    assert np.array_equal(got[: selected.size], selected) and np.array_equal(got[selected.size :], bits(kept).reshape(-1)[selected.size :])

    counted, result = LocalTensor(0, shape, mask_dtype), SystemTensor(DDR, shape, i32)
    positions = np.flatnonzero(chosen)
    old = random_bits(seed + 3, result)
    got = run(DmaNonzero(dst=result, src=counted, base_index=(1 << 32) - 2), dst=old, src=chosen).reshape(-1)
    assert np.array_equal(got[: positions.size], (positions - 2) % (1 << 32))
    assert np.array_equal(got[positions.size :], bits(old).reshape(-1)[positions.size :])


@given(st.sampled_from(((70, 70), (1, 70), (70, 1), (1, 1))), st.integers(1, 6), st.integers(1, 6), MASKS, st.sampled_from(DTYPES), SEEDS)
def test_gather_and_scatter(channels: tuple[int, int], count: int, rows: int, mask: int, dtype: Dtype, seed: int) -> None:
    table_c, index_c = channels
    c = max(channels)
    index = LocalTensor(0, (1, index_c, count, 1), u32)
    rng = np.random.default_rng(seed)
    chosen = rng.choice([*range(rows), rows, 0xFFFF_FFFF], index.shape).astype(np.uint32)
    lines_of = np.broadcast_to(chosen, (1, c, count, 1))[0, :, :, 0].tolist()

    src, dst = SystemTensor(DDR, (1, table_c, rows, 3), dtype), LocalTensor(5 * LANE + 0x1000, (1, c, count, 3), dtype)
    values, kept = bits(random_bits(seed, src)), bits(random_bits(seed + 1, dst))
    expected = np.array([[values[0, k % table_c, i] if i < rows else [7] * 3 for i in lines] for k, lines in enumerate(lines_of)])
    gathering = DmaGather(dst=dst, src=src, index=index, fill=Constant(7, dtype), lane_mask=mask)
    got = run(gathering, dst=kept.view(dtype.numpy), src=values.view(dtype.numpy), index=chosen)
    assert np.array_equal(got, masked(expected[None].astype(values.dtype), kept, 5, mask))

    moved, target = SystemTensor(DDR, (1, table_c, count, 3), dtype), LocalTensor(5 * LANE + 0x1000, (1, c, rows, 3), dtype)
    values, kept = bits(random_bits(seed, moved)), bits(random_bits(seed + 1, target))
    expected = kept.copy()
    for channel, lines in enumerate(lines_of):
        for i, line in enumerate(lines):
            if line < rows:
                expected[0, channel, line] = values[0, channel % table_c, i]
    scattering = DmaScatter(dst=target, src=moved, index=index, lane_mask=mask)
    got = run(scattering, dst=kept.view(dtype.numpy), src=values.view(dtype.numpy), index=chosen)
    assert np.array_equal(got, masked(expected, kept, 5, mask))


def test_few_lines_of_a_large_table() -> None:
    rows = 300_000
    memory = Memory(BM1684X, 16 << 20)
    table = SystemTensor(DDR, (1, 1, rows, 8), f16)
    memory.range("ddr", 16 * (rows - 1), 16)[:] = range(16)
    index = LocalTensor(0, (1, 1, 2, 1), u32)
    memory.store(index, np.array([rows - 1, rows], np.uint32).reshape(index.shape))
    dst = LocalTensor(0x1000, (1, 1, 2, 8), f16)
    gathering = DmaGather(dst=dst, src=table, index=index, fill=Constant(0, f16))
    assert not gathering.problems(BM1684X)
    execute(gathering, memory)
    assert memory.range("lmem", 0x1000, 32).tolist() == [*range(16), *[0] * 16]


MANY = 70_000
"""More elements than other commands have in a dimension, and more bytes than are left in the lane below."""


@pytest.mark.parametrize("mask", [(1 << 64) - 1, (1 << 64) - 1 ^ 2])
def test_a_stretch_goes_on_in_the_next_lane(mask: int) -> None:
    memory = Memory(BM1684X, 1 << 20)
    src, start = SystemTensor(DDR, (1, 1, 1, MANY), f32), LANE - 8
    given_bits = np.random.default_rng(3).integers(0, 256, 4 * MANY, np.uint8)
    memory.range("ddr", 0, 4 * MANY)[:] = given_bits
    copy = DmaGeneral(dst=LocalTensor(start, (1, 1, 1, MANY), f32, Layout.COMPACT), src=src, lane_mask=mask)
    assert not copy.problems(BM1684X)
    execute(copy, memory)
    assert np.array_equal(bits(memory.load(copy.dst)).view(np.uint8).reshape(-1), memory.read_bytes("lmem", start, 4 * MANY))
    got = memory.read_bytes("lmem", start, 4 * MANY)
    written = np.ones(4 * MANY, np.bool_)
    written[8 : 8 + LANE] = bool(mask >> 1 & 1)
    assert np.array_equal(got, np.where(written, given_bits, 0))


def test_the_checks_know_where_a_stretch_is() -> None:
    stretch = LocalTensor(LANE - 8, (1, 1, 1, MANY), f32, Layout.COMPACT)
    program = Program(BM1684X)
    with program.parallel():
        program.append(DmaGeneral(dst=stretch, src=Constant(0, f32)))
        program.append(Arith(op=ArithOp.COPY, dst=LocalTensor(LANE + 64, (1, 1, 1, 4), f32), src0=Constant(0, f32)))
    [race] = Machine(BM1684X, ddr_bytes=1 << 20).check(program)
    assert isinstance(race, RaceError)


def test_a_stretch_goes_to_several_lanes() -> None:
    memory = Memory(BM1684X, 1 << 20)
    memory.range("lmem", 0, 12)[:] = range(12)
    dst, src = LocalTensor(3 * LANE + 8, (1, 4, 1, 3), f32, Layout.COMPACT), LocalTensor(0, (1, 1, 1, 3), f32, Layout.COMPACT)
    execute(DmaGeneral(op=DmaGeneralOp.BROADCAST, dst=dst, src=src, lane_mask=~(1 << 4) & (1 << 64) - 1), memory)
    lanes = [memory.range("lmem", lane * LANE + 8, 12).tolist() for lane in range(2, 8)]
    assert lanes == [[0] * 12, [*range(12)], [0] * 12, [*range(12)], [*range(12)], [0] * 12]


def test_static_memory_is_read() -> None:
    memory = Memory(BM1684X, 1 << 20)
    static = BM1684X.regions["static"].base
    iota = BM1684X.static_tables["iota"]
    dst = LocalTensor(0, (1, 64, 1, 1), i32)
    execute(DmaTensor(dst=dst, src=SystemTensor(static + iota.offset, (1, 64, 1, 1), i32)), memory)
    assert np.array_equal(memory.load(dst)[0, :, 0, 0], np.arange(64))
