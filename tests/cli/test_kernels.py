"""`tpukernel run`, `bench`, `memory`, `trace` and `cost` on files of kernels."""

from __future__ import annotations

import importlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.cli.runs import Command
from tests.cli.test_main import COMMAND, ENVIRONMENT
from tpukernel.cli.arrays import read_array, write_array
from tpukernel.cli.errors import ArrayFileError
from tpukernel.cli.kernel_files import kernel_of
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8

KERNELS = """\
import tpukernel as tpu
from helper import TILE

print("imported")


@tpu.kernel
def scale(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, factor: float = 2.0, tile: int = TILE) -> None:
    n, c, h, w = x.shape
    k.print("elaborated")
    for w0 in k.pipeline(0, w, tile):
        ws = tpu.minimum(tile, w - w0)
        a, b = k.local((n, c, h, ws), x.dtype), k.local((n, c, h, ws), x.dtype)
        k.dma.load(a, x[:, :, :, w0 : w0 + ws])
        k.tiu.mul(b, a, factor)
        k.dma.store(out[:, :, :, w0 : w0 + ws], b)


@tpu.kernel
def both(k: tpu.Builder, x: tpu.In, y: tpu.In, total: tpu.Out, difference: tpu.Out) -> None:
    a, b, c, d = (k.local(x.shape, x.dtype) for _ in range(4))
    k.dma.load(a, x)
    k.dma.load(b, y)
    k.tiu.add(c, a, b)
    k.tiu.sub(d, a, b)
    k.dma.store(total, c)
    k.dma.store(difference, d)


if __name__ == "__main__":
    raise SystemExit("executed as a script")
"""
X: NDArray[np.float32] = np.random.default_rng(0).standard_normal((1, 8, 4, 50)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with two kernels, which imports its neighbour, and the array x.npy."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "helper.py").write_text("TILE = 16\n")
    (tmp_path / "kernels.py").write_text(KERNELS)
    np.save(tmp_path / "x.npy", X)
    yield tmp_path / "kernels.py"
    for name in ("helper", "kernels of kernels"):
        sys.modules.pop(name, None)


def scale(file: Path) -> str:
    return f"{file}:scale"


# ---------------------------------------------------------------------------- run


def test_run_on_files(tpukernel: Command, file: Path) -> None:
    out = file.with_name("out.npy")
    run = tpukernel(
        "run", scale(file), "--input", f"x={file.with_name('x.npy')}", "--output", out, "--attr", "factor=3", "--attr", "tile=7"
    )
    assert run.code == 0 and "imported" in run.err and "elaborated" in run.err
    head, line = run.lines
    assert head == "output contents min max mean not a number file"
    assert line.startswith("out f32[1, 8, 4, 50] ") and line.endswith(f" 0 {out}")
    assert np.array_equal(np.load(out), X * np.float32(3))


@pytest.mark.parametrize("engine", ["jit", "interpreter"])
def test_run_with_several_outputs(tpukernel: Command, file: Path, engine: str) -> None:
    total, difference = file.with_name("total.npy"), file.with_name("difference.npy")
    arrays = [word for name in "xy" for word in ("--input", f"{name}={file.with_name('x.npy')}")]
    run = tpukernel(
        "run", f"{file}:both", *arrays, "--output", f"total={total}", "--output", f"difference={difference}", "--engine", engine, "--json"
    )
    told = json.loads(run.out)
    assert told["kernel"] == "both" and told["seconds"] > 0
    assert told["outputs"]["difference"] == {
        "dtype": "f32",
        "shape": [1, 8, 4, 50],
        "min": 0.0,
        "max": 0.0,
        "mean": 0.0,
        "nan": 0,
        "file": str(difference),
    }
    assert np.array_equal(np.load(total), X + X)


def test_run_on_random_numbers(tpukernel: Command, file: Path) -> None:
    outs = [file.with_name(f"{number}.npy") for number in range(3)]
    for out, seed in zip(outs, ("1", "1", "2"), strict=True):
        run = tpukernel("run", scale(file), "--shape", "1x8x4x50", "--random", "--seed", seed, "--dtype", "f16", "--output", out, "-q")
        assert (run.code, run.out) == (0, "")
    one, two, three = (np.load(out) for out in outs)
    assert one.dtype == np.float16 and np.array_equal(one, two) and not np.array_equal(one, three)


def test_bf16_goes_through_files(tpukernel: Command, file: Path) -> None:
    first, second = file.with_name("first.npy"), file.with_name("second.npy")
    tpukernel("run", scale(file), "--shape", "1,8,4,50", "--random", "--dtype", "bf16", "--output", first)
    assert np.load(first).dtype == np.dtype("V2")
    assert tpukernel("run", scale(file), "--input", f"x={first}", "--dtype", "x=bf16", "--output", second, "--attr", "factor=0.5").code == 0
    assert np.array_equal(read_array(second, bf16).astype(np.float32), read_array(first, bf16).astype(np.float32) * np.float32(0.5))
    assert "KER140" in tpukernel("run", scale(file), "--input", f"x={first}").err


def test_what_is_no_number_is_told_in_json(tpukernel: Command, file: Path) -> None:
    special = file.with_name("special.npy")
    np.save(special, np.array([np.inf, -np.inf, np.nan, 1] * 8, np.float32).reshape(1, 8, 1, 4))
    told = json.loads(tpukernel("run", scale(file), "--input", f"x={special}", "--json").out)["outputs"]["out"]
    assert (told["min"], told["max"], told["nan"]) == ("-inf", "inf", 8)
    np.save(special, np.full((1, 8, 1, 4), np.nan, np.float32))
    told = json.loads(tpukernel("run", scale(file), "--input", f"x={special}", "--json").out)["outputs"]["out"]
    assert (told["min"], told["nan"]) == (None, 32)
    assert tpukernel("run", scale(file), "--input", f"x={special}").lines[1].endswith(" 32")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "CLI113: kernel scale has no array for x"),
        (("--random",), "CLI113: kernel scale has no array for x"),
        (("--random", "--shape", "z=1"), "CLI113: kernel scale has no tensor z"),
        (("--random", "--shape", "1,2", "--shape", "1,3"), "CLI113: there are several shapes for one tensor"),
        (("--random", "--shape", "1,2,3,4", "--dtype", "f32", "--dtype", "x=f16"), "CLI113: there are several data types"),
        (("--random", "--shape", "1,2,3,4", "--dtype", "x=f16", "--dtype", "x=f16"), "CLI113: there are several data types"),
        (("--random", "--shape", "1,2,3,4", "--dtype", "f16", "--dtype", "f32"), "CLI113: there are several data types"),
        (("--random", "--shape", "1,2,3,4", "--dtype", "z=f16"), "CLI113: kernel scale has no tensor z"),
        (("--input", "z=x.npy"), "CLI113: kernel scale has no input z"),
        (("--input", "x=x.npy", "--shape", "1,2,3,4"), "CLI113: x.npy has shape (1, 8, 4, 50), not (1, 2, 3, 4)"),
        (("--input", "x=x.npy", "--dtype", "f16"), "CLI113: the elements of x.npy are float32, not f16"),
        (("--input", "x=x.npy", "--output", "z=z.npy"), "CLI113: kernel scale has no output z"),
        (("--input", "x=none.npy"), "No such file"),
        (("--input", "x=kernels.py"), "CLI112: kernels.py is no array"),
        (("--random", "--shape", "1,2,3,4", "--attr", "speed=1"), "KER140: kernel scale has no keyword speed"),
        (("--random", "--shape", "1,2,3,4", "--chip", "BM9"), "CHIP102"),
    ],
)
def test_what_does_not_fit_the_kernel(
    tpukernel: Command, file: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], complaint: str
) -> None:
    monkeypatch.chdir(file.parent)
    run = tpukernel("run", "kernels.py:scale", *arguments)
    assert (run.code, run.out) == (1, "") and complaint in run.err and "Traceback" not in run.err


