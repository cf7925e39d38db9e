"""What is wanted of the simulator's speed, beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import exp, log
from statistics import fmean

from benchmarks._costs import CACHED, COLD, DISPATCH, MEMORY, STREAM, TILE, TWO_NUMPY, VARIED
from benchmarks._elementwise import CONTIGUOUS, NUMPY
from benchmarks._models import PREFIX
from benchmarks._onnx import NAME as ONNX
from benchmarks._peak import PEAK
from benchmarks._results import OFFICIAL, OFFICIAL_ALONE, ONE_THREAD, OURS, Results, Row
from benchmarks._timing import MEDIAN, MINIMUM, PROCESSOR, Statistic

__all__ = ["CLAIMS", "Claim", "claim_lines", "claims_as_json"]


Measured = Callable[[Results, Statistic], float | None]
"""A number from the rows; None where a row or contender is absent."""


@dataclass(frozen=True)
class Claim:
    """A number that is wanted.

    Attributes:
        name: of what.
        wanted: at least that much, or at most with `at_most`.
        unit: of the number.
        measured: the number from the rows; None where a row or contender is absent.
    """

    name: str
    wanted: float
    unit: str
    measured: Measured
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Whether a measured number is good enough."""
        return value <= self.wanted if self.at_most else value >= self.wanted


def _ratio(row: str, slow: str, fast: str = OURS, against: str | None = None) -> Measured:
    """How many times as long as the other: of two contenders of a row, or of contenders of two rows."""

    def measured(results: Results, statistic: Statistic) -> float | None:
        if row not in results or (against or row) not in results:
            return None
        one, other = results[row].timings.get(slow), results[against or row].timings.get(fast)
        return statistic(one) / statistic(other) if one and other else None

    return measured


def _model(stem: str) -> Measured:
    return _ratio(f"{PREFIX}{stem}", OFFICIAL)


def _least(*found: Measured) -> Measured:
    """The smallest one, of all or none."""

    def measured(results: Results, statistic: Statistic) -> float | None:
        values = [value for one in found if (value := one(results, statistic)) is not None]
        return min(values) if len(values) == len(found) else None

    return measured


def _mean(chosen: Callable[[Row], bool], slow: str, fast: str) -> Measured:
    """Geometric mean of the ratios of some rows."""

    def measured(results: Results, statistic: Statistic) -> float | None:
        values = [value for row in results.values() if chosen(row) and (value := row.ratio(slow, fast, statistic)) is not None]
        return exp(fmean(map(log, values))) if values else None

    return measured


def _worst(chosen: Callable[[Row], bool], slow: str, fast: str) -> Measured:
    def measured(results: Results, statistic: Statistic) -> float | None:
        return min(
            (value for row in results.values() if chosen(row) and (value := row.ratio(slow, fast, statistic)) is not None), default=None
        )

    return measured


def _rate(*names: str) -> Measured:
    """GMAC/s on one thread: of the slowest of these rows."""

    def measured(results: Results, statistic: Statistic) -> float | None:
        return min(
            (value for name in names if name in results and (value := results[name].rate(ONE_THREAD, statistic)) is not None), default=None
        )

    return measured


def _alone(measured: Measured) -> Measured:
    """For contenders of one thread each: by the time of the processor, to which other processes do not add."""
    return lambda results, statistic: measured(results, PROCESSOR[statistic])


def _milliseconds(row: str, contender: str) -> Measured:
    def measured(results: Results, statistic: Statistic) -> float | None:
        timing = results[row].timings.get(contender) if row in results else None
        return statistic(timing) * 1e3 if timing else None

    return measured


def _nanoseconds_each(row: str, contender: str) -> Measured:
    def measured(results: Results, statistic: Statistic) -> float | None:
        rate = results[row].rate(contender, statistic) if row in results else None
        return None if rate is None else 1 / rate

    return measured


def _is_tile(row: Row) -> bool:
    """Of types whose arithmetic is no work beside moving them."""
    return row.name.startswith(TILE) and "f16" not in row.name


def _is_half_tile(row: Row) -> bool:
    return row.name.startswith(TILE) and "f16" in row.name


def _is_of(dtype: str) -> Callable[[Row], bool]:
    return lambda row: row.name.startswith("AR ") and f" {dtype} " in row.name and " to " not in row.name


def _is_model(row: Row) -> bool:
    return row.name.startswith(PREFIX)


_CONV = "conv 3x3 64x56x56"
_LARGE = "AR ADD f32 12544/lane"

