"""Sphinx settings of the documentation: `sphinx-build -W docs docs/_build`."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import bmlang
import tpukernel

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "tpukernel"
copyright = "the tpukernel authors"
version = release = tpukernel.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
# Docstrings write code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True
# Two modules may have a class of the same name; Sphinx then warns where a docstring names it without its module.
suppress_warnings = ["ref.python"]
html_theme = "alabaster"

_ROW = re.compile(r"\s*\|.*\|\s*$")
_RULE = re.compile(r"\s*\|[-:| ]+\|\s*$")


def list_table(rows: list[str]) -> list[str]:
    """A Markdown table as the lines of a reStructuredText list-table."""
    indent = " " * (len(rows[0]) - len(rows[0].lstrip()))
    found = ["", ".. list-table::", f"   :header-rows: {int(len(rows) > 1 and bool(_RULE.match(rows[1])))}", ""]
    for row in rows:
        if not _RULE.match(row):
            cells = re.split(r"(?<!\\)\|", row.strip().strip("|"))
            found += [f"   {'  ' if k else '* '}- {cell.strip()}" for k, cell in enumerate(cells)]
    return [indent + line for line in [*found, ""]]


def prepare_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:  # noqa: ARG001
    """Makes reStructuredText of Markdown tables, and keeps napoleon from taking the words before a colon as the type of an attribute."""
    found: list[str] = []
    for is_table, group in groupby(lines, lambda line: bool(_ROW.match(line))):
        block = list(group)
        found += list_table(block) if is_table else block
    # An empty comment comes first: napoleon looks for `type: description` in the first line only.
    lines[:] = ["..", "", *found] if what in ("attribute", "data", "property") else found


def public_modules() -> Iterator[tuple[str, bool]]:
    """Name of every module that does not begin with an underscore, and whether it is a package."""
    for package in (tpukernel, bmlang):
        yield package.__name__, True
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part.startswith("_") for part in module.name.split(".")):
                yield module.name, module.ispkg


def list_modules(app: Sphinx, docname: str, source: list[str]) -> None:  # noqa: ARG001
    """Puts all public modules where a page says `% modules`. Of a package only its docstring: what it exports is described where it is."""
    blocks: list[str] = []
    for name, is_package in public_modules():
        members = "   :no-members:\n" if is_package else ""
        blocks.append(f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n{members}```\n")
    source[0] = re.sub(r"^% modules$", "\n".join(blocks), source[0], flags=re.MULTILINE)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", list_modules)
    # Before napoleon (priority 500), which indents what belongs to a section.
    app.connect("autodoc-process-docstring", prepare_docstring, priority=400)
