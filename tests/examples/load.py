"""Kernels of the examples, loaded from their files: the folder is no package."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from runpy import run_path

import tpukernel as tpu

__all__ = ["FOLDER", "example", "text_example"]

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "kernels"


@cache
def example(name: str) -> tpu.Kernel:
    """The kernel of `examples/kernels/<name>.py`, which has the name of the file."""
    found = run_path(str(FOLDER / f"{name}.py"))[name]
    assert isinstance(found, tpu.Kernel)
    return found


@cache
def text_example(file: str, name: str | None = None) -> tpu.Kernel:
    """A kernel of `examples/kernels/<file>.tpuk`; by default the one that has the name of the file."""
    return tpu.load(FOLDER / f"{file}.tpuk", name or file)
