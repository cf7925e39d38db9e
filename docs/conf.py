"""Sphinx settings of the documentation: `sphinx-build -W docs docs/_build`."""

from __future__ import annotations

import gc
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, cast

import bmlang
import tpukernel
from tpukernel.api import Function, HostFunction, MissingFunction, rows
from tpukernel.chips.chip import CHIPS
from tpukernel.isa.errors import ChipSupportError
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.spec import REQUIRED, Attribute, OperandField
from tpukernel.isa.tables import instruction_set

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.domains.python import ObjectEntry, PythonDomain
    from sphinx.environment import BuildEnvironment

CalledRow = Function[...] | HostFunction[..., object]

project = "tpukernel"
copyright = "the tpukernel authors"
version = release = tpukernel.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
# Docstrings write code in single backticks.
default_role = "code"
myst_heading_anchors = 2
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_use_type_comments = False
# They would make a dash of the two hyphens of an option.
smartquotes = False
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


def quick_python_domain() -> type[PythonDomain]:
    """The domain of Python objects; a function, because the tests read this file where there is no Sphinx."""
    from sphinx.domains.python import PythonDomain

    class QuickPythonDomain(PythonDomain):
        """Finds an object by the last part of its name in a table.

        Sphinx compares each type that a signature mentions with the ends of all names: that was a third of the time of the documentation.
        """

        _asked: Mapping[str, ObjectEntry] | None = None
        _tables: tuple[int, dict[str, dict[str, ObjectEntry]]] = (0, {})

        @property
        def objects(self) -> dict[str, ObjectEntry]:
            """All objects by their full name; while one is looked for, those that it can be."""
            return super().objects if self._asked is None else cast("dict[str, ObjectEntry]", self._asked)

        def find_obj(
            self, env: BuildEnvironment, modname: str, classname: str, name: str, type: str | None, searchmode: int = 0
        ) -> list[tuple[str, ObjectEntry]]:
            """As that of the base, which is asked about fewer objects."""
            self._asked = self._by_last_part().get(name.removesuffix("()").rpartition(".")[2], {})
            try:
                return super().find_obj(env, modname, classname, name, type, searchmode)
            finally:
                self._asked = None

        def _by_last_part(self) -> dict[str, dict[str, ObjectEntry]]:
            known = super().objects
            if self._tables[0] != len(known):
                tables: dict[str, dict[str, ObjectEntry]] = {}
                for name, entry in known.items():
                    tables.setdefault(name.rpartition(".")[2], {})[name] = entry
                self._tables = len(known), tables
            return self._tables[1]

    return QuickPythonDomain


@cache
def public_modules() -> Mapping[str, list[tuple[str, bool]]]:
    """Name of every module that does not begin with an underscore, and whether it is a package, by the page that lists it.

    A page is named after a package of `tpukernel` or `bmlang`; what lies beside these packages is on the page of `tpukernel` or `bmlang`.
    """
    pages: dict[str, list[tuple[str, bool]]] = {}
    for package in (tpukernel, bmlang):
        root = package.__name__
        pages[root] = [(root, True)]
        for module in pkgutil.walk_packages(package.__path__, f"{root}."):
            if not any(part.startswith("_") for part in module.name.split(".")):
                page = ".".join(module.name.split(".")[:2])
                if page == module.name and module.ispkg:
                    pages[page] = []
                pages[page if page in pages else root].append((module.name, module.ispkg))
    return pages


_MODULES = re.compile(r"^% modules of (\S+)$", re.MULTILINE)


def check_pages(app: Sphinx) -> None:
    """Every package has a page."""
    from sphinx.errors import ExtensionError

    found = {name for page in Path(app.srcdir, "api").glob("*.md") for name in _MODULES.findall(page.read_text(encoding="utf-8"))}
    wanted = set(public_modules())
    if found != wanted:
        raise ExtensionError(f"docs/api lacks pages for {sorted(wanted - found)} and has some for {sorted(found - wanted)}")


def list_modules(app: Sphinx, docname: str, source: list[str]) -> None:  # noqa: ARG001
    """Puts the modules of a package where a page says `% modules of PACKAGE`. Of a package itself only its docstring: what it exports is
    described where it is.
    """
    source[0] = _MODULES.sub(lambda found: _module_blocks(found[1]), source[0])


