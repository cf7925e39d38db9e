"""The tables of units in the documentation come from the classes, all of them, and are Markdown that can be read."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tpukernel.isa import Instruction
from tpukernel.isa.tables import instruction_set

DOCS = Path(__file__).resolve().parents[1] / "docs"
UNITS = list(instruction_set("BM1684X").units)


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    """The text of the tables by the name of the class; "" is the overview."""
    text: str = runpy.run_path(str(DOCS / "conf.py"))["unit_tables"]()
    overview, *parts = re.split(r"^### ", text, flags=re.MULTILINE)
    return {"": overview} | {part.partition("\n")[0]: part for part in parts}


def test_a_page_has_the_tables() -> None:
    assert [page.name for page in DOCS.glob("*.md") if "\n% units\n" in page.read_text(encoding="utf-8")] == ["instructions.md"]


def test_every_unit_has_a_section(sections: dict[str, str]) -> None:
    assert list(sections) == ["", *(unit.__name__ for unit in UNITS)]
    assert all(f"`{unit.unit}` | BM1684X |" in sections[""] for unit in UNITS)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.__name__)
def test_a_section_has_operations_operands_and_rules(sections: dict[str, str], unit: type[Instruction]) -> None:
    section = sections[unit.__name__]
    for name in unit.specs.keys() - {"id", "depends", "op"}:
        assert f"\n| `{name}` | `" in section
    for rule in unit.rules:
        assert f"\n| `{rule.name}` | " in section
    operation = unit.specs.get("op")
    for member in getattr(operation, "kind", ()):
        assert f"`{member.name}`" in section
    for row in re.findall(r"^\|.*$", section, flags=re.MULTILINE):
        columns = len(re.findall(r"(?<!\\)\|", row)) - 1
        assert columns in (2, 4), row
