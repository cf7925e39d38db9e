"""Sphinx settings of the documentation: `sphinx-build -W docs docs/_build`."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from tpukernel import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "tpukernel"
copyright = "the tpukernel authors"  # noqa: A001 - the name Sphinx reads
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
# Docstrings write code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True
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


def markdown_tables(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:  # noqa: ARG001
    """Docstrings may hold Markdown tables, which reads better in the source than reStructuredText's."""
    found: list[str] = []
    for is_table, group in groupby(lines, lambda line: bool(_ROW.match(line))):
        block = list(group)
        found += list_table(block) if is_table else block
    lines[:] = found


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    # Before napoleon (priority 500), which indents what belongs to a section.
    app.connect("autodoc-process-docstring", markdown_tables, priority=400)
