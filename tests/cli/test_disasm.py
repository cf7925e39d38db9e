"""`tpukernel disasm`: text, JSON, checks, and one clear message for everything that cannot be shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.runs import DDR, DOUBLE, LOAD, Command, program, write_streams
from tests.support.golden import golden_cases
from tpukernel import BM1684X, f32
from tpukernel.chips.chip import Engine
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.cli.streams import MAX_STREAM_BYTES, StreamFileError, read_stream
from tpukernel.isa import Instruction, Program, Sys, SysOp, decode, encode


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write_streams(tmp_path, program())


def json_of(text: str) -> Any:
    """What a JSON text says; NaN and Infinity, which Python writes but JSON does not have, are refused."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


# ---- text


def test_both_engines_in_an_order_that_the_numbers_allow(tpukernel: Command, files: tuple[Path, Path]) -> None:
    run = tpukernel("disasm", "--tiu", files[0], "--gdma", files[1])
    assert run.code == 0 and run.err == ""
    load, double, *rest = run.lines
    assert load == "gdma 1 dma.copy dst f32[1,64,7,7] @0:0x0, src f32[1,64,7,7] @ddr+0x0"
    assert double == "tiu 1 <- gdma 1 arith.mul dst f32[1,64,7,7] @0:0x100, src0 f32[1,64,7,7] @0:0x0, src1 2.0"
    # The TIU's end command waits for nothing.
    assert rest == [
        "tiu 2 sys.end",
        "gdma 2 <- tiu 1 dma.copy dst f32[1,64,7,7] @ddr+0x4000 strides (12800,200,14,1), src f32[1,64,7,7] @0:0x100 strides (49,49,7,1)",
        "gdma 3 dma_sys.end",
        "# 1 tiu commands in 128 bytes, 2 gdma commands in 256 bytes; 0 MACs, 25088 bytes moved",
    ]


@pytest.mark.parametrize(("engine", "titles"), [("tiu", ["arith.mul", "sys.end"]), ("gdma", ["dma.copy", "dma.copy", "dma_sys.end"])])
def test_one_engine_alone_asks_nothing_of_the_other(
    tpukernel: Command, files: tuple[Path, Path], engine: Engine, titles: list[str]
) -> None:
    path = files[0] if engine == "tiu" else files[1]
    run = tpukernel("disasm", f"--{engine}", path)
    assert (run.code, run.err) == (0, "")
    *lines, summary = run.lines
    assert [line.split(" ")[0] for line in lines] == [engine] * len(titles)
    assert all(title in line for title, line in zip(titles, lines, strict=True))
    assert summary.startswith("# ")


def test_text_is_the_listing_of_the_program(tpukernel: Command, files: tuple[Path, Path]) -> None:
    run = tpukernel("disasm", "--tiu", files[0], "--gdma", files[1], "--chip", "bm1684x")
    assert run.out.splitlines()[:-1] == program().listing().splitlines()


