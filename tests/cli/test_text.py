"""`tpukernel fmt` and `tpukernel check`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.cli.runs import Command

UGLY = "# note\nkernel f( in x:f32[n] ) {let a=local<f32>[1,n,1,1];   # one\n\n\n\ndma.load( a,x );}\n"
NICE = "# note\nkernel f(in x: f32[n]) {\n  let a = local<f32>[1, n, 1, 1]; # one\n\n  dma.load(a, x);\n}\n"


def test_files_are_formatted(tpukernel: Command, tmp_path: Path) -> None:
    path = tmp_path / "f.tpuk"
    path.write_text(UGLY)
    run = tpukernel("fmt", "--check", str(path))
    assert (run.code, path.read_text()) == (1, UGLY) and "KER157: not in the usual form" in run.err
    assert tpukernel("fmt", str(path)).lines == [f"formatted: {path}"]
    assert path.read_text() == NICE
    run = tpukernel("fmt", "--check", str(path))
    assert (run.code, run.out) == (0, "")


def test_the_input_is_formatted(tpukernel: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(UGLY))
    run = tpukernel("fmt", "-")
    assert (run.code, run.out) == (0, NICE)


def test_what_is_no_kernel_stays_as_it_is(tpukernel: Command, tmp_path: Path) -> None:
    path = tmp_path / "f.tpuk"
    path.write_text("kernel")
    assert tpukernel("fmt", str(path)).code == 1
    assert path.read_text() == "kernel"


def test_mistakes_are_listed(tpukernel: Command, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.tpuk", tmp_path / "bad.tpuk"
    good.write_text(NICE + "\nkernel g(in x: f32[n]; alpha: float) {\n}\n")
    bad.write_text("kernel one(in x: f32[n]) { tiu.abs(a, x); } kernel two(in x: f32[n]) { tiu.absolute(x, x); }")
    run = tpukernel("check", str(good))
    assert run.lines == [f"{good}: <kernel f(x: in)>", f"{good}: <kernel g(x: in)> (read, not traced: alpha without default)"]
    run = tpukernel("check", str(good), str(bad))
    assert run.code == 1
    assert "KER151: there is no `a` here\n  at bad.tpuk:1:36" in run.err
    assert "KER110: there is no operation tiu.absolute\n  at bad.tpuk:1:72" in run.err
    assert run.err.endswith("2 mistakes\n")


TILED = """\
# Copies, in pieces of `tile` columns.
kernel tiled(in x: t[n, c, h, w], out out: t[n, c, h, w]; tile: int) {
  pipeline w0 in 0 .. w step tile {
    let ws = min(tile, w - w0);
    let a = local<t>[n, c, h, ws];
    dma.load(a, x[:, :, :, w0:+ws]);
    dma.store(out[:, :, :, w0:+ws], a);
  }
}
"""
PYTHON = """\
import tpukernel as tpu

@tpu.kernel
def whole(k, x: tpu.In, out: tpu.Out, *, tile=8):
    n, c, h, w = x.shape
    a = k.local((n, c, h, tile), x.dtype)
    b = k.local((n, c, h, tile), x.dtype)
    k.dma.load(a, x[:, :, :, :tile])
    k.dma.store(out[:, :, :, :tile], a if w > 4 else b)
"""


def test_shapes_find_what_depends_on_them(tpukernel: Command, tmp_path: Path) -> None:
    path = tmp_path / "tiled.tpuk"
    path.write_text(TILED)
    assert tpukernel("check", path).lines == [f"{path}: <kernel tiled(x: in, out: out)> (read, not traced: tile without default)"]
    told = [f"{path}: <kernel tiled(x: in, out: out)>"]
    assert tpukernel("check", path, "--attr", "tile=64").lines == told
    run = tpukernel("check", path, "--attr", "tile=64", "--shape", "1,4,2,100", "--shape", "1x4x2x64", "--dtype", "f16", "--dtype", "i8")
    tensors = [f"x {dtype}[1, 4, 2, {w}], out {dtype}[1, 4, 2, {w}]" for w in (100, 64) for dtype in ("f16", "i8")]
    assert run.lines == [*told, *(f"{each}: {count} commands" for each, count in zip(tensors, (6, 6, 4, 4), strict=True))]
    run = tpukernel("check", path, "--attr", "tile=60000", "--shape", "1,64,2,40000", "--shape", "1,64,2,50000", "--shape", "1,64,2,9")
    assert (run.code, run.out) == (1, "") and run.err.count("KER120: the buffers need") == 2 and run.err.endswith("2 mistakes\n")
    assert "at tiled.tpuk:5:" in run.err


def test_kernels_of_python_are_checked_for_shapes(tpukernel: Command, tmp_path: Path) -> None:
    path = tmp_path / "whole.py"
    path.write_text(PYTHON)
    assert tpukernel("check", path).lines == [f"{path}: <kernel whole(x: in, out: out)> (read, not traced: no --shape)"]
    run = tpukernel("check", f"{path}:whole", "--shape", "x=1,4,2,8")
    assert run.lines == [f"{path}: <kernel whole(x: in, out: out)>", "x f32[1, 4, 2, 8], out f32[1, 4, 2, 8]: 4 commands"]
    run = tpukernel("check", path, "--shape", "1,4,2,8", "--attr", "tile=9")
    assert run.code == 1 and "KER115" in run.err and "at whole.py:8:" in run.err
    run = tpukernel("check", path, "--shape", "1,4,2,4", "--attr", "tile=4")
    assert "KER143" in run.err and "KER144: src of dma.store is b f32[1, 4, 2, 4], to which nobody has written" in run.err
    assert run.err.endswith("2 mistakes\n")
    assert "CLI114: kernel whole failed: ValueError" in tpukernel("check", path, "--shape", "4,8").err
    assert "CLI113: kernel whole has no tensor y" in tpukernel("check", path, "--shape", "y=4,8").err
    assert "CLI111" in tpukernel("check", f"{path}:part", "--shape", "4,8").err
    assert "KER140: kernel whole has no keyword speed" in tpukernel("check", path, "--shape", "1,4,2,8", "--attr", "speed=1").err


def test_a_tensor_of_any_type_may_have_the_one_that_the_kernel_takes(tpukernel: Command, tmp_path: Path) -> None:
    path = tmp_path / "f.tpuk"
    body = "let a, b = local<t>[1, n, 1, 1]; dma.load(a, x); tiu.{}(b, a); dma.store(z, b);"
    path.write_text("kernel f(in x: t[n], out z: t[n]) { " + body.format("bit_not") + " }")
    assert tpukernel("check", path).lines == [f"{path}: <kernel f(x: in, z: out)> (for i8)"]
    assert "KER111" in tpukernel("check", path, "--dtype", "f16").err


def test_the_limit_of_a_text(tpukernel: Command, tmp_path: Path) -> None:
    path = tmp_path / "tiled.tpuk"
    path.write_text(TILED)
    words = (path, "--attr", "tile=1", "--shape", "1,4,2,50")
    for command in ("check", "bench", "memory"):
        assert tpukernel(command, *words, "--limit", "500").code == 0
        assert "KER159: kernel tiled unrolls to more than 99 commands" in tpukernel(command, *words, "--limit", "99").err
    assert tpukernel("check", *words, "--limit", "none").code == 0
    assert tpukernel("check", *words, "--limit", "-1").code == 2
