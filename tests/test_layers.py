"""Imports go downward only: the contracts of pyproject.toml hold, and they find an import that goes up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def lint_imports(folder: Path) -> tuple[int, str]:
    """Exit code and output of import-linter on the two packages in `folder`, with the contracts of this project."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"]
    command += ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    # The folder comes first on the path, so that its packages are judged and not the installed ones.
    environment = os.environ | {"PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_layers_are_kept() -> None:
    code, output = lint_imports(ROOT)
    assert code == 0, output


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("tpukernel/errors.py", "import tpukernel.chips.chip", "tpukernel.errors -> tpukernel.chips.chip"),
        ("tpukernel/chips/chip.py", "import bmlang", "tpukernel.chips.chip -> bmlang"),
        ("bmlang/bmodel/__init__.py", "def late():\n    from bmlang.graph import ir", "bmlang.bmodel -> bmlang.graph"),
        ("tpukernel/isa/codec.py", "def late():\n    import tpukernel.cost", "tpukernel.isa.codec -> tpukernel.cost"),
        ("tpukernel/misplaced.py", "", "tpukernel.misplaced"),
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, file: str, line: str, complaint: str) -> None:
    for package in ("tpukernel", "bmlang"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for layer in ("graph", "bmodel"):
        (tmp_path / "bmlang" / layer).mkdir(exist_ok=True)
        (tmp_path / "bmlang" / layer / "__init__.py").touch()
    (tmp_path / "bmlang" / "graph" / "ir.py").touch()
    assert lint_imports(tmp_path)[0] == 0
    with (tmp_path / file).open("a", encoding="utf-8") as module:
        module.write(f"\n\n{line}\n")
    code, output = lint_imports(tmp_path)
    assert code != 0
    assert complaint in output
