"""Costs of single commands: measured examples, bounds that hold for all, and what is refused."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from random import Random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cycles import cases_with_calls, instructions_of
from tpukernel import BM1684, BM1684X, Dtype, f16, f32, i8, i16, i32
from tpukernel.chips.chip import Engine
from tpukernel.chips.layout import aligned_strides
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.cost import COST_TABLES, Cost, CostModeError, Loss, Mode, NoCostTableError, UnknownCostError, cost_of, cost_table
from tpukernel.cost.dma import DMA_COSTS, UNMODELLED
from tpukernel.cost.tiu import TIU_COSTS
from tpukernel.errors import TpuError
from tpukernel.isa import (
    Arith,
    ArithOp,
    Conv,
    DmaMatrix,
    DmaSys,
    DmaSysOp,
    DmaTensor,
    IndexGen,
    IndexGenOp,
    Instruction,
    Pool,
    PoolOp,
    Sys,
    SysOp,
    decode,
)
from tpukernel.isa.tables import instruction_set

DDR = BM1684X.regions["ddr"].base
BANK = BM1684X.bank_bytes
CONV = Conv(
    dst=LocalTensor(0x4000, (1, 64, 4, 4), f32),
    input=LocalTensor(0, (1, 4, 6, 6), f32),
    weight=LocalTensor(0x8000, (64, 4, 3, 3), f32, Layout.WEIGHT),
    kernel=(3, 3),
)
BUILT = [instruction for case in cases_with_calls() for instruction in instructions_of(case.tiu, case.gdma)]


def load(shape: Dim4, dtype: Dtype = f32) -> DmaTensor:
    return DmaTensor(dst=LocalTensor(0, shape, dtype), src=SystemTensor(DDR, shape, dtype))


def load_matrix(channels: int, w: int) -> DmaMatrix:
    dst = LocalTensor(0, (1, channels, 1, w), f32, Layout.FREE, aligned_strides(BM1684X, (1, channels, 1, w), f32))
    return DmaMatrix(dst=dst, src=SystemTensor(DDR, (1, 1, 1, channels * w), f32, (0, 0, channels * w, 1)))


def add(shape: Dim4, dtype: Dtype = f32, *, dst: int = 4 * BANK, lane: int = 0) -> Arith:
    at = lane * BM1684X.lane_bytes
    x, y = LocalTensor(at, shape, dtype), LocalTensor(at + 2 * BANK, shape, dtype)
    return Arith(op=ArithOp.ADD, dst=LocalTensor(at + dst, shape, dtype), src0=x, src1=y)


@pytest.mark.parametrize(
    ("instruction", "cycles"),
    [
        (load((1, 64, 1, 1)), 1213),
        (load((1, 512, 1, 1)), 9706),
        (load((1, 64, 1, 8)), 1213),
        (load((1, 64, 56, 56)), 14862),
        (load_matrix(64, 1), 282),
        (load_matrix(512, 1), 2259),
        (load_matrix(64, 8), 282),
        (load_matrix(4, 64), 17),
    ],
    ids=str,
)
def test_examples_of_the_measured_study(instruction: Instruction, cycles: int) -> None:
    assert cost_of(instruction).cycles == cycles


def test_a_result_in_place_takes_twice_as_long() -> None:
    shape = (1, 64, 8, 16)
    assert cost_of(add(shape)) == Cost(cycles=8)
    assert cost_of(add(shape, dst=0)) == Cost(cycles=16, losses={Loss.SAME_BANK: 8})


def test_channels_count_in_rounds_from_lane_0_on() -> None:
    shape = (1, 64, 4, 16)
    assert [cost_of(add(shape, lane=lane)).cycles for lane in (0, 1, 63)] == [4, 8, 8]


def test_two_operands_of_free_strides_are_read_one_after_the_other() -> None:
    shape, strides = (1, 64, 4, 16), (64, 64, 16, 1)
    plain = add(shape)
    assert isinstance(plain.src0, LocalTensor) and isinstance(plain.src1, LocalTensor)
    one = plain.replace(src0=replace(plain.src0, layout=Layout.FREE, strides=strides))
    two = one.replace(src1=replace(plain.src1, layout=Layout.FREE, strides=strides))
    assert [cost_of(instruction).cycles for instruction in (plain, one, two)] == [4, 4, 8]
    assert cost_of(two).losses[Loss.TWO_STRIDED] == 4


def test_pooling_with_two_strides_takes_three_times_as_long() -> None:
    def pool(stride: tuple[int, int]) -> Pool:
        rows = tuple((20 - 3) // step + 1 for step in stride)
        dst, source = LocalTensor(0, (1, 64, *rows), f32), LocalTensor(4 * BANK, (1, 64, 20, 20), f32)  # type: ignore[arg-type]
        return Pool(op=PoolOp.MAX_POOL, dst=dst, input=source, kernel=(3, 3), stride=stride)

    assert cost_of(pool((2, 2))).losses == {Loss.STRIDED_WINDOW: 2 * 9 * 6}  # 81 results are 6 lines
    assert cost_of(pool((2, 2))).cycles == 3 * 9 * 6
    assert not cost_of(pool((2, 1))).losses


def test_hw_adds_the_start_and_nothing_else() -> None:
    for instruction in BUILT:
        peer, hw = cost_of(instruction), cost_of(instruction, mode="hw")
        assert hw == replace(peer, cycles=peer.cycles + hw.start_cycles, start_cycles=hw.start_cycles)
        assert (hw.start_cycles == 0) == isinstance(instruction, Sys | DmaSys)


def test_commands_without_data_cost_nothing() -> None:
    for instruction in (Sys(op=SysOp.NOP), Sys(op=SysOp.END), DmaSys(op=DmaSysOp.NOP), DmaSys(op=DmaSysOp.END)):
        assert cost_of(instruction, mode="hw") == Cost(cycles=0)


def test_only_the_kinds_that_the_estimator_does_not_model_are_faster_than_the_bus() -> None:
    kinds = set[type[Instruction]]()
    for instruction in BUILT:
        cost = cost_of(instruction)
        assert cost.unmodelled == (type(instruction) in UNMODELLED)
        if instruction.engine == "gdma" and not cost.unmodelled:
            assert cost.cycles >= int(cost.best_cycles)
        kinds.add(type(instruction))
    assert kinds >= UNMODELLED and len(kinds) > 20


def test_every_unit_has_a_cost_or_is_refused_by_name() -> None:
    units = set(instruction_set(BM1684X).units)
    assert units - TIU_COSTS.keys() - DMA_COSTS.keys() == {IndexGen}
    assert not TIU_COSTS.keys() & DMA_COSTS.keys() and TIU_COSTS.keys() | DMA_COSTS.keys() <= units
    table = cost_table("BM1684X")
    missing = [unit.unit for unit in units if unit.engine == "tiu" and not any(key.startswith(unit.unit) for key in table.tiu_start)]
    assert missing == ["SEG"]


def test_unknown_costs_are_errors() -> None:
    with pytest.raises(UnknownCostError, match="index.element"):
        cost_of(IndexGen(op=IndexGenOp.ELEMENT, dst=LocalTensor(0, (1, 64, 1, 16), i32)))
    with pytest.raises(NoCostTableError, match="BM1684"):
        cost_of(Sys(op=SysOp.NOP), BM1684)
    with pytest.raises(CostModeError, match="exact"):
        cost_of(Sys(op=SysOp.NOP), mode="exact")  # pyright: ignore[reportArgumentType]


def test_costs_and_tables_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        cost_of(Sys(op=SysOp.NOP)).cycles = 1  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        COST_TABLES["BM1684X"].dma_rates["S2L"] = 1.0  # type: ignore[index]


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 130), st.integers(1, 20), st.integers(1, 40))


@given(shape=SIZES, dtype=st.sampled_from([f32, f16, i8]), axis=st.integers(0, 3))
def test_more_elements_take_the_tiu_no_less_time(shape: Dim4, dtype: Dtype, axis: int) -> None:
    n, c, h, w = (size + (place == axis) for place, size in enumerate(shape))
    assert cost_of(add((n, c, h, w), dtype)).cycles >= cost_of(add(shape, dtype)).cycles


@given(shape=SIZES, dtype=st.sampled_from([f32, f16, i8]))
def test_losses_of_copies_are_what_is_above_the_rate(shape: Dim4, dtype: Dtype) -> None:
    cost = cost_of(load(shape, dtype))
    table = cost_table("BM1684X")
    ideal = cost.best_cycles / table.tensor_rate_factor
    assert cost.cycles >= int(ideal)
    assert sum(cost.losses.values()) == 0 or all(0 < lost <= cost.cycles for lost in cost.losses.values())
    if not cost.losses:
        assert cost.cycles == pytest.approx(ideal, abs=1)


def test_a_constant_costs_no_more_than_a_tensor() -> None:
    shape = (1, 64, 4, 16)
    tensor = add(shape)
    assert cost_of(tensor.replace(src1=Constant.of(1.0, f32))).cycles == cost_of(tensor).cycles


def test_huge_strides_take_no_time_to_look_at() -> None:
    shape: Dim4 = (65535, 65535, 1, 1)
    for strides in ((1, 1, 1, 1), (0, 0, 1, 1), (1, 0xFFFF_FFFF, 1, 1), (0, 1, 0xFFFF_FFFF, 1)):
        copy = DmaTensor(dst=LocalTensor(0, shape, i8), src=SystemTensor(DDR, shape, i8, strides))
        assert cost_of(copy).cycles > 0


STREAMS: list[tuple[Engine, bytes]] = [
    (cast("Engine", engine), data) for case in cases_with_calls() for engine, data in (("tiu", case.tiu), ("gdma", case.gdma)) if data
]


@given(st.sampled_from(STREAMS), st.randoms(use_true_random=False), st.sampled_from(["peer", "hw"]))
def test_damaged_commands_have_a_cost_or_a_named_error(stream: tuple[Engine, bytes], rng: Random, mode: Mode) -> None:
    engine, data = stream
    bits = int.from_bytes(data, "little")
    for _ in range(rng.randint(1, 12)):
        field = rng.randrange(0, 8 * len(data), 16)
        bits = bits & ~(0xFFFF << field) | rng.choice((0, 1, 0xFFFF, rng.getrandbits(16))) << field
    try:
        instructions = decode(BM1684X, engine, bits.to_bytes(len(data) + 2, "little")[: len(data)])
        costs = [(instruction, cost_of(instruction, mode=mode)) for instruction in instructions]
    except TpuError:
        return
    for instruction, cost in costs:
        assert cost.cycles > 0 or cost.unmodelled or isinstance(instruction, Sys | DmaSys), instruction


@pytest.mark.parametrize(
    ("instruction", "complaint"),
    [
        (load((1, 64, 0, 16)), r"shape \(1, 64, 0, 16\)"),
        (add((1, 0, 4, 16)), r"shape \(1, 0, 4, 16\)"),
        (CONV.replace(kernel=(0, 3)), "kernel|shape"),
        (CONV.replace(input=LocalTensor(0, (1, 4, 6, 6), i16), weight=LocalTensor(0x8000, (64, 4, 3, 3), i16, Layout.WEIGHT)), "i16"),
    ],
    ids=str,
)
def test_commands_that_no_chip_executes_have_no_cost(instruction: Instruction, complaint: str) -> None:
    with pytest.raises(UnknownCostError, match=complaint):
        cost_of(instruction)
