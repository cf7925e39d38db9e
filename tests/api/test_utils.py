"""The functions that calculate on the host, kernels by name, and memory of the host."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.support.host_calls import FUNCTIONS, HostCase, ours, stored
from tpukernel import BM1684X, f16, f32, i8
from tpukernel.api import (
    HostFunction,
    Range,
    executing,
    recording,
    rows,
    tpu_aligned_stride,
    tpu_any_range_overlapped,
    tpu_bdc_set_C,
    tpu_cast,
    tpu_dump_registered_kernel_funcs,
    tpu_get_id_node,
    tpu_global_mem_addr,
    tpu_global_mem_get_start_addr,
    tpu_kernel_memcpy,
    tpu_kernel_memset,
    tpu_register_kernel_func,
)
from tpukernel.api.errors import ArgumentError
from tpukernel.api.registration import kernel_functions
from tpukernel.chips.tensors import Constant
from tpukernel.isa import IdNode, Rounding

STORED = stored()


def test_recorded_calls_return_the_recorded_results() -> None:
    assert Counter(case.function for case in STORED).keys() == FUNCTIONS.keys()
    wrong = [case for case in STORED if ours(case.function, case.args) != (None if case.expected is None else tuple(case.expected))]
    assert not wrong
    assert any(case.expected is None for case in STORED)


def test_a_wrong_result_would_be_seen() -> None:
    case = next(case for case in STORED if case.function == "tpu_aligned_stride")
    changed = HostCase(case.function, case.args, [number + 1 for number in case.expected or []])
    assert ours(changed.function, changed.args) != tuple(changed.expected or ())


def test_a_converted_number_goes_into_a_call() -> None:
    half = tpu_cast(2.6, f16, f32, Rounding.HALF_EVEN)
    assert half == Constant(0x4133, f16) and half.value == 2.599609375
    assert tpu_cast(300, "i8", "i32", Rounding.HALF_EVEN) == Constant(127, i8)  # pyright: ignore[reportArgumentType]
    with recording(BM1684X) as program:
        tpu_bdc_set_C(0, half, (1, 64, 1, 32), None, f16)
    assert len(program) == 1


@pytest.mark.parametrize("name", ["tpu_aligned_stride", "tpu_compact_stride"])
def test_negative_lanes_are_refused(name: str) -> None:
    row = rows()[name]
    assert isinstance(row, HostFunction)
    with pytest.raises(ArgumentError, match="start_idx is -1"):
        row(-1, (1, 3, 4, 5), f32) if name == "tpu_aligned_stride" else row(-1, (1, 3, 4, 5))


def test_arguments_of_other_types_are_refused() -> None:
    with pytest.raises(ArgumentError, match="shape"):
        tpu_aligned_stride(0, (1, 3, 4), f32)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="ranges"):
        tpu_any_range_overlapped([1, 2], 2)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="num is 3 of 2 ranges"):
        tpu_any_range_overlapped([Range(0, 1), Range(1, 2)], 3)
    row = rows()["tpu_set_id_node"]
    assert isinstance(row, HostFunction)
    with pytest.raises(ArgumentError, match="node"):
        row((1, 1))


def test_id_nodes_are_what_was_emitted() -> None:
    with recording(BM1684X):
        tpu_bdc_set_C(0, 1, (1, 64, 1, 32), None, f16)
        assert tpu_get_id_node() == IdNode(tiu=1, gdma=0)


# ---------------------------------------------------------------------------- kernels by name


def one() -> None: ...


def two() -> None: ...


def test_kernels_are_known_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    tpu_register_kernel_func("test_utils_one", one)
    tpu_register_kernel_func("test_utils_two", two)
    tpu_register_kernel_func("test_utils_one", one)
    assert kernel_functions()["test_utils_one"] is one
    with pytest.raises(ArgumentError, match="another kernel function 'test_utils_one'"):
        tpu_register_kernel_func("test_utils_one", two)
    tpu_dump_registered_kernel_funcs()
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == list(kernel_functions())
    assert lines[0].startswith("TPUKernel function 0: ")
    for wrong in (("", one), ("three", 3)):
        with pytest.raises(ArgumentError):
            tpu_register_kernel_func(*wrong)  # pyright: ignore[reportArgumentType]


# ---------------------------------------------------------------------------- memory of the host


def test_host_memory_is_copied_and_set() -> None:
    target = np.zeros(4, np.float32)
    assert bytes(tpu_kernel_memcpy(target, np.array([1, 2, 3], np.float32), 12)) == target.tobytes()
    assert target.tolist() == [1, 2, 3, 0]
    buffer = bytearray(b"abcdef")
    tpu_kernel_memcpy(memoryview(buffer)[2:], buffer, 4)  # overlapping
    assert buffer == b"ababcd"
    tpu_kernel_memset(buffer, 0x141, 3)
    assert buffer == b"AAAbcd"


def test_the_chips_memory_is_host_memory_in_an_execution() -> None:
    ddr = tpu_global_mem_get_start_addr()
    with executing() as run:
        tpu_kernel_memset(tpu_global_mem_addr(ddr), -1, 4)
        tpu_kernel_memcpy(tpu_global_mem_addr(ddr + 4), b"abc", 3)
    assert run.machine.read("ddr", 0, 8) == b"\xff\xff\xff\xffabc\0"


@pytest.mark.parametrize(
    ("target", "source", "count", "complaint"),
    [
        (bytearray(4), bytes(8), 5, "dst has 4 bytes"),
        (bytearray(8), bytes(4), 5, "src has 4 bytes"),
        (bytes(8), bytes(4), 4, "dst is"),
        (np.zeros((4, 4), np.uint8)[:, :2], bytes(8), 4, "dst is"),
        (bytearray(8), [1, 2, 3], 3, "src is"),
        (bytearray(8), bytes(8), -1, "n is -1"),
    ],
)
def test_memory_that_is_too_small_or_has_gaps_is_refused(target: object, source: object, count: int, complaint: str) -> None:
    with pytest.raises(ArgumentError, match=complaint):
        tpu_kernel_memcpy(target, source, count)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["tpu_flush_cache", "tpu_invalidate_cache"])
def test_caches_have_lines(name: str) -> None:
    row = rows()[name]
    assert isinstance(row, HostFunction)
    row(64, 128)
    for address, size in ((1, 64), (64, 1)):
        with pytest.raises(ArgumentError, match="both must be multiples of 64"):
            row(address, size)