CLAIMS = (
    Claim("bench bmodels, geometric mean, vs the C model", 45, "x", _mean(_is_model, OFFICIAL, OURS)),
    Claim("the same, the C model without its waiting threads", 45, "x", _mean(_is_model, OFFICIAL_ALONE, OURS)),
    Claim("bmodel conv56 f32 vs the C model", 50, "x", _model("conv56_f32")),
    Claim("bmodel conv56 int8 vs the C model", 60, "x", _model("conv56_int8")),
    Claim("bmodel conv56 f16 vs the C model", 200, "x", _model("conv56_f16")),
    Claim("bmodel mm512 f32 vs the C model", 120, "x", _model("mm512_f32")),
    Claim("bmodel mm512 f16 vs the C model", 150, "x", _model("mm512_f16")),
    Claim("bmodel exp112, softmax vs the C model, the lower one", 30, "x", _least(_model("exp112_f32"), _model("softmax_f32"))),
    Claim("bmodel layernorm vs the C model", 25, "x", _model("layernorm_f32")),
    Claim("bmodel add112, mul112 f32 vs the C model, the lower one", 8, "x", _least(_model("add112_f32"), _model("mul112_f32"))),
    Claim("conv 3x3 f32, exact, vs onnxruntime f32, 1 thread", 0.8, "x", _alone(_ratio(f"{_CONV} f32", ONNX, ONE_THREAD))),
    Claim("conv 3x3 f32, exact, vs multiply-adds in registers, 1 thread", 0.8, "x", _alone(_ratio(f"{_CONV} f32", PEAK, ONE_THREAD))),
    Claim("conv 3x3 int8 vs own f32, 1 thread", 1.4, "x", _alone(_ratio(f"{_CONV} f32", ONE_THREAD, ONE_THREAD, f"{_CONV} i8"))),
    Claim("conv 3x3 f16, bf16, exact, 1 thread, the slower one", 10, "GMAC/s", _alone(_rate(f"{_CONV} f16", f"{_CONV} bf16"))),
    Claim(
        "the same on a wide range of sizes",
        8,
        "GMAC/s",
        _alone(_rate("conv 3x3, wide range of sizes f16", "conv 3x3, wide range of sizes bf16")),
    ),
    Claim("elementwise tiles vs contiguous memory, 1 thread, mean", 0.85, "x", _alone(_mean(_is_tile, CONTIGUOUS, ONE_THREAD))),
    Claim("elementwise tiles vs contiguous memory, 1 thread, worst", 0.85, "x", _alone(_worst(_is_tile, CONTIGUOUS, ONE_THREAD))),
    Claim("elementwise f16 vs numpy, 1 thread, mean", 30, "x", _alone(_mean(_is_of("f16"), NUMPY, ONE_THREAD))),
    Claim("elementwise bf16 vs ml_dtypes, 1 thread, mean", 6, "x", _alone(_mean(_is_of("bf16"), NUMPY, ONE_THREAD))),
    Claim("elementwise f16 tiles vs contiguous memory, 1 thread, mean", 0.85, "x", _alone(_mean(_is_half_tile, CONTIGUOUS, ONE_THREAD))),
    Claim("dispatch of a command in a stream", 50, "ns", _alone(_nanoseconds_each(DISPATCH, "executor")), at_most=True),
    Claim("first compile of an elementwise template", 15, "ms", _alone(_milliseconds("elementwise template f32", COLD)), at_most=True),
    Claim("first compile of a conv module (f32)", 60, "ms", _alone(_milliseconds("conv module f32", COLD)), at_most=True),
    Claim("first compile of a conv module (f16)", 60, "ms", _alone(_milliseconds("conv module f16", COLD)), at_most=True),
    Claim(
        "loading an elementwise template from the cache", 1, "ms", _alone(_milliseconds("elementwise template f32", CACHED)), at_most=True
    ),
    Claim("loading a conv module from the cache", 1, "ms", _alone(_milliseconds("conv module f32", CACHED)), at_most=True),
    Claim("decode and plan 10,000 commands", 250, "ms", _alone(_milliseconds(STREAM, "decode and plan")), at_most=True),
    Claim("decode and plan 10,000 commands of 150 kinds", 250, "ms", _alone(_milliseconds(VARIED, "decode and plan")), at_most=True),
    Claim("two threads vs one: conv 3x3 f32", 1.75, "x", _ratio(f"{_CONV} f32", ONE_THREAD)),
    Claim("two threads vs one: conv 3x3 f16", 1.75, "x", _ratio(f"{_CONV} f16", ONE_THREAD)),
    Claim("two threads vs one: large elementwise", 1.4, "x", _ratio(_LARGE, ONE_THREAD)),
    Claim("two threads vs one: numpy adding arrays of that size", 1.4, "x", _ratio(MEMORY, NUMPY, TWO_NUMPY)),
)


def claim_lines(results: Results) -> Iterator[str]:
    """A line for each number that could be measured: by the medians of all runs, and by the shortest ones."""
    yield f"{'':<62}{'wanted':>10}{'median':>10}{'min':>10}"
    for claim in CLAIMS:
        values = [claim.measured(results, statistic) for statistic in (MEDIAN, MINIMUM)]
        found = [value for value in values if value is not None]
        if found:
            wanted = f"{'<=' if claim.at_most else '>='}{claim.wanted:g}"
            met = [claim.met(value) for value in found]
            verdict = "" if all(met) else "  by the shortest runs only" if met[-1] else "  not reached"
            yield f"{claim.name:<62}{wanted:>10}{''.join(f'{value:>10.2f}' for value in found)} {claim.unit}{verdict}"


def claims_as_json(results: Results) -> list[dict[str, object]]:
    """The same."""
    return [
        {
            "name": claim.name,
            "wanted": claim.wanted,
            "at_most": claim.at_most,
            "unit": claim.unit,
            "median": claim.measured(results, MEDIAN),
            "min": claim.measured(results, MINIMUM),
        }
        for claim in CLAIMS
    ]
