"""The command `tpu_model`: the texts of the official tool, files, and one line for everything that goes wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bmlang.bmodel import Binary, BModel, load, new_bmodel, sha256
from bmlang.bmodel.schema import Cascade, Net, NetParameter, Shape, Tensor
from bmlang.cli.tpu_model import OPERATIONS, main
from tests.cli.runs import Run
from tests.support.bmodels import (
    ADD,
    ADD_DYNAMIC,
    ADD_STAGES,
    CONV,
    HANDMADE,
    MATMUL,
    RELOC,
    TOPK,
    TOPK_BM1684,
    fixture,
    model_bytes,
    recorded,
    write_fixture,
)

ROOT = Path(__file__).resolve().parents[2]


class TpuModel:
    """The command, called in this process and in a folder of its own."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capsys, self.folder = capsys, folder

    def __call__(self, *arguments: str | Path) -> Run:
        code = main([str(argument) for argument in arguments])
        out, err = self.capsys.readouterr()
        return Run(code, out, err)

    def succeeds(self, *arguments: str | Path) -> str:
        run = self(*arguments)
        assert (run.code, run.err) == (0, "")
        return run.out

    def fails(self, *arguments: str | Path) -> str:
        """The one line of a run that fails."""
        run = self(*arguments)
        assert run.code == 1
        assert run.err.startswith("tpu_model: ") and run.err.count("\n") == 1, run.err
        return run.err

    def file(self, name: str, file: str) -> Path:
        return write_fixture(name, self.folder, file)


