"""Command streams: official bytes survive decoding and encoding, also when built anew from their operands; bad streams are refused."""

from __future__ import annotations

import time

import pytest

from tests.support.golden import GoldenCase, golden_cases
from tests.support.rebuild import rebuilt
from tests.support.streams import OfficialStream, official_streams
from tpukernel import BM1684, BM1684X
from tpukernel.chips.chip import CHIPS, Engine
from tpukernel.isa import Arith, DmaSys, DmaSysOp, Sys, SysOp, decode, encode
from tpukernel.isa.errors import (
    ChipSupportError,
    EndCommandError,
    EngineError,
    FieldValueError,
    TrailingBytesError,
    TruncatedStreamError,
    UnknownCommandError,
    UnsupportedCommandError,
)

ENGINES: tuple[Engine, Engine] = ("tiu", "gdma")

KNOWN_RESIDUE = {
    # tpu_gdma_set_C_system leaves two strides in the source address, which a filling command does not read.
    "dma.copy": {"src_start_addr_l32", "src_start_addr_h8"},
    # A hand-assembled end command with the flag that the library leaves clear.
    "sys.end": {"cmd_id_en"},
}


def check_round_trip(engine: Engine, data: bytes) -> None:
    instructions = decode(BM1684X, engine, data)
    again = encode(BM1684X, instructions)
    assert again[: len(data)] == data
    assert not any(again[len(data) :]), "only filling may be added"
    for instruction in instructions:
        assert set(instruction.residue) <= KNOWN_RESIDUE.get(instruction.title, set()), instruction
    assert encode(BM1684X, [rebuilt(instruction) for instruction in instructions]) == again


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case.id)
def test_golden_streams_survive(case: GoldenCase) -> None:
    assert case.tiu or case.gdma
    for engine in ENGINES:
        check_round_trip(engine, getattr(case, engine))


@pytest.mark.parametrize("stream", official_streams().values(), ids=lambda stream: stream.key)
def test_official_streams_survive(stream: OfficialStream) -> None:
    engine: Engine = "tiu" if stream.engine == "tiu" else "gdma"
    check_round_trip(engine, stream.data)
    assert len(decode(BM1684X, engine, stream.data)) == stream.commands
    assert encode(BM1684X, decode(BM1684X, engine, stream.data)) == stream.data


def test_the_golden_cases_use_every_unit_and_operation_that_is_described() -> None:
    from tpukernel.isa.tables import instruction_set

    seen = {
        (type(instruction), getattr(instruction, "op", None))
        for engine in ENGINES
        for case in golden_cases()
        for instruction in decode(BM1684X, engine, getattr(case, engine))
    }
    assert {unit for unit, _ in seen} == set(instruction_set(BM1684X).units)


def test_empty_stream() -> None:
    assert decode(BM1684X, "tiu", b"") == [] and encode(BM1684X, []) == b""


def test_chip_by_name_and_data_as_any_buffer() -> None:
    data = encode("bm1684x", [Sys(op=SysOp.NOP, id=3)])
    assert decode("BM1684X", "tiu", memoryview(data)) == decode(BM1684X, "tiu", bytearray(data)) == [Sys(op=SysOp.NOP, id=3)]


def test_end_command_is_padded_and_padding_is_dropped() -> None:
    data = encode(BM1684X, [Sys(op=SysOp.NOP, id=1), Sys(op=SysOp.END, id=2)])
    assert len(data) == 128 and not any(data[32:])
    assert [instruction.title for instruction in decode(BM1684X, "tiu", data)] == ["sys.nop", "sys.end"]


def test_nothing_may_follow_the_end() -> None:
    end = DmaSys(op=DmaSysOp.END, id=1)
    with pytest.raises(EndCommandError, match=r"dma_sys\.nop follows"):
        encode(BM1684X, [end, DmaSys(op=DmaSysOp.NOP, id=2)])
    data = bytearray(encode(BM1684X, [end]))
    data[100] = 7
    with pytest.raises(TrailingBytesError) as caught:
        decode(BM1684X, "gdma", bytes(data))
    assert (caught.value.engine, caught.value.offset) == ("gdma", 100)


def test_engines_are_kept_apart() -> None:
    with pytest.raises(EngineError, match="gdma command in a tiu stream"):
        encode(BM1684X, [Sys(op=SysOp.NOP), DmaSys(op=DmaSysOp.NOP)])
    with pytest.raises(EngineError, match="no engine 'hau'"):
        decode(BM1684X, "hau", b"")  # pyright: ignore[reportArgumentType]


def test_truncation_names_the_command() -> None:
    data = next(
        case.tiu
        for case in golden_cases()
        if decode(BM1684X, "tiu", case.tiu)[:1] and isinstance(decode(BM1684X, "tiu", case.tiu)[0], Arith)
    )
    for size in range(1, 64):
        with pytest.raises(TruncatedStreamError) as caught:
            decode(BM1684X, "tiu", data[:size])
        assert caught.value.offset == 0


@pytest.mark.parametrize(
    ("engine", "head", "error", "text"),
    [
        ("tiu", 1 | 11 << 41, UnknownCommandError, "operation code 11"),
        ("tiu", 1 | 3 << 41 | 17 << 45, UnknownCommandError, "sub-operation 17"),
        ("tiu", 3 << 41, UnsupportedCommandError, "long form of AR"),
        ("tiu", 0, UnsupportedCommandError, "no end command"),
        ("tiu", 1 | 7 << 41, UnsupportedCommandError, "LAR"),
        ("tiu", 1 | 6 << 41 | 2 << 45, UnsupportedCommandError, "SG pl_gather_rec"),
        ("gdma", 9 << 32, UnknownCommandError, "operation code 9"),
        ("gdma", 5 << 36, UnsupportedCommandError, "DMA_tensor 4bank_copy"),
        ("gdma", 1 << 3, UnsupportedCommandError, "short form of DMA_tensor"),
        ("tiu", 1 | 3 << 41 | 2 << 45 | 7 << 64, FieldValueError, "res0_prec = 7"),
        ("gdma", 7 << 40, FieldValueError, "src_data_format = 7"),
    ],
)
def test_what_cannot_be_read_is_named(engine: Engine, head: int, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        decode(BM1684X, engine, head.to_bytes(128, "little"))
    assert f"{engine} stream, offset 0" in str(caught.value)


def test_chips_without_described_instructions_are_refused() -> None:
    assert BM1684 in CHIPS.values()
    with pytest.raises(ChipSupportError, match="BM1684 are not described"):
        decode(BM1684, "tiu", b"")


@pytest.mark.parametrize("engine", ENGINES)
def test_long_streams_are_views(engine: Engine) -> None:
    """10,000 commands cost milliseconds; benchmarks/codec.py measures it. The bound here only catches a change of kind."""
    data = next(getattr(case, engine) for case in golden_cases() if len(getattr(case, engine)) in (64, 96)) * 10_000
    start = time.process_time()  # other processes do not count
    instructions = decode(BM1684X, engine, data)
    assert encode(BM1684X, instructions) == data
    assert time.process_time() - start < 2.0
    assert len(instructions) == 10_000