def test_an_empty_stream_has_no_commands(tpukernel: Command, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert tpukernel("disasm", "--tiu", empty).lines == ["# 0 tiu commands in 0 bytes, 0 gdma commands in 0 bytes; 0 MACs, 0 bytes moved"]
    assert json_of(tpukernel("disasm", "--tiu", empty, "--json").out) == []


# ---- JSON


def test_json_says_everything(tpukernel: Command, files: tuple[Path, Path]) -> None:
    run = tpukernel("disasm", "--tiu", files[0], "--gdma", files[1], "--json")
    load, double, _, store, _ = json_of(run.out)
    shape = [1, 64, 7, 7]
    local = {"kind": "local", "dtype": "f32", "shape": shape, "layout": "eu", "strides": None}
    system = {"kind": "system", "dtype": "f32", "shape": shape}
    assert double == {
        "engine": "tiu",
        "id": 1,
        "depends": 1,
        "name": "arith.mul",
        "operands": {
            "dst": {"direction": "out", "address": 0x100, **local},
            "src0": {"direction": "in", "address": 0, **local},
            "src1": {"direction": "in", "kind": "constant", "dtype": "f32", "bits": 0x4000_0000},
        },
        "attributes": {},
        "residue": {},
    }
    assert (load["engine"], load["name"]) == ("gdma", "dma.copy")
    assert load["operands"]["src"] == {"direction": "in", "address": DDR, "strides": None, **system}
    assert load["attributes"]["lane_mask"] == (1 << 64) - 1
    assert store["operands"]["dst"] == {"direction": "out", "address": DDR + 0x4000, "strides": [12800, 200, 14, 1], **system}
    free = {**local, "layout": "free", "strides": [49, 49, 7, 1]}
    assert store["operands"]["src"] == {"direction": "in", "address": 0x100, **free}


def test_json_of_constants_that_json_cannot_say(tpukernel: Command, tmp_path: Path) -> None:
    built = Program(BM1684X)
    for value in (float("nan"), float("inf"), -float("inf")):
        built.append(DOUBLE.replace(src1=Constant.of(value, f32)))
    tiu, _ = write_streams(tmp_path, built)
    shown = [command["operands"]["src1"]["bits"] for command in json_of(tpukernel("disasm", "--tiu", tiu, "--json").out)]
    assert shown == [0x7FC0_0000, 0x7F80_0000, 0xFF80_0000]


def test_json_of_every_golden_stream_is_complete(tpukernel: Command, tmp_path: Path) -> None:
    """Whatever an instruction has is in the JSON, for every unit."""
    path = tmp_path / "stream"
    seen: set[str] = set()
    for case in golden_cases():
        for engine, data in (("tiu", case.tiu), ("gdma", case.gdma)):
            instructions = decode(BM1684X, "tiu" if engine == "tiu" else "gdma", data)
            fresh = {instruction.title for instruction in instructions} - seen
            if fresh:
                path.write_bytes(data)
                shown = json_of(tpukernel("disasm", f"--{engine}", path, "--json").out)
                assert len(shown) == len(instructions)
                for plain, instruction in zip(shown, instructions, strict=True):
                    check_complete(plain, instruction)
                seen |= fresh
    assert len(seen) > 10


def check_complete(plain: dict[str, Any], instruction: Instruction) -> None:
    assert (plain["engine"], plain["id"], plain["depends"]) == (instruction.engine, instruction.id, instruction.depends)
    assert plain["name"] == instruction.title and plain["residue"] == instruction.residue
    uses = {use.name: use for use in instruction.operands()}
    assert plain["operands"].keys() == uses.keys() and plain["attributes"].keys() == instruction.attributes().keys()
    for name, shown in plain["operands"].items():
        value = uses[name].value
        assert shown["direction"] == uses[name].direction and shown["dtype"] == value.dtype.name
        if isinstance(value, Constant):
            assert shown["bits"] == value.bits
            continue
        strides = None if value.strides is None else list(value.strides)
        assert (shown["address"], shown["shape"], shown["strides"]) == (value.address, list(value.shape), strides)
        assert shown["kind"] == ("local" if isinstance(value, LocalTensor) else "system")
        assert shown.get("layout") == (value.layout.value if isinstance(value, LocalTensor) else None)


# ---- checks


def test_check_passes_a_legal_program(tpukernel: Command, files: tuple[Path, Path]) -> None:
    arguments = ("disasm", "--tiu", files[0], "--gdma", files[1])
    assert tpukernel(*arguments, "--check").out == tpukernel(*arguments).out


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_check_names_command_operand_and_remedy(tpukernel: Command, tmp_path: Path, form: tuple[str, ...]) -> None:
    built = Program(BM1684X)
    built.extend([DOUBLE, DOUBLE.replace(dst=LocalTensor(0x104, (1, 64, 7, 7), f32))])
    tiu, _ = write_streams(tmp_path, built)
    assert tpukernel("disasm", "--tiu", tiu).code == 0, "without --check it is shown"
    message = tpukernel.fails("disasm", "--tiu", tiu, "--check", *form)
    assert "ISA121: dst of arith.mul" in message and "f32" in message and "0x104" in message
    assert "\n  at tiu command 2, offset 64\n" in message and "help: start it at 0x100 or 0x140" in message


# ---- what cannot be shown


def test_missing_file_and_folder(tpukernel: Command, tmp_path: Path) -> None:
    assert "nothing.bin" in tpukernel.fails("disasm", "--tiu", tmp_path / "nothing.bin")
    assert str(tmp_path) in tpukernel.fails("disasm", "--gdma", tmp_path)


def test_file_that_is_too_large_is_not_read(tpukernel: Command, tmp_path: Path) -> None:
    path = tmp_path / "model.bmodel"
    with path.open("wb") as file:
        file.truncate(MAX_STREAM_BYTES + 1)  # sparse: takes no room
    message = tpukernel.fails("disasm", "--tiu", path)
    assert "CLI101" in message and "model.bmodel" in message and "help:" in message


def test_limit_holds_for_files_that_do_not_tell_their_size(tmp_path: Path) -> None:
    with pytest.raises(StreamFileError, match="more than 1000 bytes"):
        read_stream(Path("/dev/zero"), limit=1000)
    exact = tmp_path / "exact"
    exact.write_bytes(bytes(1000))
    assert len(read_stream(exact, limit=1000)) == 1000


def test_broken_stream(tpukernel: Command, files: tuple[Path, Path]) -> None:
    files[0].write_bytes(files[0].read_bytes()[:40])
    message = tpukernel.fails("disasm", "--tiu", files[0])
    assert message.startswith("tpukernel: ISA101: ") and "\n  at tiu stream, offset 0 (0x0)\n  help: " in message


def test_streams_that_do_not_belong_together(tpukernel: Command, tmp_path: Path) -> None:
    tiu, gdma = write_streams(tmp_path, program())
    tiu.write_bytes(encode(BM1684X, [DOUBLE.replace(id=1, depends=9)]))
    gdma.write_bytes(encode(BM1684X, [LOAD.replace(id=1)]))
    message = tpukernel.fails("disasm", "--tiu", tiu, "--gdma", gdma)
    assert "ISA140" in message and "waits for gdma command 9, but the last gdma command is 1" in message


def test_commands_that_wait_for_each_other(tpukernel: Command, tmp_path: Path) -> None:
    tiu, gdma = tmp_path / "tiu", tmp_path / "gdma"
    tiu.write_bytes(encode(BM1684X, [Sys(op=SysOp.NOP, id=1, depends=1)]))
    gdma.write_bytes(encode(BM1684X, [LOAD.replace(id=1, depends=1)]))
    assert "ISA141" in tpukernel.fails("disasm", "--tiu", tiu, "--gdma", gdma)


@pytest.mark.parametrize(("chip", "code"), [("BM9999", "CHIP102"), ("BM1684", "ISA110")])
def test_chip_that_cannot_be_shown(tpukernel: Command, files: tuple[Path, Path], chip: str, code: str) -> None:
    assert code in tpukernel.fails("disasm", "--tiu", files[0], "--chip", chip)
