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
