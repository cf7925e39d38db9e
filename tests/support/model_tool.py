"""The official `model_tool` and the corpus of recorded models, where the official libraries are (see `tests.support.oracle`).

The program is linked with an OpenMP library of which it uses nothing. Where the system has none, an empty library of that name serves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.support.oracle import OracleError, oracle_folder, oracle_script

OPENMP = "libomp.so.5"


def corpus_folder() -> Path:
    """The folder with recorded models, beside that of the oracle script."""
    return oracle_script().resolve().parents[1] / "corpus"


def corpus() -> list[Path]:
    """The recorded models; empty without the folder."""
    return sorted(corpus_folder().glob("*.bmodel"))


def tool_available() -> str | None:
    """None when the tool can run here, else why not."""
    try:
        tool = oracle_folder() / "bin" / "model_tool"
        if not tool.is_file():
            return f"there is no {tool}"
        _environment()
    except (OracleError, OSError) as error:
        return str(error)
    return None


@cache
def _environment() -> dict[str, str]:
    """Variables with which the tool starts."""
    tool = oracle_folder() / "bin" / "model_tool"
    if _starts(tool, dict(os.environ)):
        return dict(os.environ)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise OracleError(f"model_tool does not start: the system has neither {OPENMP} nor a C compiler to make an empty one")
    folder = tempfile.mkdtemp(prefix="openmp")
    subprocess.run([compiler, "-shared", "-o", f"{folder}/{OPENMP}", "-x", "c", os.devnull], check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": folder}
    if not _starts(tool, environment):
        raise OracleError("model_tool does not start on this system")
    return environment


def _starts(tool: Path, environment: dict[str, str]) -> bool:
    return subprocess.run([tool, "--version"], env=environment, capture_output=True, check=False).returncode == 0


def model_tool(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the official tool in a folder."""
    command = [oracle_folder() / "bin" / "model_tool", *arguments]
    return subprocess.run(command, env=_environment(), cwd=folder, capture_output=True, text=True, errors="replace", check=False)


def said(*arguments: str | Path, folder: Path | None = None) -> str:
    """What the official tool prints when it succeeds."""
    done = model_tool(*arguments, folder=folder)
    assert done.returncode == 0, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout
