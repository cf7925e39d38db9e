"""Writes docs/functions_accuracy.md: what the approximating TPUKernel functions compute on the simulator, compared with float64.

python -m tests.support.accuracy
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from tests.support.accuracy_cases import CASES, SAME_NUMBERS, Case, Range, Reals
from tpukernel import BM1684X
from tpukernel.api import ArgumentError, Function, rows
from tpukernel.chips.tensors import LocalTensor
from tpukernel.dtypes import Dtype, dtype_of, f32
from tpukernel.isa import Instruction, Program
from tpukernel.sim import Machine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "functions_accuracy.md"
STUDY = Path(__file__).resolve().parents[1] / "data" / "accuracy_bm1684x.json"
POINTS = 65536
SEED = 5
"""Of the operands; the measured instruction-set study used the same ones."""
SAME = "same"
"""What the page says of figures that agree with those of the study."""
SPACING = 16 << 10
"""Bytes of a lane for each operand of a call."""
COEFFICIENTS = {"exp_coeff_addr": "exp", "log_coeff_addr": "log", "ln_coeff_addr": "log", "erf_coeff_addr": "erf"}
_OF_FUNCTION = {
    "cot": "tan",
    "arccos": "arcsin",
    **{name: name for name in ("sin", "cos", "tan", "arcsin", "log")},
    **dict.fromkeys(("log1p", "logx", "arcsinh", "arccosh", "arctanh"), "log"),
}
"""The coefficients that `coeff_addr` of a function means; of all others it means those of exp."""


def coefficients(function: str, parameter: str) -> str:
    """Which coefficients a function takes at that parameter."""
    if parameter in COEFFICIENTS:
        return COEFFICIENTS[parameter]
    return _OF_FUNCTION.get(function.removeprefix("tpu_bdc_fp32_"), "exp")


# ---------------------------------------------------------------------------- running


@cache
def _machine() -> Machine:
    return Machine(BM1684X)


@dataclass(frozen=True)
class Prepared:
    """A call of a function on operands of some shape.

    Attributes:
        loads: the instructions that put the coefficients into every lane.
        instructions: those of the function.
        sources, dst: its operands and its result.
    """

    loads: Sequence[Instruction]
    instructions: Sequence[Instruction]
    sources: Sequence[LocalTensor]
    dst: LocalTensor


def prepared(case: Case, dtype: Dtype, count: int, *, in_place: bool = False) -> Prepared:
    """The call for that many elements; `in_place`: it writes over its first operand.

    Raises:
        ArgumentError: the function refuses that.
    """
    shape = (1, BM1684X.lanes, 1, -(-count // BM1684X.lanes))
    row = _function(case.function)
    local = [each.name for each in row.parameters if each.kind.name == "local"]
    places = {name: SPACING * k for k, name in enumerate(local)}
    sources = [LocalTensor(places[name], shape, dtype) for name in local if name.startswith("src")]
    if in_place:
        places["dst_addr"] = sources[0].address
    values = {"dim4": shape, "stride": None, "dtype": dtype}
    arguments = {
        each.name: places[each.name] if each.name in places else values.get(each.kind.name, case.numbers.get(each.name))
        for each in row.parameters
    }
    tables = {places[name]: coefficients(case.function, name) for name in local if name.endswith("coeff_addr")}
    loads = [each for place, name in tables.items() for each in _function(f"tpu_bdc_load_fp32_{name}_coeff").instructions(place)]
    return Prepared(loads, row.instructions(**arguments), sources, LocalTensor(places["dst_addr"], shape, dtype))


def _function(name: str) -> Function[...]:
    return cast("Function[...]", rows()[name])


def evaluate(case: Case, dtype: Dtype, *sources: NDArray[np.generic], in_place: bool = False) -> Reals:
    """The results of the function for operands of the numpy type of `dtype`, as float64; `in_place`: it writes over its first operand.

    Raises:
        ArgumentError: it refuses to.
    """
    count = len(sources[0])
    call = prepared(case, dtype, count, in_place=in_place)
    program = Program(BM1684X)
    program.extend([*call.loads, *call.instructions])
    machine = _machine()
    for tensor, source in zip(call.sources, sources, strict=True):
        machine.load(tensor, np.resize(source, tensor.shape))
    machine.run(program)
    return machine.dump(call.dst).reshape(-1)[:count].astype(np.float64)


def reference(case: Case, *sources: NDArray[np.generic]) -> Reals:
    """What the function should compute."""
    with np.errstate(all="ignore"):
        return cast("Callable[..., Reals]", case.reference)(*(source.astype(np.float64) for source in sources))


# ---------------------------------------------------------------------------- errors over a range


@dataclass(frozen=True)
class Errors:
    """Differences from float64 in units of the last place of the data type at the exact result, and absolute ones.

    `not_finite` counts the results that are infinite or NaN; they are left out of the others.
    """

    max_ulp: float
    at: float
    got: float
    mean_ulp: float
    max_abs: float
    not_finite: int


def ulp(exact: Reals, dtype: Dtype) -> Reals:
    """The distance of neighbouring numbers of a float type at these numbers; subnormal ones count as the smallest normal number."""
    digits, smallest = {"f32": (23, -126), "f16": (10, -14), "bf16": (7, -126)}[dtype.name]
    return np.ldexp(1.0, np.maximum(np.frexp(exact)[1] - 1, smallest) - digits)


def errors(case: Case, dtype: Dtype, limits: Range, points: int = POINTS) -> Errors:
    """The errors of a function over a range of its operand."""
    random = np.random.default_rng(SEED)
    sources = [each.draw(random, points).astype(np.float32).astype(dtype.numpy) for each in (limits, case.second) if each]
    got, exact = evaluate(case, dtype, *sources), reference(case, *sources)
    finite = np.isfinite(got)
    operand, got, exact = sources[0][finite], got[finite], exact[finite]
    difference = np.abs(got - exact)
    in_ulp = difference / ulp(exact, dtype)
    worst = int(np.argmax(in_ulp))
    return Errors(
        max_ulp=float(in_ulp[worst]),
        at=float(operand[worst]),
        got=float(got[worst]),
        mean_ulp=float(np.mean(in_ulp)),
        max_abs=float(np.max(difference)),
        not_finite=int(np.sum(~finite)),
    )


# ---------------------------------------------------------------------------- special values and failures

SPECIAL = {"0": 0.0, "-0": -0.0, "1e-40": 1e-40, "inf": np.inf, "-inf": -np.inf, "nan": np.nan, "3e38": 3e38, "-3e38": -3e38}
STEP = 1 << 16
"""Distance of the bit patterns of the operands that are tried over all f32 numbers: 128 in each octave."""
GAP = 256
"""Failures of one kind that are no further apart are one range."""


def special_values(case: Case, dtype: Dtype) -> list[float]:
    """The results for `SPECIAL`."""
    with np.errstate(over="ignore"):
        return evaluate(case, dtype, np.array(list(SPECIAL.values())).astype(np.float32).astype(dtype.numpy)).tolist()


def normal_numbers() -> NDArray[np.float32]:
    """Normal f32 numbers in ascending order."""
    positive = np.arange(0x0080_0000, 0x7F80_0000, STEP, dtype=np.uint32).view(np.float32)
    return np.concatenate((-positive[::-1], positive))


@dataclass(frozen=True)
class Failure:
    """A range of operands in which results are wrong in one way: first and last such operand, and how many of those between are so."""

    kind: str
    first: float
    last: float
    share: float


def failures(case: Case) -> list[Failure]:
    """What goes wrong over all normal f32 numbers, from the lowest range to the highest."""
    source = normal_numbers()
    kinds = _kinds(evaluate(case, f32, source), reference(case, source))
    found: list[Failure] = []
    for kind in sorted(set(kinds) - {""}):
        places = np.flatnonzero(kinds == kind)
        for part in np.split(places, np.flatnonzero(np.diff(places) > GAP) + 1):
            first, last = int(part[0]), int(part[-1])
            found.append(Failure(kind, float(source[first]), float(source[last]), len(part) / (last - first + 1)))
    return sorted(found, key=lambda each: each.first)


def _kinds(got: Reals, exact: Reals) -> NDArray[np.str_]:
    largest, smallest = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)
    overflow = np.abs(exact) > largest
    with np.errstate(invalid="ignore"):
        off = (np.abs(got - exact) > 0.01 * np.abs(exact)) & (np.abs(got - exact) > smallest)
        conditions = (
            ("a number, not NaN", np.isnan(exact) & ~np.isnan(got)),
            ("NaN", np.isnan(got) & ~np.isnan(exact)),
            ("finite, not infinite", overflow & np.isfinite(got)),
            ("infinite", np.isinf(got) & ~overflow & ~np.isnan(exact)),
            ("wrong infinity", overflow & np.isinf(got) & (np.sign(got) != np.sign(exact))),
            ("off by more than 1 %", off & ~overflow & np.isfinite(got)),
        )
    return np.select([where for _, where in conditions], [name for name, _ in conditions], "")


def in_place(case: Case) -> str:
    """What happens when the function writes over its first operand."""
    random = np.random.default_rng(SEED)
    first, *more = (each.draw(random, 1024).astype(np.float32) for each in (case.ranges[0], case.second) if each)
    everywhere = np.concatenate((first, normal_numbers()[::32]))
    sources = [everywhere, *(np.resize(each, everywhere.shape) for each in more)]
    try:
        found = evaluate(case, f32, *sources, in_place=True)
    except ArgumentError:
        return "refused"
    return "possible" if np.array_equal(found, evaluate(case, f32, *sources), equal_nan=True) else "wrong results"


# ---------------------------------------------------------------------------- the study


class Measured(TypedDict):
    """One measurement of the study: see `STUDY`."""

    function: str
    numbers: dict[str, float]
    range: list[float]
    log: bool
    max_ulp: float
    at_x: float
    got: float
    max_abs: float


@cache
def study() -> Sequence[Measured]:
    """What the measured instruction-set study found on the official C model."""
    return cast("dict[str, list[Measured]]", json.loads(STUDY.read_text(encoding="utf-8")))["measurements"]


def measured(case: Case, limits: Range) -> Measured | None:
    """The measurement of the study for a row of the page."""
    wanted = (case.function, dict(case.numbers), [limits.low, limits.high], limits.log)
    return next((each for each in study() if (each["function"], each["numbers"], each["range"], each["log"]) == wanted), None)


def agrees(found: Errors, other: Measured) -> bool:
    """The worst result is at the same operand and has the same bits, and the errors are the same up to rounding of the references."""
    same_point = (found.at, found.got) == (other["at_x"], other["got"])
    pairs = ((found.max_ulp, other["max_ulp"]), (found.max_abs, other["max_abs"]))
    return same_point and all(abs(a - b) <= 1e-3 * abs(b) for a, b in pairs)


# ---------------------------------------------------------------------------- the page


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines))


def number(value: float) -> str:
    """A number with two digits."""
    return f"{value:.2g}"


def error_rows(case: Case) -> Iterator[list[str]]:
    """The rows of a function in the table of errors."""
    for name in case.dtypes:
        for limits in case.ranges:
            found = errors(case, dtype_of(name), limits)
            other = measured(case, limits) if name == "f32" else None
            agreement = "" if other is None else SAME if agrees(found, other) else f"{number(other['max_ulp'])}, {number(other['max_abs'])}"
            span = f"{limits}; {case.second}" if case.second else f"{limits}"
            more = f", {found.not_finite} not finite" if found.not_finite else ""
            figures = (number(found.max_ulp) + more, f"{found.at:.6g}", number(found.mean_ulp), number(found.max_abs))
            yield [f"`{case.title}`", name, span, *figures, agreement]


def special_rows(case: Case) -> Iterator[list[str]]:
    """The rows of a function in the table of special values."""
    for name in case.dtypes:
        yield [f"`{case.title}`", name, *(f"{value:.4g}" for value in special_values(case, dtype_of(name)))]


def failure_rows(case: Case) -> Iterator[list[str]]:
    """The rows of a function in the table of failures."""
    for each in failures(case):
        share = "all" if each.share == 1 else f"{100 * each.share:.0f} %"
        yield [f"`{case.title}`", each.kind, f"{each.first:.3g}", f"{each.last:.3g}", share]


def in_place_rows(cases: Sequence[Case]) -> Iterator[list[str]]:
    """The rows of the table of results over operands."""
    found = sorted((in_place(case), case.function.removeprefix("tpu_bdc_")) for case in cases)
    for outcome, group in groupby(found, lambda each: each[0]):
        yield [outcome, ", ".join(f"`{name}`" for name in dict.fromkeys(name for _, name in group))]


INTRODUCTION = """# How exact the TPUKernel functions are

