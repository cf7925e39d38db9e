"""Random legal arguments for the TPUKernel functions.

    params = draw("tpu_bdc_fp_add", random.Random(1))
    record([Call.of("tpu_bdc_fp_add", params)])

Arguments are drawn parameter by parameter, in phases: data types, shapes and counts, strides and constants, addresses. What a parameter is
drawn from follows from the first matching rule of ``draw_rules.RULES`` for its function and name, else from its kind. Data types come from
``tests/data/accepted_dtypes_bm1684x.json``, the combinations that the official library accepts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import TypedDict, cast

from hypothesis import strategies as st

from tests.support.draw_context import Context
from tests.support.draw_memory import LOW_DDR_BYTES, NoRoomError
from tests.support.draw_operands import place_operands
from tests.support.draw_rules import EXCLUDED, PHASE_OF_KIND, drawer
from tests.support.oracle import Call, Value
from tests.support.signatures import Parameter, signatures

__all__ = ["LOW_DDR_BYTES", "accepted_dtypes", "calls", "draw", "draw_program", "drawable_functions"]

DTYPES_FILE = Path(__file__).resolve().parents[1] / "data" / "accepted_dtypes_bm1684x.json"
ATTEMPTS = 100


class _Accepted(TypedDict):
    parameters: list[str]
    combinations: list[str]
    functions: list[str]


class _DtypeTable(TypedDict):
    doc: str
    codes: dict[str, int]
    groups: list[_Accepted]


@cache
def accepted_dtypes() -> dict[str, tuple[dict[str, int], ...]]:
    """By function: the accepted assignments of ``data_type_t`` codes to its data type parameters."""
    table = cast(_DtypeTable, json.loads(DTYPES_FILE.read_text(encoding="utf-8")))
    found: dict[str, tuple[dict[str, int], ...]] = {}
    for group in table["groups"]:
        rows = (row.split("/") for row in group["combinations"])
        assignments = tuple({name: table["codes"][dtype] for name, dtype in zip(group["parameters"], row, strict=True)} for row in rows)
        found |= dict.fromkeys(group["functions"], assignments)
    return found


@cache
def drawable_functions() -> tuple[str, ...]:
    """The functions that ``draw`` knows, in alphabetical order."""
    return tuple(sorted(set(signatures()) - EXCLUDED))


def draw(function: str, rng: Random, *, dtypes: Mapping[str, int] | None = None, low_ddr: bool = False) -> dict[str, Value]:
    """Arguments for ``function`` by parameter name, in call order.

    Local operands lie inside their lane and do not overlap; system operands do not overlap and lie in DDR or L2, with ``low_ddr`` in the
    first ``LOW_DDR_BYTES`` of DDR (to execute the call on an emulated memory). ``dtypes`` fixes the data type parameters. Raises
    ``KeyError`` for a function that cannot be drawn.
    """
    if function not in drawable_functions():
        raise KeyError(function)
    for _ in range(ATTEMPTS):
        chosen = rng.choice(accepted_dtypes().get(function, ({},))) if dtypes is None else dtypes
        context = Context(rng, function, signatures()[function].names, dict(chosen), low_ddr, default_strides=rng.random() < 0.2)
        try:
            return _drawn(context, signatures()[function].parameters)
        except NoRoomError:
            continue
    raise NoRoomError(function)


def _drawn(context: Context, parameters: tuple[Parameter, ...]) -> dict[str, Value]:
    for parameter in sorted(parameters, key=lambda parameter: PHASE_OF_KIND[parameter.kind]):
        if parameter.name not in context.values:
            context.values[parameter.name] = drawer(context.function, parameter)(context, parameter.name)
    place_operands(context, parameters)
    return {name: context.values[name] for name in context.names}


def draw_program(rng: Random, length: int = 12) -> list[Call]:
    """``length`` random calls of both engines, some of them inside parallel regions: for ids and dependencies.

    The calls have nothing to do with each other; their operands may overlap.
    """
    gdma, tiu = (tuple(name for name in drawable_functions() if prefix in name) for prefix in ("tpu_gdma", "tpu_bdc"))
    program: list[Call] = []
    parallel = False
    for _ in range(length):
        if rng.random() < 0.3:
            program.append(Call("tpu_parallel_end" if parallel else "tpu_parallel_start"))
            parallel = not parallel
        function = rng.choice(rng.choice((gdma, tiu)))
        program.append(Call.of(function, draw(function, rng)))
    return [*program, Call("tpu_parallel_end")] if parallel else program


@st.composite
def calls(draw_value: st.DrawFn, functions: tuple[str, ...] | None = None, *, low_ddr: bool = False) -> Call:
    """A hypothesis strategy of calls of ``functions`` (default: all that can be drawn)."""
    function = draw_value(st.sampled_from(functions or drawable_functions()))
    return Call.of(function, draw(function, draw_value(st.randoms(use_true_random=False)), low_ddr=low_ddr))
