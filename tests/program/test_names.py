"""`import bmlang as bm`: what there is, and that it costs nothing until it is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest

import bmlang as bm
from bmlang.layers.registry import FAMILIES

LISTED = cast("list[str]", vars(bm)["__all__"])
SOURCE = Path(inspect.getfile(bm)).read_text(encoding="utf-8")


def typed_imports(source: str) -> dict[str, tuple[str, ...]]:
    """What a module imports for type checkers only: names by module."""
    (block,) = (node for node in ast.parse(source).body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    return {str(each.module): tuple(alias.name for alias in each.names) for each in block.body if isinstance(each, ast.ImportFrom)}


def operators() -> Iterator[tuple[str, str]]:
    """Module and name of every public function of the families."""
    for family in FAMILIES:
        module = import_module(f"bmlang.layers.{family}")
        yield from ((module.__name__, name) for name in module.__all__ if inspect.isfunction(getattr(module, name)))


def test_type_checkers_see_what_is_there() -> None:
    assert typed_imports(SOURCE) == bm.HOMES


def test_every_operator_is_there() -> None:
    missing = [f"bmlang/__init__.py lacks {name} of {module}" for module, name in operators() if bm.HOME.get(name) != module]
    assert not missing, "\n".join(missing)


def test_what_is_listed_is_there_and_nothing_else() -> None:
    assert set(LISTED) == {*bm.HOME, "Dtype", "bf16", "f16", "f32", "i8", "i16", "i32", "u8", "u16", "u32"}
    assert len(LISTED) == len(set(LISTED))
    for name in LISTED:
        assert getattr(bm, name) is not None
    assert set(LISTED) <= set(dir(bm))


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'bmlang' has no attribute 'sigmiod'"):
        getattr(bm, "sigmiod")  # noqa: B009


def test_importing_loads_neither_simulator_nor_compiler() -> None:
    code = "import sys, bmlang; print(*[name for name in sys.modules if name.startswith(('bmlang.', 'tpukernel.sim', 'tpukernel.lang'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