def _module_blocks(page: str) -> str:
    blocks: list[str] = []
    for name, is_package in public_modules()[page]:
        members = "   :no-members:\n" if is_package else ""
        blocks.append(f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n{members}```\n")
    return "\n".join(blocks)


def list_units(app: Sphinx, docname: str, source: list[str]) -> None:  # noqa: ARG001
    """Puts the units of every chip, as their classes declare them, where a page says `% units`."""
    source[0] = re.sub(r"^% units$", lambda _: unit_tables(), source[0], flags=re.MULTILINE)


def unit_tables() -> str:
    """All units of all chips as Markdown: an overview, then operands and rules of each."""
    chips: dict[type[Instruction], list[str]] = {}
    for chip in CHIPS.values():
        try:
            for unit in instruction_set(chip).units:
                chips.setdefault(unit, []).append(chip.name)
        except ChipSupportError:
            continue
    overview = [(_class_link(unit), unit.engine, f"`{unit.unit}`", ", ".join(names)) for unit, names in chips.items()]
    parts = [_table(("class", "engine", "name in the chip's tables", "chips"), overview)]
    for unit in chips:
        parts += [f"### {unit.__name__}", *_unit_parts(unit)]
    return "\n\n".join(parts)


def _unit_parts(unit: type[Instruction]) -> Iterator[str]:
    about = (unit.__doc__ or "").strip().partition("\n\n")[0]
    yield f"{_class_link(unit)}: {' '.join(about.split())}"
    operation = unit.specs.get("op")
    if isinstance(operation, Attribute) and operation.known is not None:
        members = (operation.kind(number) for number in sorted(operation.known))
        yield "Operations: " + ", ".join(f"`{getattr(member, 'name', member)}`" for member in members) + "."
    annotations = {name: str(text) for base in reversed(unit.__mro__) for name, text in vars(base).get("__annotations__", {}).items()}
    rows = [
        (f"`{name}`", f"`{annotations[name]}`", _direction(spec), "" if spec.default is REQUIRED else f"`{spec.default}`")
        for name, spec in unit.specs.items()
        if name not in ("id", "depends", "op")
    ]
    if rows:
        yield _table(("operand or attribute", "type", "", "default"), rows)
    if unit.rules:
        yield _table(("rule", "what it demands"), [(f"`{rule.name}`", rule.text) for rule in unit.rules])


def list_functions(app: Sphinx, docname: str, source: list[str]) -> None:  # noqa: ARG001
    """Puts the table of TPUKernel functions where a page says `% functions`, and what is missing where it says `% missing functions`."""
    source[0] = re.sub(r"^% functions$", lambda _: function_tables(), source[0], flags=re.MULTILINE)
    source[0] = re.sub(r"^% missing functions$", lambda _: missing_table(), source[0], flags=re.MULTILINE)


def function_tables() -> str:
    """All functions of the public header that the chip has as Markdown, one table for each group."""
    parts: list[str] = []
    for group, members in groupby(rows().values(), lambda row: row.group):
        found = [_function_row(cast("CalledRow", row)) for row in members if not isinstance(row, MissingFunction)]
        if found:
            parts += [f"### {group}", _table(("function", "what it does", "instructions"), found)]
    return "\n\n".join(parts)


def _function_row(row: CalledRow) -> tuple[str, ...]:
    marks = {"out": "&darr;", "inout": "&varr;", "work": "&#9634;"}
    arguments = ", ".join(f"{each.name}{marks.get(each.kind.direction, '')}" for each in row.parameters)
    emitted = ", ".join(_class_link(unit) for unit in row.emits) if isinstance(row, Function) else ""
    return f"`{row.name}`({arguments})", row.summary, emitted


def missing_table() -> str:
    """The functions of the public header that the chip does not have."""
    found = [(f"`{row.name}`", row.group, row.why) for row in rows().values() if isinstance(row, MissingFunction)]
    return _table(("function", "group", "why not"), found)


def _class_link(unit: type[Instruction]) -> str:
    return f"{{py:class}}`~{unit.__module__}.{unit.__name__}`"


def _direction(spec: object) -> str:
    if not isinstance(spec, OperandField):
        return ""
    directions = {"in": "read", "out": "written", "inout": "read and written"}
    return directions.get(str(spec._direction), "by operation")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    # The tree of a page is a million objects in cycles, none of them garbage before the page is done.
    gc.set_threshold(200_000, 10, 10)
    app.add_domain(quick_python_domain(), override=True)
    app.connect("builder-inited", check_pages)
    app.connect("source-read", list_modules)
    app.connect("source-read", list_units)
    app.connect("source-read", list_functions)
    # Before napoleon (priority 500), which indents what belongs to a section.
    app.connect("autodoc-process-docstring", prepare_docstring, priority=400)