@pytest.fixture
def tpu_model(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TpuModel:
    monkeypatch.chdir(tmp_path)
    return TpuModel(capsys, tmp_path)


# ------------------------------------------------------------------ showing


@pytest.mark.parametrize(("name", "text"), recorded("info").items())
def test_info_is_the_official_text(tpu_model: TpuModel, name: str, text: str) -> None:
    assert tpu_model.succeeds("--info", tpu_model.file(name, "a.bmodel")) == text


@pytest.mark.parametrize(("name", "text"), recorded("print").items())
def test_print_is_the_official_text(tpu_model: TpuModel, name: str, text: str) -> None:
    assert tpu_model.succeeds("--print", tpu_model.file(name, "a.bmodel")) == text


def test_info_in_the_older_wording(tpu_model: TpuModel) -> None:
    """The words, and the numbers of an older tool, which counts a buffer for inputs and outputs on every chip."""
    assert tpu_model.succeeds("--info", tpu_model.file(TOPK, "a.bmodel"), "--legacy").splitlines() == [
        "bmodel version: B.2.2+v1.30.2-20260831",
        "chip: BM1684X",
        "create time: Sat Nov 21 18:48:00 2026",
        "",
        "==========================================",
        "net 0: [convtopk]  static",
        "------------",
        "stage 0:",
        "subnet number: 2",
        "input: x, [1, 3, 8, 8], float32, scale: 1",
        "output: v_TopK, [1, 5], float32, scale: 1",
        "output: i_TopK, [1, 5], int32, scale: 1",
        "",
        "device mem size: 30684 (coeff: 4096, instruct: 1244, runtime: 25344)",
        "host mem size: 0 (coeff: 0, runtime: 0)",
    ]


def test_info_of_modules_in_the_older_wording(tpu_model: TpuModel) -> None:
    path = tpu_model.file(ADD, "a.bmodel")
    Path("kernel.so").write_bytes(b"module")
    tpu_model.succeeds("--kernel_update", path, "kernel.so")
    out = tpu_model.succeeds("--info", path, "--legacy")
    assert "kernel_module name: kernel.so\nkernel_module size: 6\nkernel_module md5: 22884db148f0ffb0d830ba431102b0b5\n" in out
    assert "cpuop_module" not in out


def cascade_file(path: Path) -> Path:
    conv = fixture(CONV).model.net[0]
    (stage,) = conv.stages
    second = replace(
        stage,
        input_tensor=(
            replace(stage.input_tensor[0], name="inner", hidden=0),
            replace(stage.input_tensor[0], name="late", hidden=3, index=5),
        ),
        output_tensor=(
            replace(stage.output_tensor[0], hidden=4, index=2),
            replace(stage.output_tensor[0], name="early", hidden=1, scale=0.1),
        ),
    )
    nets = (
        replace(conv, name="a_0", cascade=Cascade(device_id=0, main_name="a")),
        replace(conv, name="a_1", cascade=Cascade(device_id=1, main_name="a"), parameter=(second,)),
        replace(conv, name="plain", addr_mode=3),
        replace(conv, name="alone", cascade=Cascade(device_id=3, main_name="")),
    )
    BModel(replace(fixture(CONV).model, net=nets, device_num=2)).save(path)
    return path


SHAPE = "[1, 16, 16, 16], float32"


def test_info_of_nets_on_several_devices(tpu_model: TpuModel) -> None:
    path = cascade_file(tpu_model.folder / "cascade.bmodel")
    lines = tpu_model.succeeds("--info", path).splitlines()
    assert lines[1] == "chip: BM1684X,  device num: 2"
    assert [line for line in lines if line.startswith("net")] == [
        "net 2: [plain]  static",
        "net 3: [alone]  static",
        "net: [a]  cascade",
    ]
    assert "addr mode: 3" in lines and "device id: 3" in lines
    start = lines.index("net: [a]  cascade")
    assert lines[start + 1 : start + 6] == [
        f"input: devid(0) x, {SHAPE}, scale: 1, zero_point: 0",
        f"input: devid(1) early, {SHAPE}, scale: 0.1, zero_point: 0",
        f"input: devid(1) late, {SHAPE}, scale: 1, zero_point: 0",
        f"output: devid(0) y, {SHAPE}, scale: 1, zero_point: 0",
        f"output: devid(1) y, {SHAPE}, scale: 1, zero_point: 0",
    ]
    assert "net 0: [a_0]  static" in tpu_model.succeeds("--info", path, "--all")


def test_info_and_print_as_json(tpu_model: TpuModel) -> None:
    path = tpu_model.file(ADD_DYNAMIC, "a.bmodel")
    info = json.loads(tpu_model.succeeds("--info", path, "--json"))
    assert (info["chip"], info["aligned"], info["memory"]["instruct"]) == ("BM1684X", True, 832)
    (net,) = info["nets"]
    assert net["dynamic"] and net["stages"][0]["inputs"][0] == {
        "name": "x",
        "shapes": [[1, 4, 8, 8]],
        "dtype": "float32",
        "scale": 1.0,
        "zero_point": 0,
    }
    printed = json.loads(tpu_model.succeeds("--print", path, "--json"))
    assert printed["net"][0]["parameter"][0]["sub_net"][0]["ir_len"] == 208
    assert printed["net"][0]["parameter"][0]["input_tensor"][0]["shape"] == [{"dim": [1, 4, 8, 8]}]


def test_texts_of_a_file_cannot_command_the_terminal(tpu_model: TpuModel) -> None:
    name = b"\x1b[2Jna\xffme\n".decode("utf-8", "surrogateescape") + "\u00e4\x9b"
    tensor = Tensor(name="x", shape=(Shape(dim=()),), scale=float("inf"))
    net = Net(name=name, parameter=(NetParameter(input_tensor=(tensor,), output_tensor=()),))
    new_bmodel("BM1684X", [net]).save("evil.bmodel")
    out = tpu_model.succeeds("--info", "evil.bmodel")
    assert "net 0: [\\x1b[2Jna\\xffme\\x0a\u00e4\\x9b]  static" in out and "input: x, [ ], float32, scale: inf" in out
    assert '"\\u001B[2Jna\\xFFme\\n\\u00E4\\u009B"' in tpu_model.succeeds("--print", "evil.bmodel")
    assert json.loads(tpu_model.succeeds("--info", "evil.bmodel", "--json"))["nets"][0]["stages"][0]["inputs"][0]["scale"] == "inf"


def test_weights_and_chip(tpu_model: TpuModel) -> None:
    tpu_model.succeeds("--combine", tpu_model.file(ADD, "a"), tpu_model.file(CONV, "c"), tpu_model.file(MATMUL, "m"), "-o", "nets.bmodel")
    assert tpu_model.succeeds("--weight", "nets.bmodel") == (
        'net 1 : "conv_relu_f32", stage:0\n-------------------------------\n'
        "tpu.Conv2D.weight : [0x0, 0x3000)\ntpu.Conv2D.bias : [0x3000, 0x4000)\n==========================================\n"
        'net 2 : "matmul_f32", stage:0\n-------------------------------\n'
        "tpu.MatMul.weight : [0x0, 0x2000)\ntpu.MatMul.bias : [0x2000, 0x3000)\n==========================================\n"
    )
    assert tpu_model.succeeds("--weight", "a") == ""
    assert tpu_model.succeeds("--chip", "a") == "BM1684X"
    assert tpu_model.succeeds("--chip", tpu_model.file(TOPK_BM1684, "t")) == "BM1684"


# ------------------------------------------------------------------ combine, extract, dump


def test_combine_and_extract(tpu_model: TpuModel) -> None:
    stages = tpu_model.file(ADD_STAGES, "stages.bmodel")
    assert tpu_model.succeeds("--extract", stages) == (
        "Generate file [bm_net0_stage0.bmodel] ......\nGenerate file [bm_net0_stage1.bmodel] ......\n"
        "Generate file [bm_net0_stage2.bmodel] ......\nSuccess: all files have been generated!\n"
    )
    parts = [f"bm_net0_stage{k}.bmodel" for k in range(3)]
    assert tpu_model.succeeds("--combine", *parts) == "Success: combined to [compilation.bmodel].\n"
    assert load("compilation.bmodel").model.net == fixture(ADD_STAGES).model.net
    assert tpu_model.succeeds("--combine", *parts[:2], "-o", "two.bmodel") == "Success: combined to [two.bmodel].\n"
    tpu_model.succeeds("--extract", "two.bmodel", "-o", "folder")
    assert sorted(path.name for path in Path("folder").iterdir()) == parts[:2]


def test_combine_notes_what_it_leaves_out(tpu_model: TpuModel) -> None:
    for name, file in ((ADD, "a.bmodel"), (CONV, "c.bmodel")):
        tpu_model.file(name, file)
        Path("kernel.so").write_bytes(file.encode())
        tpu_model.succeeds("--kernel_update", file, "kernel.so")
    run = tpu_model("--combine", "a.bmodel", "c.bmodel")
    assert (
        run.code == 0
        and run.err == "tpu_model: note: the kernel_module of c.bmodel is another one; that of a.bmodel is used for all nets\n"
    )


def test_combine_coeff(tpu_model: TpuModel) -> None:
    out = tpu_model.succeeds("--combine_coeff", tpu_model.file(CONV, "c"), tpu_model.file(MATMUL, "m"), "-o", "cc.bmodel")
    assert out == "Success: combined to [cc.bmodel].\n"
    assert load("cc.bmodel").model.bmodel_type == 1
    assert tpu_model.succeeds("verify", "cc.bmodel") == "cc.bmodel: no findings\n"


def test_combine_dir(tpu_model: TpuModel) -> None:
    for folder, name in (("d1", CONV), ("d2", ADD)):
        Path(folder).mkdir()
        write_fixture(name, Path(folder), "compilation.bmodel")
        sizes = {"d1": (16384, 16384), "d2": (2048, 1024)}[folder]
        for file, size in zip(("input_ref_data.dat", "output_ref_data.dat"), sizes, strict=True):
            (Path(folder) / file).write_bytes(folder.encode() * (size // 2))
    assert tpu_model.succeeds("--combine_dir", "d1", "d2", "-o", "dd") == "Success: combined to [dd/compilation.bmodel].\n"
    assert Path("dd/input_ref_data.dat").read_bytes() == b"d1" * 8192 + b"d2" * 1024
    assert [net.name for net in load("dd/compilation.bmodel").model.net] == ["conv_relu_f32", "add_f32"]
    tpu_model.succeeds("--combine_dir", "d1")
    assert Path("bm_combined/output_ref_data.dat").read_bytes() == b"d1" * 8192


def test_dump(tpu_model: TpuModel) -> None:
    path = tpu_model.file(CONV, "conv.bmodel")
    assert tpu_model.succeeds("--dump", path, "0", "0x100", "dump.bin") == "save file[dump.bin] success\n"
    assert Path("dump.bin").read_bytes() == model_bytes()[CONV][4096 : 4096 + 256]
    for start, size, text in (
        ("0", "0", "size 0x0"),
        ("0", "99999999", "size 0x5f5e0ff"),
        ("0x", "1", "no number"),
        ("1", "12a", "no number"),
    ):
        assert text in tpu_model.fails("--dump", path, start, size, "other.bin")
    assert not Path("other.bin").exists()


# ------------------------------------------------------------------ changes


def test_kernel_module(tpu_model: TpuModel) -> None:
    path = tpu_model.file(CONV, "conv.bmodel")
    (tpu_model.folder / "sub").mkdir()
    Path("sub/mini_kernel.so").write_bytes(b"\x7fELF" * 1000)
    assert tpu_model.succeeds("--kernel_update", path, "sub/mini_kernel.so") == "Success: update to [sub/mini_kernel.so].\n"
    info = tpu_model.succeeds("--info", path)
    assert "kernel_module name: mini_kernel.so\nkernel_module size: 4000\nkernel mode: normal\n" in info
    assert tpu_model.succeeds("--kernel_dump", path, "-o", "k.so") == "Success: dump kernel_module to [k.so].\n"
    assert Path("k.so").read_bytes() == b"\x7fELF" * 1000
    assert tpu_model.succeeds("--kernel_dump", path) == "Success: dump kernel_module to [mini_kernel.so].\n"
    assert Path("mini_kernel.so").exists()
    assert tpu_model.succeeds("--kernel_remove", path, "-o", "bare.bmodel") == "Success remove kernel module.\n"
    assert "kernel_module size: 4000" in tpu_model.succeeds("--info", path), "with -o the file itself stays"
    assert "BMODEL127" in tpu_model.fails("--kernel_dump", "bare.bmodel", "-o", "none.so")
    assert "BMODEL127" in tpu_model.fails("--kernel_remove", "bare.bmodel")
    assert "nope.so" in tpu_model.fails("--kernel_update", path, "nope.so")


def test_a_module_name_cannot_lead_elsewhere(tpu_model: TpuModel) -> None:
    path = tpu_model.file(CONV, "conv.bmodel")
    module = fixture(CONV).model.kernel_module
    assert module is not None
    evil = replace(module, file_name="../../escaped.so", binary=Binary(b"module"))
    BModel(replace(fixture(CONV).model, kernel_module=evil)).save(path)
    assert tpu_model.succeeds("--kernel_dump", path) == "Success: dump kernel_module to [escaped.so].\n"
    assert Path("escaped.so").read_bytes() == b"module"


def test_library_of_host_operators(tpu_model: TpuModel) -> None:
    path = tpu_model.file(CONV, "conv.bmodel")
    Path("libcpuop.so").write_bytes(b"ops")
    assert tpu_model.succeeds("--custom_ap_update", path, "libcpuop.so") == "Success: update to [libcpuop.so].\n"
    module = load(path).model.cpuop_module
    assert module is not None and (module.file_name, bytes(module.binary.data)) == ("libcpuop.so", b"ops")


def test_update_weight(tpu_model: TpuModel) -> None:
    target, source = tpu_model.file(CONV, "a.bmodel"), tpu_model.folder / "b.bmodel"
    data = bytearray(model_bytes()[CONV])
    data[4096:8192] = bytes(4096)
    source.write_bytes(data)
    net = "conv_relu_f32"
    assert tpu_model.succeeds("--update_weight", "a.bmodel", net, "0", "b.bmodel", net, "0x0") == (
        "read dst model:a.bmodel ...\nread src model:b.bmodel ...\nupdate weight ...\nupdate success\n"
    )
    coeff = load(target).model.net[0].stages[0].coeff_mem
    assert coeff is not None and coeff.binary_coeff is not None and coeff.check_code == sha256(coeff.binary_coeff.data)
    assert not any(coeff.binary_coeff.data[:4096])
    assert "no net 'nonet'" in tpu_model.fails("--update_weight", "a.bmodel", "nonet", "0", "b.bmodel", net, "0")
    assert "takes MODEL NET OFFSET" in tpu_model.fails("--update_weight", "a.bmodel")


def test_refresh(tpu_model: TpuModel) -> None:
    path = tpu_model.file(HANDMADE, "h.bmodel")
    assert tpu_model.succeeds("--refresh", path, "-o", "fresh.bmodel") == f"Success: refreshed [{path}].\n"
    assert path.read_bytes() == model_bytes()[HANDMADE]
    assert "bmodel is 4k aligned" in tpu_model.succeeds("--info", "fresh.bmodel")
    tpu_model.succeeds("--refresh", "fresh.bmodel")
    assert load("fresh.bmodel").model.net == fixture(HANDMADE).model.net


# ------------------------------------------------------------------ verify, diff


def test_verify(tpu_model: TpuModel) -> None:
    sound, stale = tpu_model.file(CONV, "sound.bmodel"), tpu_model.file(RELOC, "stale.bmodel")
    assert tpu_model.succeeds("verify", sound).endswith("sound.bmodel: no findings\n")
    run = tpu_model("--verify", stale)
    assert run.code == 1 and run.err == ""
    assert run.out.splitlines()[0].startswith("BMODEL140: -1713272240 means nothing")
    assert run.out.splitlines()[-2].startswith("note: net 'tiny': addresses are not checked")
    assert run.out.endswith("stale.bmodel: 1 finding\n")
    report = json.loads(tpu_model("verify", stale, "--json").out)
    assert [finding["code"] for finding in report["findings"]] == ["BMODEL140"] and len(report["notes"]) == 1


def test_diff(tpu_model: TpuModel) -> None:
    first, second = tpu_model.file(CONV, "a.bmodel"), tpu_model.file(CONV, "b.bmodel")
    assert tpu_model.succeeds("diff", first, second) == ""
    BModel(replace(fixture(CONV).model, chip="BM1684")).save(second)
    run = tpu_model("diff", first, second)
    assert (run.code, run.out, run.err) == (1, "chip: 'BM1684X' -> 'BM1684'\n", "")


# ------------------------------------------------------------------ what goes wrong


def test_usage_names_every_operation(tpu_model: TpuModel) -> None:
    text = tpu_model.succeeds("--help")
    assert all(operation.names[0] in text for operation in OPERATIONS)
    assert re.fullmatch(r"tpu_model \d+\.\d+.*\n", tpu_model.succeeds("--version"))


@pytest.mark.parametrize("operation", [operation.names[0] for operation in OPERATIONS])
def test_missing_arguments_and_files(tpu_model: TpuModel, operation: str) -> None:
    assert "takes" in tpu_model.fails(operation)
    wanted = next(one for one in OPERATIONS if operation in one.names)
    assert "nothing.bmodel" in tpu_model.fails(operation, *["nothing.bmodel"] * len(wanted.arguments))
    assert "has no option --wrong" in tpu_model.fails(operation, "--wrong")
    if "-o" in wanted.options:
        assert "-o needs a file name" in tpu_model.fails(operation, "a.bmodel", "-o")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "no operation"),
        (("--fly",), "no operation --fly"),
        (("--info", "a", "b"), "2 arguments were given"),
        (("--dump", "a", "0"), "2 arg"),
    ],
)
def test_wrong_usage(tpu_model: TpuModel, arguments: tuple[str, ...], text: str) -> None:
    assert text in tpu_model.fails(*arguments)


