"""Saving: the same bytes every time, and never a broken file where a good one stood."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bmlang.bmodel import load, new_bmodel, timestamp
from bmlang.bmodel.errors import FieldRangeError
from tests.support.bmodels import ADD, fixture, model_bytes, write_fixture
from tests.support.effort import by_profile
from tpukernel.files import save_atomically

KILLS = by_profile(smoke=5, normal=30, nightly=500)


def test_the_time_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert timestamp() == "Fri Jan  2 00:00:00 1970\n"
    first, second = new_bmodel("BM1684X", []).to_bytes(), new_bmodel("BM1684X", []).to_bytes()
    assert first == second


def test_the_time_is_the_local_time_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert len(timestamp()) == len("Sat Nov 21 18:43:03 2026\n")


@pytest.mark.parametrize("text", ["yesterday", "9" * 30])
def test_a_time_that_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(FieldRangeError, match="SOURCE_DATE_EPOCH"):
        timestamp()


def test_saved_files_are_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "new.bmodel"
    fixture(ADD).save(path)
    assert path.read_bytes() == fixture(ADD).to_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["new.bmodel"]


def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    path = write_fixture(ADD, tmp_path)
    path.chmod(0o640)
    link = tmp_path / "link.bmodel"
    link.symlink_to(path.name)
    fixture(ADD).save(link)
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o640
    fresh = tmp_path / "fresh.bmodel"
    fixture(ADD).save(fresh)
    plain = tmp_path / "plain"
    plain.touch()
    assert fresh.stat().st_mode == plain.stat().st_mode, "as any other file"


def test_what_is_no_file_is_written_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    copy = "import pathlib, sys; sys.stdout.buffer.write(pathlib.Path(sys.argv[1]).read_bytes())"
    reader = subprocess.Popen([sys.executable, "-c", copy, str(pipe)], stdout=subprocess.PIPE)
    save_atomically(pipe, [b"through ", b"the pipe"])
    assert reader.communicate()[0] == b"through the pipe"
    assert pipe.is_fifo()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = write_fixture(ADD, tmp_path)

    def broken() -> object:
        yield b"first part"
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        save_atomically(path, broken())  # pyright: ignore[reportArgumentType]
    assert path.read_bytes() == model_bytes()[ADD]
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, random, signal, sys, time
from bmlang.bmodel import Binary, load, new_bmodel
from dataclasses import replace

path, kills = sys.argv[1], int(sys.argv[2])
models = []
for fill in (b"a", b"b"):
    plain = new_bmodel("BM1684X", [])
    models.append(replace(plain, model=replace(plain.model, lib_backend=Binary(fill * (2 << 20)))))
models[0].save(path)
started = time.perf_counter()
models[1].save(path)
one_save = time.perf_counter() - started
complete = [model.to_bytes() for model in models]
unfinished = 0
for k in range(kills):
    child = os.fork()
    if child == 0:
        while True:
            for model in models:
                model.save(path)
    time.sleep(random.Random(k).uniform(0, 3 * one_save))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(path, "rb") as file:
        assert file.read() in complete, f"kill {k}: the file is broken"
    left = [name for name in os.listdir(os.path.dirname(path)) if name != os.path.basename(path)]
    unfinished += bool(left)
    for name in left:
        os.unlink(os.path.join(os.path.dirname(path), name))
print(unfinished)
"""


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "killed.bmodel"
    command = [sys.executable, "-c", KILLED, str(path), str(KILLS)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= KILLS // 10, "the kills came in the middle of saving"
    assert load(path).model.chip == "BM1684X"
