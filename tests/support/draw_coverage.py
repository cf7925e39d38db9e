"""How well the random arguments of ``draws.py`` exercise the encoding: distinct values of every field that depends on the arguments.

    python -m tests.support.draw_coverage [DRAWS PER FUNCTION]

prints one row per function and command: each variable field with the number of distinct values seen, ``!`` after it where that is below
three and no rule of ``LIMITED`` says why.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import TypedDict, cast

from tests.support.commands import layout, split
from tests.support.draws import draw, drawable_functions
from tests.support.oracle import Call, record

FIELDS_FILE = Path(__file__).resolve().parents[1] / "data" / "variable_fields_bm1684x.json"
WANTED = 3
IDS = {"cmd_id", "cmd_id_dep"}
DRAWS = 100

LIMITED: tuple[tuple[str, str, str, int, str], ...] = (
    (r".*", r".*", r"(res0|opd0|opd1)_str", 2, "a stride is the default layout or free"),
    (r".*_(add|sub|mul|square|C_sub)(_C)?", r"AR|VC", r"tsk_eu_typ", 2, "wrapping or saturating"),
    (r"tpu_bdc_(abs|cast|relu)", r"AR", r"tsk_eu_typ", 2, "a copy where nothing is to be done"),
    (r".*", r"SG", r"tsk_eu_typ", 2, "operands share a bank or not"),
    (r"tpu_gdma_cpy_nc_trans_.*", r"DMA_tensor", r"(src|dst)_wstride", 2, "one where strides are given: a transpose takes no other"),
    (r"tpu_gdma_h_.*", r"DMA_(gather|scatter)", r"index_hstride", 2, "one, or zero without strides"),
    (r".*", r"CONV|MM|PorD", r"tsk_eu_typ", 2, "with or without ReLU"),
    (r".*", r"AR", r"tsk_opd_num", 2, "with or without a shift"),
    (r"tpu_bdc_fp_isfinite", r"AR", r".*_prec", 2, "works on the bits, as 16 or 32-bit integers"),
    (r"tpu_bdc_fp_mm.*", r"MM2", r"opd0_prec", 2, "f16 or bf16"),
    (r"tpu_bdc_int8_.*", r"CONV|MM", r"res0_prec", 2, "8 or 16-bit results"),
    (r"tpu_bdc_.*requant", r"RQ&DQ", r"opd0_prec", 2, "16 or 32-bit sources"),
    (r"tpu_bdc_.*requant", r"RQ&DQ", r"res0_prec", 2, "8 or 16-bit results"),
    (r"tpu_bdc_.*dequant", r"RQ&DQ", r"opd0_prec", 2, "8 or 16-bit sources"),
    (r"tpu_bdc_int_.*dequant", r"RQ&DQ", r"res0_prec", 2, "16 or 32-bit results"),
    (r"tpu_bdc_fp_exponent_part", r"SFU", r"res0_prec", 2, "16 or 32-bit results"),
    (r".*", r"SGL?", r"opd1_prec", 2, "8 or 16-bit indices"),
)
"""Fields that cannot take three values: (function, command, field, number of values, why). One-bit fields go without saying."""


class _Group(TypedDict):
    command: str
    fields: str
    at: str


@dataclass(frozen=True)
class FieldCoverage:
    """Values that a field took, and how many it has to take."""

    function: str
    position: int
    command: str
    field: str
    values: frozenset[int]
    wanted: int

    @property
    def covered(self) -> bool:
        return len(self.values) >= self.wanted


@cache
def variable_fields() -> tuple[tuple[str, int, str, tuple[str, ...]], ...]:
    """(function, position, command, its variable fields) of the functions whose number of commands is fixed."""
    groups = cast("dict[str, list[_Group]]", json.loads(FIELDS_FILE.read_text(encoding="utf-8")))["groups"]
    rows: list[tuple[str, int, str, tuple[str, ...]]] = []
    for group in groups:
        for function, _, position in (place.partition(":") for place in group["at"].split()):
            rows.append((function, int(position), group["command"], tuple(group["fields"].split())))
    return tuple(sorted(rows))


@cache
def wanted(function: str, command: str, field: str) -> int:
    """Number of distinct values a field has to take."""
    for functions, commands, fields, count, _ in LIMITED:
        if re.fullmatch(functions, function) and re.fullmatch(commands, command) and re.fullmatch(fields, field):
            return count
    width = next(width for name, _, width in layout(command) if name == field)
    return min(WANTED, 1 << width)


def measure(draws: int = DRAWS) -> Iterator[FieldCoverage]:
    """Record ``draws`` random calls of every function and count the values of its variable fields.

    These are the listed ones, and for functions that always emit the same commands also all others that were seen to vary.
    """
    functions = [function for function in drawable_functions() for _ in range(draws)]
    rng = Random(20)
    recorded = record([Call.of(function, draw(function, rng)) for function in functions])
    forms: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    seen: defaultdict[tuple[str, int, str, str], set[int]] = defaultdict(set)
    for function, result in zip(functions, recorded, strict=True):
        commands = [*split("tiu", result.tiu), *split("gdma", result.gdma)]
        forms[function].add(tuple(command.name for command in commands))
        for position, command in enumerate(commands):
            for field, value in command.fields.items():
                seen[function, position, command.name, field].add(value)
    listed = {(function, position, command, field) for function, position, command, fields in variable_fields() for field in fields}
    varying = {key for key, values in seen.items() if len(values) > 1 and key[3] not in IDS and len(forms[key[0]]) == 1}
    for function, position, command, field in sorted(listed | varying):
        values = frozenset(seen[function, position, command, field])
        yield FieldCoverage(function, position, command, field, values, wanted(function, command, field))


def main(arguments: list[str]) -> int:
    rows: defaultdict[tuple[str, int, str], list[FieldCoverage]] = defaultdict(list)
    for entry in measure(int(arguments[0]) if arguments else DRAWS):
        rows[entry.function, entry.position, entry.command].append(entry)
    for (function, position, command), entries in rows.items():
        print(f"{function}[{position}] {command}: " + " ".join(f"{e.field}={len(e.values)}{'' if e.covered else '!'}" for e in entries))
    missing = sum(not entry.covered for entries in rows.values() for entry in entries)
    total = sum(map(len, rows.values()))
    print(f"{len({function for function, _, _ in rows})} functions, {total} variable fields, {missing} not covered")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
