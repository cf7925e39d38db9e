"""The project as files: nothing of one machine in them, sizes, docstrings, and what a wheel contains."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("tpukernel", "bmlang")
MAX_LINES = 700
MAX_BYTES = 1 << 20

# Written so that this file does not contain the words itself.
FORBIDDEN = {
    "path of one machine": re.compile(r"(?<![\w.])/(?:(?:work|root|home|tmp|farm)/\w|opt/de[v]\b)"),
    "word of a workplace": re.compile(r"\bsub[-]?agents?\b|\bClau[d]e\b|\bcha[t]bot\b|[.]library\b", re.IGNORECASE),
    "reference material by its folder": re.compile(r"(?<![\w-])share[d]/"),
    "number of an issue": re.compile(r"\b(?:issue|pull request)s? #\d+", re.IGNORECASE),
    "merge conflict": re.compile(r"^(?:<{7}|>{7})(?: |$)", re.MULTILINE),
}
ALLOWED = {"reference material by its folder": ("tests/support/oracle", ".ci/run")}
"""Files, by the start of their path, where a kind is allowed: these two look for the official libraries beside the checkout."""

IMAGES = {".ppm"}
OURS = "tests/data/torch_nets/"
"""Nets with random weights that `tests.support.torch_nets` wrote."""
VENDOR = {".so", ".a", ".whl", ".bmodel", ".onnx", ".pkl", ".pt"}


@cache
def project_files() -> tuple[Path, ...]:
    """Every file of the project: tracked, or new and not ignored. Without git, every file that is not in a hidden folder or a cache."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        return tuple(path for name in names if name and (path := ROOT / name).is_file())
    except (OSError, subprocess.CalledProcessError):
        hidden = re.compile(r"/(?:\.(?!ci/)[^/]*|__pycache__|build|dist|[^/]*\.egg-info)/")
        return tuple(path for path in ROOT.rglob("*") if path.is_file() and not hidden.search(f"/{relative(path)}"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def texts() -> dict[str, str]:
    """Contents of all text files, by their path in the project."""
    found: dict[str, str] = {}
    for path in project_files():
        data = path.read_bytes()
        if b"\0" not in data and path.suffix not in IMAGES:
            found[relative(path)] = data.decode()
    return found


def offences(name: str, text: str) -> list[str]:
    """The forbidden things in one file, each as `file:line: kind: text`."""
    found: list[str] = []
    for kind, pattern in FORBIDDEN.items():
        if not name.startswith(ALLOWED.get(kind, ("\0",))):
            found += [f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {kind}: {hit[0]!r}" for hit in pattern.finditer(text)]
    return found


def test_files_speak_of_the_project_alone() -> None:
    found = [line for name, text in texts().items() for line in offences(name, text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text", ["see /" + "work/x", "/" + "opt/dev", "a sub" + "agent", "Clau" + "de", "../share" + "d/x", "issue " + "#12"]
)
def test_a_forbidden_text_is_found(text: str) -> None:
    assert len(offences("docs/index.md", f"first line\n{text}\n")) == 1
    assert offences("docs/index.md", "https://example.com/" + "work/x, a/" + "tmp/x, /opt/sophon") == []


def test_files_are_small() -> None:
    lines = {name: text.count("\n") for name, text in texts().items() if name.endswith(".py")}
    assert {name: count for name, count in lines.items() if count >= MAX_LINES} == {}
    sizes = {relative(path): path.stat().st_size for path in project_files()}
    assert {name: size for name, size in sizes.items() if size > MAX_BYTES} == {}


def test_no_vendor_file_is_in_the_project() -> None:
    assert [name for path in project_files() if VENDOR & set(path.suffixes) and not (name := relative(path)).startswith(OURS)] == []
    assert [relative(path) for path in project_files() if path.read_bytes()[:4] == b"\x7fELF"] == []


def test_every_module_has_a_docstring() -> None:
    modules = {name: text for name, text in texts().items() if name.startswith(PACKAGES) and name.endswith(".py")}
    assert modules
    assert [name for name, text in modules.items() if not ast.get_docstring(ast.parse(text))] == []


@pytest.mark.slow
def test_wheel_contains_code_grammar_and_data(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    code = {name for name in names if ".dist-info/" not in name}
    files = {relative(path) for path in project_files()}
    expected = {name for name in files if name.startswith(PACKAGES)}
    expected |= {f"tpukernel/{name}" for name in files if name.startswith("grammar/")}
    assert {"tpukernel/py.typed", "bmlang/py.typed", "tpukernel/grammar/README.md"} <= expected
    assert code == expected
    assert any(name.endswith("/licenses/LICENSE") for name in names)