Made by `python -m tests.support.accuracy`; do not edit. The functions run on the simulator, which computes the bits of the official
emulator of the BM1684X. They are compared with float64 for the operands as the chip has them. Functions that are not listed compute what
their instructions compute: sums, products, comparisons and conversions are exactly rounded.
"""
ERRORS = f"""## Errors

Over {POINTS} random operands; "log" means uniform in the logarithm, a second range is that of the second operand. An ulp is the distance
of neighbouring numbers of the data type at the exact result, so it is tiny where a result is near 0: there the absolute error says more.
The last column compares with the measurements of the measured instruction-set study on the official emulator with the same operands:
"{SAME}" means the same bits at the worst operand and the same largest errors; else its largest errors in ulp and absolutely are given.
Infinite results and NaNs are counted and left out of the figures.
"""
SPECIALS = """## Special values

What comes out for zeros, a subnormal number (which the chip takes as 0 in f32), infinities, NaN and large numbers. 3e38 is infinite in
f16, and 1e-40 is 0.
"""
FAILURES = f"""## Where f32 functions of one operand fail

Ranges of operands among all normal f32 numbers ({2**23 // STEP} in each octave were tried, so the ends are known to about 1 %; failures
of one kind that are at most two octaves apart are one range). "Off" compares with the exact result and leaves differences below the
smallest normal number alone. A missing function has no such range.
"""
IN_PLACE = """## Results over operands

Whether `dst` may be at the address of the first operand. Where the results are wrong the official library accepts it all the same.
"""
OTHERS = """## Functions that compute as another one

They take f32 only.
"""


def section_tables(cases: Sequence[Case]) -> Mapping[str, str]:
    """The tables of the page."""
    heads = {
        ERRORS: ("function", "type", "operand", "max ulp", "at", "mean ulp", "max error", "study"),
        SPECIALS: ("function", "type", *SPECIAL),
        FAILURES: ("function", "result", "from", "to", "of these"),
        IN_PLACE: ("dst over src", "functions"),
        OTHERS: ("function", "computes as"),
    }
    lines = {
        ERRORS: [line for case in cases for line in error_rows(case)],
        SPECIALS: [line for case in cases if not case.second for line in special_rows(case)],
        FAILURES: [line for case in cases if not case.second for line in failure_rows(case)],
        IN_PLACE: list(in_place_rows(cases)),
        OTHERS: [[f"`{name.removeprefix('tpu_bdc_')}`", f"`{other.removeprefix('tpu_bdc_')}`"] for name, other in SAME_NUMBERS.items()],
    }
    return {text: table(heads[text], lines[text]) for text in heads}


def page() -> str:
    """The whole page."""
    return "\n\n".join((INTRODUCTION.strip(), *(f"{text.strip()}\n\n{found}" for text, found in section_tables(CASES).items()))) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
