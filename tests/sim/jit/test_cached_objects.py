"""Native results do not depend on the cache of objects: cold, warm, shared, damaged, read-only or absent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.native_program import digest_of
from tpukernel.cache import CACHE_FOLDER, Cache
from tpukernel.sim.jit import llvm, plan

SEEDS = (0, 1)
"""One kernel of f16, one of f32."""


@pytest.fixture(scope="module")
def expected() -> list[str]:
    return [digest_of(seed, "interpreter") for seed in SEEDS]


@pytest.fixture
def use_cache(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cache], list[str]]:
    """Forgets what was compiled and lets the next runs use another cache; what they compile is added to the list."""
    compile_object = llvm.compile_object

    def use(cache: Cache) -> list[str]:
        compiled: list[str] = []

        def counted(text: str, target: llvm.Target, *, verify: bool = False) -> bytes:
            compiled.append(text)
            return compile_object(text, target, verify=verify)

        monkeypatch.setattr(plan, "_addresses", {})
        monkeypatch.setattr(llvm, "default_cache", lambda: cache)
        monkeypatch.setattr(llvm, "compile_object", counted)
        return compiled

    return use


def digests() -> list[str]:
    return [digest_of(seed, "jit") for seed in SEEDS]


def test_cold_and_warm(tmp_path: Path, expected: list[str], use_cache: Callable[[Cache], list[str]]) -> None:
    compiled = use_cache(Cache(tmp_path / "own"))
    assert digests() == expected
    kernels = len(compiled)
    assert kernels == len(Cache(tmp_path / "own").entries()) > 0
    compiled = use_cache(Cache(tmp_path / "own"))
    assert digests() == expected
    assert not compiled


def _truncated(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def _flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)


def _replaced_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": _truncated,
    "empty": lambda file: file.write_bytes(b""),
    "flipped": _flipped,
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "folder": _replaced_by_a_folder,
    "unreadable": lambda file: file.chmod(0),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files(damage: str, tmp_path: Path, expected: list[str], use_cache: Callable[[Cache], list[str]]) -> None:
    compiled = use_cache(Cache(tmp_path))
    assert digests() == expected
    for entry in Cache(tmp_path).entries():
        DAMAGES[damage](tmp_path / entry.key)
    again = use_cache(Cache(tmp_path))
    assert digests() == expected
    if damage != "unreadable" or os.getuid() != 0:  # nothing is unreadable for root
        assert sorted(again) == sorted(compiled)


def test_no_cache(expected: list[str], use_cache: Callable[[Cache], list[str]]) -> None:
    assert use_cache(Cache(None)) == []
    assert digests() == expected


def test_the_folder_vanishes(tmp_path: Path, expected: list[str], use_cache: Callable[[Cache], list[str]]) -> None:
    cache = Cache(tmp_path / "own")
    use_cache(cache)
    assert [digest_of(SEEDS[0], "jit")] == expected[:1]
    for entry in cache.entries():
        (tmp_path / "own" / entry.key).unlink()
    (tmp_path / "own").rmdir()
    use_cache(cache)
    assert digests() == expected


def run(folder: str) -> list[str]:
    """What a process prints that has its cache there."""
    command = [sys.executable, "-m", "tests.support.native_program", *map(str, SEEDS)]
    done = subprocess.run(command, env={**os.environ, CACHE_FOLDER: folder}, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


def test_processes_fill_one_cache_at_once(tmp_path: Path, expected: list[str]) -> None:
    folder = tmp_path / "shared"
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, [str(folder)] * 2)) == [expected] * 2
    entries = Cache(folder).entries()
    assert entries and {file.name for file in folder.iterdir()} == {entry.key for entry in entries}
    assert all(Cache(folder).get(entry.key) is not None for entry in entries)
    assert run(str(folder)) == expected


@pytest.mark.parametrize("folder", ["/proc/nothing/here", "read-only"])
def test_a_folder_that_cannot_be_written_to(folder: str, tmp_path: Path, expected: list[str]) -> None:
    """No folder can be made in /proc, not even by root."""
    if folder == "read-only":
        tmp_path.chmod(0o500)
        folder = str(tmp_path)
    assert run(folder) == expected
