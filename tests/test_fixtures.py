"""The recorded fixtures themselves: complete, consistent, and readable without trust in their content."""

from __future__ import annotations

import struct

import pytest

from tests.support.bmodel_streams import BadModelError, command_groups
from tests.support.commands import split
from tests.support.golden import ENGINES, SPACES, golden_case, golden_cases, static_memory
from tests.support.streams import official_streams

LMEM_BYTES = 64 * 256 * 1024


def test_every_golden_case_is_present_once_and_has_instructions() -> None:
    cases = golden_cases()
    assert len(cases) == len({case.id for case in cases}) == 195
    for case in cases:
        assert case.tiu or case.gdma, case.id
        assert len(case.tiu) % 16 == 0, case.id
        assert {instruction.engine for instruction in case.instructions} == {engine for engine in ENGINES if getattr(case, engine)}


def test_golden_memory_runs_are_ordered_and_inside_their_space() -> None:
    for case in golden_cases():
        for image in (case.initial, case.expected):
            assert set(image) == set(SPACES)
            for space, runs in image.items():
                stop = 0
                for run in runs:
                    assert run.offset >= stop and run.data.size, (case.id, space)
                    stop = run.offset + run.data.size
                assert space != "lmem" or stop <= LMEM_BYTES


def test_golden_cases_change_memory_unless_they_are_system_commands() -> None:
    unchanged = {case.function for case in golden_cases() if not any(case.expected.values())}
    assert unchanged == {"raw_SYSID30", "raw_SYSID2", "raw_SYSID31"}


def test_first_golden_command_has_id_one() -> None:
    for case in golden_cases():
        if case.tiu:
            assert struct.unpack_from("<Q", case.tiu)[0] >> 1 & 0xFFFFF == 1, case.id
        if case.gdma:
            assert struct.unpack_from("<I", case.gdma)[0] >> 9 & 0xFFFFF == 1, case.id


def test_golden_case_is_found_by_its_number() -> None:
    assert golden_case("x84_000").function == "tpu_bdc_fp_hswish"
    with pytest.raises(KeyError):
        golden_case("x84_999")


def test_static_memory_is_complete() -> None:
    assert static_memory().shape == (16384,) and static_memory().any()


def test_official_streams_are_padded_and_come_in_pairs() -> None:
    streams = official_streams()
    assert len(streams) >= 70
    for key, stream in streams.items():
        assert stream.engine in ENGINES and key.endswith(stream.engine)
        assert len(stream.data) % 128 == 0 and stream.commands >= 1
        assert key.removesuffix(stream.engine) + {"tiu": "gdma", "gdma": "tiu"}[stream.engine] in streams


def test_official_streams_contain_as_many_commands_as_their_files_state() -> None:
    for stream in official_streams().values():
        commands = list(split(stream.engine, stream.data))
        assert len(commands) == stream.commands
        assert commands[-1].name in ("SYS", "DMA_sys")


def test_golden_streams_contain_the_listed_instructions() -> None:
    for case in golden_cases():
        commands = [command.name for engine in ENGINES for command in split(engine, getattr(case, engine))]
        listed = [instruction.name for instruction in case.instructions if instruction.fields.get("cmd_id")]
        assert len(commands) == len(listed), case.id


@pytest.mark.parametrize("data", [b"", b"\0" * 64, struct.pack("<IIIQ", 0xFF55AAEE, 64, 1 << 30, 0).ljust(64, b"\0")])
def test_a_file_that_is_no_bmodel_is_refused(data: bytes) -> None:
    with pytest.raises(BadModelError):
        command_groups(data)
