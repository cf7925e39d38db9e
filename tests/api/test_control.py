"""The order of the engines in a recording, and kernels that run line by line."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.control_sequences import Outcome, numbers, replay, stored
from tpukernel import BM1684X, f16, f32
from tpukernel.api import (
    Execution,
    HostFunction,
    MissingFunction,
    executing,
    recording,
    rows,
    tpu_bdc_abs,
    tpu_bdc_cpy,
    tpu_core_index,
    tpu_core_num,
    tpu_gdma_cpy_L2S,
    tpu_gdma_cpy_S2L,
    tpu_gdma_move_max_wstride_byte_len,
    tpu_gdma_shape_limit,
    tpu_get_id_node,
    tpu_global_mem_addr,
    tpu_global_mem_get_start_addr,
    tpu_hau_sort,
    tpu_initialize,
    tpu_is_parallel_state,
    tpu_l2_sram_addr,
    tpu_l2_sram_get_start_addr,
    tpu_local_mem_addr,
    tpu_local_mem_addr_unified,
    tpu_parallel_end,
    tpu_parallel_start,
    tpu_poll,
    tpu_print_local_mem_data,
)
from tpukernel.api.errors import ArgumentError, ChipFunctionError, NotRecordingError, StaticStreamError
from tpukernel.isa import IdNode
from tpukernel.isa.errors import ParallelSectionError
from tpukernel.sim import Machine
from tpukernel.sim.checks.errors import RaceError, UninitialisedReadError

DDR = tpu_global_mem_get_start_addr()
L2 = tpu_l2_sram_get_start_addr()
SHAPE = (1, 4, 2, 2)
STORED = stored()


@pytest.mark.parametrize("outcome", STORED, ids=[" ".join(step[0] for step in each.steps)[:60] for each in STORED])
def test_a_recorded_sequence_gives_the_recorded_numbers(outcome: Outcome) -> None:
    program, refused = replay(outcome.steps)
    assert refused == outcome.refused
    if not refused:
        streams = program.streams()
        assert (numbers(streams["tiu"], "tiu"), numbers(streams["gdma"], "gdma")) == (outcome.tiu, outcome.gdma)


def test_the_recorded_sequences_reach_everything() -> None:
    steps = [step[0] for outcome in STORED for step in outcome.steps]
    assert {"tiu", "gdma", "poll", "hau_poll", "start", "end", "initialize", "check", "uncheck", "set", "set_views"} == set(steps)
    assert 10 < sum(outcome.refused for outcome in STORED) < len(STORED) / 2


def test_a_section_is_seen() -> None:
    with recording(BM1684X):
        assert not tpu_is_parallel_state()
        tpu_parallel_start()
        assert tpu_is_parallel_state()
        tpu_parallel_end()
        assert not tpu_is_parallel_state()


def test_numbers_begin_again_only_before_the_first_command() -> None:
    with recording(BM1684X):
        tpu_parallel_start()
        tpu_initialize()
        assert not tpu_is_parallel_state()
        tpu_bdc_cpy(4096, 0, SHAPE, None, None, f32)
        with pytest.raises(StaticStreamError, match="tpu_initialize after 1 commands"):
            tpu_initialize()


@pytest.mark.parametrize("name", ["tpu_poll", "tpu_hau_poll", "tpu_initialize", "tpu_parallel_start", "tpu_get_id_node"])
def test_outside_of_a_recording_there_is_nothing_to_control(name: str) -> None:
    row = rows()[name]
    assert isinstance(row, HostFunction)
    with pytest.raises(NotRecordingError, match=name):
        row()


def test_there_are_no_messages() -> None:
    messages = [row for name, row in rows().items() if name.endswith(("_msg", "_base_msg_id")) or name.startswith("tpu_sync")]
    assert len(messages) == 17
    for row in messages:
        assert isinstance(row, MissingFunction)
        with pytest.raises(ChipFunctionError, match=row.name):
            row(1, 1)
    assert (tpu_core_num(), tpu_core_index()) == (1, 0)


def test_limits_of_the_gdma() -> None:
    assert [tpu_gdma_shape_limit(dim) for dim in range(6)] == [65535] * 4 + [0, 0]
    assert tpu_gdma_move_max_wstride_byte_len() == 128


# ---------------------------------------------------------------------------- executing


def load_and_abs() -> None:
    tpu_gdma_cpy_S2L(0, DDR, SHAPE, None, None, f32)
    tpu_bdc_abs(4096, 0, SHAPE, None, None, f32)


def test_the_host_reads_results_between_commands() -> None:
    with executing() as run:
        tpu_global_mem_addr(DDR)[:64].view(np.float32)[:] = np.arange(16) - 8
        load_and_abs()
        lane = tpu_local_mem_addr(1, 4096)[:16].view(np.float32)
        assert lane.tolist() == [4, 3, 2, 1]
        assert tpu_local_mem_addr_unified(BM1684X.lane_bytes + 4096).size == BM1684X.lane_bytes - 4096
        lane[:] = 7
        tpu_gdma_cpy_L2S(L2, 4096, SHAPE, None, None, f32)
        assert len(run.program) == 1
        assert tpu_l2_sram_addr(L2)[16:32].view(np.float32).tolist() == [7] * 4
        assert len(run.program) == 0
    assert [len(program) for program in run.programs] == [2, 1]


def test_the_end_of_the_context_and_a_poll_run_what_is_left() -> None:
    machine = Machine(BM1684X)
    machine.write("ddr", 0, np.full(16, -2, np.float32))
    with executing(machine, engine="interpreter") as run:
        load_and_abs()
        assert run.machine.read("lmem", 4096, 4) == bytes(4)
        tpu_poll()
        assert np.frombuffer(machine.read("lmem", 4096, 4), np.float32) == 2
        tpu_gdma_cpy_L2S(DDR + 4096, 4096, SHAPE, None, None, f32)
    assert np.frombuffer(machine.read("ddr", 4096, 64), np.float32).tolist() == [2] * 16


def test_an_error_of_the_kernel_runs_nothing_more() -> None:
    machine = Machine(BM1684X)
    machine.write("ddr", 0, np.full(16, -2, np.float32))

    def kernel() -> None:
        with executing(machine):
            load_and_abs()
            raise KeyError

    with pytest.raises(KeyError):
        kernel()
    assert machine.read("lmem", 4096, 64) == bytes(64)


def test_the_checks_see_what_was_run_before() -> None:
    with pytest.raises(UninitialisedReadError), executing():
        tpu_bdc_abs(4096, 0, SHAPE, None, None, f32)
    with executing(check=False) as run:
        tpu_bdc_abs(4096, 0, SHAPE, None, None, f32)
    assert isinstance(run, Execution)


def test_a_section_goes_on_after_its_results_were_read() -> None:
    with executing():
        tpu_global_mem_addr(DDR)[:64] = 0
        tpu_parallel_start()
        tpu_gdma_cpy_S2L(0, DDR, SHAPE, None, None, f32)
        assert tpu_local_mem_addr(0, 0)[:4].sum() == 0
        assert tpu_is_parallel_state()
        with pytest.raises(ParallelSectionError, match="tpu_poll"):
            tpu_poll()
        tpu_parallel_end()


def test_each_piece_is_checked_before_it_runs() -> None:
    def kernel() -> None:
        with executing():
            tpu_global_mem_addr(DDR)[:64] = 0
            tpu_parallel_start()
            load_and_abs()

    with pytest.raises(RaceError):
        kernel()


def test_an_execution_can_begin_anew() -> None:
    with executing() as run:
        tpu_global_mem_addr(DDR)[:64] = 0
        load_and_abs()
        tpu_parallel_start()
        tpu_initialize()
        assert tpu_get_id_node() == IdNode()
        assert not tpu_is_parallel_state()
    assert len(run.programs) == 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("tpu_global_mem_addr", (DDR,)),
        ("tpu_l2_sram_addr", (L2,)),
        ("tpu_local_mem_addr", (0, 0)),
        ("tpu_local_mem_addr_unified", (0,)),
        ("tpu_print_local_mem_data", (0, 0, SHAPE, None, f32)),
        ("tpu_hau_sort", (DDR, DDR, 4, 4, True, f32)),
        ("tpu_hau_hard_nms", (DDR, DDR, 4, 4)),
        ("tpu_hau_soft_nms", (DDR, DDR, DDR, 0.5, 4, 4)),
        ("tpu_hau_line_gather", (DDR, DDR, DDR, 0, 4, 4, 4, 0, 3, f32, True)),
    ],
)
def test_a_recording_has_no_memory_and_no_hau(name: str, arguments: tuple[object, ...]) -> None:
    row = rows()[name]
    assert isinstance(row, HostFunction)
    with recording(BM1684X), pytest.raises(StaticStreamError, match=f"{name} in a recording.*") as caught:
        row(*arguments)
    assert "executing(machine)" in (caught.value.help or "")
    with pytest.raises(NotRecordingError):
        row(*arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("tpu_global_mem_addr", (L2,)),
        ("tpu_l2_sram_addr", (DDR,)),
        ("tpu_local_mem_addr", (64, 0)),
        ("tpu_local_mem_addr", (0, BM1684X.lane_bytes)),
        ("tpu_local_mem_addr_unified", (BM1684X.local_bytes,)),
        ("tpu_print_local_mem_data", (BM1684X.lane_bytes, 0, SHAPE, None, f32)),
    ],
)
def test_addresses_outside_of_a_memory_are_refused(name: str, arguments: tuple[object, ...]) -> None:
    row = rows()[name]
    assert isinstance(row, HostFunction)
    with executing(), pytest.raises(ArgumentError, match=name):
        row(*arguments)


def test_a_tensor_is_printed_row_by_row(capsys: pytest.CaptureFixture[str]) -> None:
    with executing():
        tpu_local_mem_addr(2, 64)[:8].view(np.float16)[:] = [1, -2.5, 3, np.inf]
        tpu_local_mem_addr(3, 64)[:8].view(np.float16)[:] = 0
        tpu_print_local_mem_data(64, 2, (1, 2, 2, 2), None, f16)
    assert capsys.readouterr().out.splitlines() == [
        "local memory, lane 2, byte 0x40: f16[1, 2, 2, 2]",
        "  (0, 0, 0): 1.0 -2.5",
        "  (0, 0, 1): 3.0 inf",
        "  (0, 1, 0): 0.0 0.0",
        "  (0, 1, 1): 0.0 0.0",
    ]


def test_the_hau_sees_what_was_emitted_before() -> None:
    with executing() as run:
        tpu_global_mem_addr(DDR)[:64].view(np.float32)[:] = np.arange(16) - 8
        load_and_abs()
        tpu_gdma_cpy_L2S(DDR + 4096, 4096, SHAPE, None, None, f32)
        tpu_hau_sort(DDR + 8192, DDR + 4096, 16, 3, True, f32)
        tpu_gdma_cpy_S2L(8192, DDR + 8192, (1, 1, 1, 3), None, None, f32)
    assert np.frombuffer(run.machine.read("lmem", 8192, 12), np.float32).tolist() == [8, 7, 7]
