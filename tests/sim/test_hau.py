"""Sorting, non-maximum suppression and gathering of lines on the HAU: recorded cases, and what they mean."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tests.support.hau_cases import Case, ours, stored
from tpukernel import BM1684X, f16, f32, i32, u32
from tpukernel.chips.tensors import Constant
from tpukernel.dtypes import Dtype, i16
from tpukernel.sim import hau
from tpukernel.sim.errors import HauError, MemoryRangeError
from tpukernel.sim.memory import Memory

STORED = stored()
DDR = BM1684X.regions["ddr"].base
RESULT, INDEX, SOURCE, GIVEN = (DDR + each for each in (0x0, 0x10000, 0x20000, 0x30000))
DTYPES: dict[str, Dtype] = {"float32": f32, "int32": i32, "uint32": u32}


@pytest.mark.parametrize("case", STORED, ids=[f"{number}-{case.function}" for number, case in enumerate(STORED)])
def test_recorded_work_leaves_the_recorded_memory(case: Case) -> None:
    outputs, refused = ours(case)
    assert refused == case.refused
    assert refused or outputs == list(case.expected)


def test_the_recorded_cases_reach_everything() -> None:
    functions = Counter(case.function for case in STORED)
    assert len(functions) == 7 and min(functions.values()) >= 5
    assert 3 < sum(case.refused for case in STORED) < len(STORED) / 4


def memory_with(offset: int, values: NDArray[np.generic]) -> Memory:
    memory = Memory(BM1684X, 1 << 20)
    memory.write_bytes("ddr", offset - DDR, np.ascontiguousarray(values).reshape(-1).view(np.uint8))
    return memory


def read(memory: Memory, address: int, count: int, dtype: str) -> NDArray[np.generic]:
    return memory.read_bytes("ddr", address - DDR, 4 * count).view(dtype)


def numbers() -> st.SearchStrategy[NDArray[np.generic]]:
    small = st.integers(0, 5)
    return st.sampled_from(sorted(DTYPES)).flatmap(lambda name: arrays.arrays(name, st.integers(1, 40), elements=small))


@given(numbers(), st.data())
def test_ordinary_numbers_are_sorted_and_equal_ones_keep_their_order(values: NDArray[np.generic], data: st.DataObject) -> None:
    descending, k = data.draw(st.booleans()), data.draw(st.integers(1, values.size))
    memory, dtype = memory_with(SOURCE, values), DTYPES[values.dtype.name]
    order = np.argsort(-values.astype(np.int64) if descending else values, kind="stable")[:k]
    hau.sort_with_index(memory, RESULT, INDEX, SOURCE, None, values.size, k, descending=descending, dtype=dtype)
    assert read(memory, RESULT, k, values.dtype.name).tolist() == values[order].tolist()
    assert read(memory, INDEX, k, "int32").tolist() == order.tolist()
    hau.sort(memory, INDEX, SOURCE, values.size, k, descending=descending, dtype=dtype)
    assert read(memory, INDEX, k, values.dtype.name).tolist() == values[order].tolist()


@given(arrays.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32)), st.booleans(), st.booleans())
def test_any_floats_are_permuted(values: NDArray[np.float32], descending: bool, indexed: bool) -> None:
    memory = memory_with(SOURCE, values)
    if indexed:
        hau.sort_with_index(memory, RESULT, INDEX, SOURCE, None, values.size, values.size, descending=descending, dtype=f32)
        index = read(memory, INDEX, values.size, "int32")
        assert sorted(index.tolist()) == list(range(values.size))
        assert values.view(np.uint32)[index.tolist()].tolist() == read(memory, RESULT, values.size, "uint32").tolist()
    else:
        hau.sort(memory, RESULT, SOURCE, values.size, values.size, descending=descending, dtype=f32)
        assert sorted(read(memory, RESULT, values.size, "uint32").tolist()) == sorted(values.view(np.uint32).tolist())


def test_results_count_as_written_and_nothing_else_changes() -> None:
    memory = memory_with(SOURCE, np.arange(8, dtype=np.float32))
    hau.sort(memory, RESULT, SOURCE, 8, 3, descending=True, dtype=f32)
    assert read(memory, RESULT, 4, "float32").tolist() == [7, 6, 5, 0]


def test_work_may_lie_in_any_memory() -> None:
    memory = Memory(BM1684X, 1 << 20)
    lane, l2 = BM1684X.regions["lmem"].base, BM1684X.regions["l2"].base
    memory.write_bytes("lmem", 0, np.array([3, 1, 2], np.int32).view(np.uint8))
    hau.sort(memory, l2 + 64, lane, 3, 3, descending=False, dtype=i32)
    assert memory.read_bytes("l2", 64, 12).view(np.int32).tolist() == [1, 2, 3]


def overlap(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return common / (area[:, None] + area[None, :] - common)


def test_boxes_that_overlap_a_better_one_are_dropped() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [21, 20, 31, 30], [0, 0, 9, 10], [50, 50, 60, 60]], np.float64)
    may_stay = (overlap(boxes) < 0.5).astype(np.uint8)
    memory = memory_with(SOURCE, may_stay)
    hau.hard_nms(memory, RESULT, SOURCE, len(boxes), 0)
    assert memory.read_bytes("ddr", 0, 1)[0] == 0b100101
    hau.hard_nms(memory, RESULT, SOURCE, len(boxes), 2)
    assert memory.read_bytes("ddr", 0, 1)[0] == 0b000101


def test_scores_decay_under_a_better_box() -> None:
    decay = np.array([[1, 0.1, 1], [0.1, 1, 1], [1, 1, 1]], np.float32)
    memory = memory_with(SOURCE, decay)
    memory.write_bytes("ddr", GIVEN - DDR, np.array([0.9, 0.8, 0.3], np.float32).view(np.uint8))
    for threshold, kept in ((0.2, 0b101), (0.05, 0b111), (0.5, 0b001)):
        hau.soft_nms(memory, RESULT, SOURCE, GIVEN, threshold, 3, 0)
        assert memory.read_bytes("ddr", 0, 1)[0] == kept
    assert read(memory, GIVEN, 3, "float32").tolist() == np.array([0.9, 0.8, 0.3], np.float32).tolist()


def gather(memory: Memory, fill: Constant, *, start: int = 0, end: int = 3, fill_const: bool = True, table: int = SOURCE) -> None:
    hau.gather_lines(memory, RESULT, table, GIVEN, fill, lines=4, length=2, count=3, start=start, end=end, fill_const=fill_const)


def test_lines_are_gathered_and_others_filled() -> None:
    memory = memory_with(SOURCE, np.arange(8, dtype=np.float16))
    memory.write_bytes("ddr", GIVEN - DDR, np.array([2, 9, 1], np.int32).view(np.uint8))
    gather(memory, Constant.of(-1, f16))
    assert memory.read_bytes("ddr", 0, 12).view(np.float16).tolist() == [4, 5, -1, -1, 2, 3]
    gather(memory, Constant.of(-1, f16), start=2, fill_const=False)
    assert memory.read_bytes("ddr", 0, 12).view(np.float16).tolist() == [0, 1, -1, -1, 2, 3]


def test_what_the_unit_cannot_do_is_refused() -> None:
    memory = memory_with(SOURCE, np.arange(8, dtype=np.float32))
    with pytest.raises(HauError, match="f16 cannot be sorted"):
        hau.sort(memory, RESULT, SOURCE, 8, 8, descending=True, dtype=f16)
    for k in (0, 9, -1):
        with pytest.raises(HauError, match=f"the first {k} of 8"):
            hau.sort(memory, RESULT, SOURCE, 8, k, descending=True, dtype=f32)
    with pytest.raises(HauError, match="multiple of 4"):
        hau.sort(memory, RESULT, SOURCE + 2, 4, 4, descending=True, dtype=f32)
    with pytest.raises(HauError, match="boxes were asked for"):
        hau.hard_nms(memory, RESULT, SOURCE, 0, 0)
    with pytest.raises(HauError, match="multiple of 64"):
        gather(memory, Constant.of(0, f16), table=SOURCE + 4)
    with pytest.raises(HauError, match="is no i16"):
        gather(memory, Constant(0x18000, i16))
    with pytest.raises(HauError, match="are not a range"):
        gather(memory, Constant.of(0, f16), end=4)
    with pytest.raises(MemoryRangeError):
        hau.hard_nms(memory, RESULT, SOURCE, 5000, 0)