def test_an_output_of_several_needs_its_name(tpukernel: Command, file: Path) -> None:
    assert "CLI113: kernel both has 2 outputs" in tpukernel("run", f"{file}:both", "--output", "out.npy").err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--shape", "x=1,a"),
        ("--shape", "x=0,1"),
        ("--shape", "x=1,-1"),
        ("--shape", ""),
        ("--shape", "9" * 5000),
        ("--dtype", "f33"),
        ("--attr", "tile"),
        ("--attr", "2=3"),
        ("--input", "x.npy"),
        ("--input", "x="),
        ("--engine", "fast"),
    ],
)
def test_wrong_usage(tpukernel: Command, file: Path, arguments: tuple[str, ...]) -> None:
    run = tpukernel("run", scale(file), *arguments)
    assert (run.code, run.out) == (2, "") and run.err.startswith("usage: tpukernel run")
    assert tpukernel("bench", scale(file), "--simulate", "-1").code == tpukernel("bench", scale(file), "--sweep", "tile").code == 2


# ---------------------------------------------------------------------------- files


def test_the_kernel_is_chosen(tpukernel: Command, file: Path) -> None:
    shape = ("--random", "--shape", "1,8,4,50")
    assert "CLI111" in (several := tpukernel("run", file, *shape).err) and "holds 2 kernels" in several and "scale, both" in several
    assert "holds no kernel other" in tpukernel("run", f"{file}:other", *shape).err
    alone = file.with_name("alone.py")
    alone.write_text(
        "from kernels import both\nimport tpukernel as tpu\n\n@tpu.kernel\ndef own(k, x: tpu.In, out: tpu.Out):\n    k.dma.copy(out, x)\n"
    )
    assert tpukernel("run", alone, *shape).code == 0, "an imported kernel is no candidate beside its own"
    alone.write_text("from kernels import both\n")
    assert tpukernel("run", alone, *shape).code == 0, "but the only one that there is"
    alone.write_text("")
    assert "holds no kernel" in tpukernel("run", alone, *shape).err


