"""Finds out which data type combinations the official library accepts and writes ``tests/data/accepted_dtypes_bm1684x.json``.

    python -m tests.support.sweep_dtypes        (a few minutes)

Every function is called with every sensible combination and otherwise legal arguments, without bias and ReLU (they change which results
are allowed); a combination counts as accepted when one of a few such calls is. Not needed to run the tests.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from random import Random

from tests.support.draws import DTYPES_FILE, draw, drawable_functions
from tests.support.oracle import Call, Value, record
from tests.support.signatures import signatures

CODES = {"i8": 1, "u8": 0, "f16": 3, "f32": 5, "i16": 7, "u16": 6, "i32": 9, "u32": 8, "bf16": 11}
FLOATS = ("f16", "f32", "bf16")
INTEGERS = tuple(name for name in CODES if name not in FLOATS)
BYTES = ("i8", "u8")
ATTEMPTS = 4

CANDIDATES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (r"fp_exponent_part", r"dst_dtype", INTEGERS),
    (r"bdc_fp_", r".*", FLOATS),
    (r"bdc_int8_", r"(input|weight|left|right|C|kzp|right_zp|C_zp)_dtype", BYTES),
    (r"bdc_int8?_", r".*", INTEGERS),
    (r"", r".*", tuple(CODES)),
)
"""Data types worth trying: (function, parameter, types), first match. The library does not check all that makes no sense."""

DOC = (
    "Data type combinations that the official BM1684X library accepts without an assertion, found by calling every function with every "
    "combination; floating-point types are left out of integer functions and the other way round. Rows are in the order of the parameters."
)

Combination = tuple[str, ...]


def dtype_parameters(function: str) -> tuple[str, ...]:
    """Names of the data type parameters of a function."""
    return tuple(parameter.name for parameter in signatures()[function].parameters if parameter.kind == "dtype")


def candidates(function: str) -> Iterator[Combination]:
    """The combinations worth trying."""
    rules = [
        next(types for functions, names, types in CANDIDATES if re.search(functions, function) and re.fullmatch(names, name))
        for name in dtype_parameters(function)
    ]
    return product(*rules)


def accepted(function: str, combinations: Iterable[Combination], rng: Random) -> list[Combination]:
    """Those combinations with which one of a few random calls is accepted, in the given order."""
    order = list(combinations)
    open_ones = set(order)
    for _ in range(ATTEMPTS):
        trial = [combination for combination in order if combination in open_ones]
        results = record(Call.of(function, plain_draw(function, combination, rng)) for combination in trial)
        open_ones -= {combination for combination, result in zip(trial, results, strict=True) if not result.rejected}
    return [combination for combination in order if combination not in open_ones]


def plain_draw(function: str, combination: Combination, rng: Random) -> dict[str, Value]:
    """Arguments with these data types, without bias and ReLU."""
    dtypes = {name: CODES[dtype] for name, dtype in zip(dtype_parameters(function), combination, strict=True)}
    params = draw(function, rng, dtypes=dtypes)
    plain = {name: False for name in ("has_bias", "result_relu") if name in params and "int8" in function}
    return {**params, **plain, **dtypes}


def dtype_names(assignment: Mapping[str, int]) -> Combination:
    """A data type assignment as a row of the table."""
    names = {code: name for name, code in CODES.items()}
    return tuple(names[code] for code in assignment.values())


def main() -> int:
    groups: dict[tuple[tuple[str, ...], tuple[Combination, ...]], list[str]] = {}
    rng = Random(0)
    for function in drawable_functions():
        if names := dtype_parameters(function):
            found = tuple(accepted(function, candidates(function), rng))
            groups.setdefault((names, found), []).append(function)
    rows = [
        {"parameters": names, "combinations": ["/".join(row) for row in found], "functions": functions}
        for (names, found), functions in groups.items()
    ]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    text = f'{{"doc": {json.dumps(DOC)},\n"codes": {json.dumps(CODES)},\n"groups": [\n{lines}\n]}}\n'
    DTYPES_FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