BROKEN = {
    "empty": (b"", "BMODEL101"),
    "random": (bytes(range(1, 255)) * 40, "BMODEL101"),
    "cut to 40 bytes": (model_bytes()[ADD][:40], "BMODEL102"),
    "cut to 1000 bytes": (model_bytes()[ADD][:1000], "BMODEL102"),
    "last byte missing": (model_bytes()[ADD][:-1], "BMODEL102"),
    "tables overwritten": (model_bytes()[ADD][:64] + b"\xa5" * 4032 + model_bytes()[ADD][4096:], "BMODEL103"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("operation", ["--info", "--print", "--weight", "--chip", "--extract", "--combine", "--kernel_dump", "verify"])
def test_broken_files(tpu_model: TpuModel, kind: str, operation: str) -> None:
    data, code = BROKEN[kind]
    Path("broken.bmodel").write_bytes(data)
    message = tpu_model.fails(operation, "broken.bmodel")
    assert code in message and "at broken.bmodel: " in message and "offset" in message
    assert [path.name for path in tpu_model.folder.iterdir()] == ["broken.bmodel"], "nothing was written"


@pytest.mark.parametrize(
    ("names", "code"),
    [((ADD, ADD), "BMODEL122"), ((ADD, TOPK_BM1684), "BMODEL120"), ((ADD_STAGES, ADD), "BMODEL122")],
)
def test_what_cannot_be_combined(tpu_model: TpuModel, names: tuple[str, str], code: str) -> None:
    files = [tpu_model.file(name, f"{k}.bmodel") for k, name in enumerate(names)]
    message = tpu_model.fails("--combine", *files, "-o", "out.bmodel")
    assert code in message and "0.bmodel" in message and not Path("out.bmodel").exists()


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    path = tmp_path / "long.bmodel"
    new_bmodel("BM1684X", [Net(name="x" * 100)] * 2000).save(path)  # more text than a pipe holds
    code = "import sys; from bmlang.cli.tpu_model import main; sys.exit(main())"
    command = [sys.executable, "-W", "error", "-c", code, "--print", str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"{\n"
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 0)
    process.stderr.close()


def test_a_folder_that_cannot_be_written(tpu_model: TpuModel) -> None:
    path = tpu_model.file(ADD, "a.bmodel")
    assert "none" in tpu_model.fails("--combine", path, "-o", "none/out.bmodel")