def test_kernels_as_text(tpukernel: Command, file: Path) -> None:
    """A kernel that was printed does the same as the one that it was printed from."""
    shape = (1, 8, 4, 50)
    text = file.with_name("kernels.tpuk")
    text.write_text(str(kernel_of(scale(file)).ir({"x": shape}, factor=3.0)))
    outs = [file.with_name("one.npy"), file.with_name("two.npy")]
    shapes = ("--shape", "1x8x4x50")
    assert tpukernel("run", scale(file), *shapes, "--random", "--attr", "factor=3.0", "--output", outs[0]).code == 0
    run = tpukernel("run", text, *shapes, "--random", "--output", outs[1])
    assert (run.code, run.err) == (0, "elaborated\n")
    assert np.array_equal(np.load(outs[0]), np.load(outs[1]))
    for command in ("bench", "memory", "trace", "cost"):
        assert tpukernel(command, text, *shapes).code == 0
    text.write_text("kernel broken(in x: f32[4]) {")
    assert "kernels.tpuk:1" in tpukernel.fails("memory", text, *shapes)


@pytest.mark.parametrize(
    ("text", "complaint", "line"),
    [
        ("import none_of_this_name", "ModuleNotFoundError", 1),
        ("x = 1\nx = (", "SyntaxError", 2),
        ("import sys\n\n\nsys.exit(3)", "SystemExit: 3", 4),
        ("def f():\n    1 / 0\nf()", "ZeroDivisionError", 2),
        ("import tpukernel as tpu\n@tpu.kernel\ndef f(k, x): ...", "KER103", 3),
    ],
)
def test_a_file_that_fails(
    tpukernel: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str, line: int
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "broken.py"
    path.write_text(text + "\n")
    message = tpukernel.fails("run", path, "--random")
    assert complaint in message and (f"broken.py:{line}" in message or complaint == "KER103")
    assert "CLI110" in tpukernel.fails("run", tmp_path / "kernels.txt")
    assert "No such file" in tpukernel.fails("run", tmp_path / "none.py")


@pytest.mark.parametrize("command", ["run", "bench", "memory", "cost", "trace"])
def test_a_kernel_that_fails_says_where(tpukernel: Command, file: Path, command: str) -> None:
    message = tpukernel(command, scale(file), "--shape", "8,50", *(["--random"] if command == "run" else [])).err
    assert "CLI114: kernel scale failed: ValueError: not enough values to unpack" in message and "Traceback" not in message
    assert "at kernels.py:9:5\n     | n, c, h, w = x.shape\n     | ^^^^^^^^^^\n" in message


def test_errors_of_this_package_keep_their_traceback(tpukernel: Command, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("tpukernel.lang.elaborate"), "SYSTEM_ALIGNMENT", 0)
    with pytest.raises(ZeroDivisionError):
        tpukernel("memory", scale(file), "--shape", "1,8,4,50")


def test_fast_numerics_are_named(tpukernel: Command, file: Path) -> None:
    shape = ("--random", "--shape", "1,8,4,50", "--numerics", "fast")
    assert tpukernel("run", scale(file), *shape).lines[-1] == "numerics: fast"
    assert json.loads(tpukernel("run", scale(file), *shape, "--json").out)["numerics"] == "fast"


@given(st.binary(max_size=200), st.booleans())
def test_damaged_arrays_are_named_errors(tmp_path_factory: pytest.TempPathFactory, data: bytes, real: bool) -> None:
    path = tmp_path_factory.mktemp("arrays") / "x.npy"
    write_array(path, X[0, 0])
    path.write_bytes(path.read_bytes()[: len(data)] + data if real else data)
    with suppress(ArrayFileError):
        read_array(path, None)


@pytest.mark.parametrize("dtype", [f32, f16, bf16, i8])
def test_arrays_survive_files(tmp_path: Path, dtype: Dtype) -> None:
    array = (np.arange(24).reshape(2, 3, 4) - 12).astype(dtype.numpy)
    write_array(tmp_path / "x.npy", array)
    assert np.array_equal(read_array(tmp_path / "x.npy", dtype), array)


def test_foreign_orders_are_read(tmp_path: Path) -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    np.save(tmp_path / "x.npy", np.asfortranarray(array))
    found = read_array(tmp_path / "x.npy", f32)
    assert found.dtype == np.float32 and np.array_equal(found, array)


# ---------------------------------------------------------------------------- bench, memory, trace, cost


def test_bench_of_one_row(tpukernel: Command, file: Path) -> None:
    run = tpukernel("bench", scale(file), "--shape", "1,64,4,500", "--simulate", "1")
    assert run.code == 0 and run.lines[0].startswith(
        "scale(x: f32[1, 64, 4, 500], out: f32[1, 64, 4, 500]; factor = 2.0; tile = 16) on the BM1684X"
    )
    assert any(line.startswith("simulator: ") for line in run.lines)
    told = json.loads(tpukernel("bench", scale(file), "--shape", "1,64,4,500", "--simulate", "0", "--json").out)
    assert told["seconds"] is None and f"modelled: {told['cycles']:,} cycles" in " ".join(run.lines)


def test_bench_of_many_rows(tpukernel: Command, file: Path) -> None:
    plot = file.with_name("plot.svg")
    shapes = ("--shape", "x=1,64,4,500", "--shape", "x=1,64,8,500")
    run = tpukernel(
        "bench", scale(file), *shapes, "--dtype", "f32", "--dtype", "f16", "--sweep", "tile=16,64,100000", "--simulate", "0", "--plot", plot
    )
    assert run.lines[0].split()[:4] == ["x", "dtype", "tile", "cycles"] and len(run.lines) == 13
    assert len(list(ET.parse(plot).getroot().iter("{http://www.w3.org/2000/svg}polyline"))) == 4  # noqa: S314
    told = json.loads(tpukernel("bench", scale(file), *shapes, "--simulate", "0", "--json").out)
    assert [row["axes"] for row in told] == [{"x": "1x64x4x500"}, {"x": "1x64x8x500"}]


def test_rows_that_fail_are_shown_unless_all_do(tpukernel: Command, file: Path) -> None:
    shape = ("--shape", "1,64,8,20000", "--simulate", "0")
    run = tpukernel("bench", scale(file), *shape, "--sweep", "tile=2000,20000")
    assert run.code == 0 and run.lines[2].split() == ["20000", "KER120"]
    assert "KER120" in tpukernel("bench", scale(file), *shape, "--attr", "tile=20000").err
    assert tpukernel("bench", scale(file), *shape, "--sweep", "tile=20000,20001").code == 1


def test_memory(tpukernel: Command, file: Path) -> None:
    picture = file.with_name("map.svg")
    run = tpukernel("memory", scale(file), "--shape", "1,64,4,500", "--svg", picture)
    assert run.lines[0].startswith("local memory of scale on the BM1684X") and run.lines[2].startswith("bank 0 0x00000 |a")
    assert ET.parse(picture).getroot().tag.endswith("svg")  # noqa: S314


def test_trace(tpukernel: Command, file: Path) -> None:
    trace = file.with_name("trace.json")
    run = tpukernel("trace", scale(file), "--shape", "1,64,4,64", "-o", trace)
    events = [event for event in json.loads(trace.read_text())["traceEvents"] if event["ph"] == "X"]
    assert run.lines[0].startswith(f"{trace}: {len(events)} commands, ") and len(events) == 12
    assert all(event["args"]["source"].startswith("kernels.py:") for event in events)
    assert tpukernel("trace", scale(file), "--shape", "1,64,4,64", "-o", trace, "-q").out == ""
    assert json.loads(tpukernel("trace", scale(file), "--shape", "1,64,4,64").out) == json.loads(trace.read_text())


def test_cost_of_a_kernel(tpukernel: Command, file: Path) -> None:
    run = tpukernel("cost", scale(file), "--shape", "1,64,4,64")
    assert run.code == 0 and run.lines[0] == "# kernel scale" and any("kernels.py:" in line for line in run.lines)
    (told,) = json.loads(tpukernel("cost", scale(file), "--shape", "1,64,4,64", "--json").out)
    assert told["figures"]["traffic_ratio"] == 1.0
    assert tpukernel("cost", "model.bmodel", "--shape", "1,2").code == 2
    assert tpukernel("cost", "model.bmodel", "--limit", "none").code == 2


def test_progress_is_for_terminals(file: Path) -> None:
    """A bar on standard error if that is a terminal, and never on standard output."""
    command = [*COMMAND, "bench", scale(file), "--shape", "1,8,4,50", "--sweep", "tile=16,32,64", "--simulate", "0"]
    told: dict[bool, bytes] = {}
    for quiet in (False, True):
        reader, writer = pty.openpty()
        with subprocess.Popen([*command, *(["-q"] if quiet else [])], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=writer) as process:
            os.close(writer)
            out, _ = process.communicate(timeout=120)
            assert process.returncode == 0 and out.startswith(b"tile ")
        told[quiet] = b""
        try:
            while data := os.read(reader, 65536):
                told[quiet] += data
        except OSError:  # the other end is closed
            pass
        os.close(reader)
    assert b"measuring" in told[False] and b"measuring" not in told[True]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert "measuring" not in done.stderr
