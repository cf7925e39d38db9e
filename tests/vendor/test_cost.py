"""The cost model against the official library's own estimator, on random calls and programs, and against the study's tables.

How many calls differ is counted and bounded, and what kinds may differ is named (`is_estimated`): elementwise commands with strides whose
tensors are single lines, and copies of strided system tensors. Everything else is equal to the cycle.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import cast

import pytest

from bmlang.bmodel.streams import read_streams
from tests.support.cycles import cells, count_golden_cases, figures_row, instructions_of, is_estimated, recorded_cycles, reference_folder
from tests.support.cycles import total_cycles as ours
from tests.support.draws import draw, draw_program, drawable_functions
from tests.support.effort import by_profile
from tests.support.model_tool import corpus_folder
from tests.support.oracle import Call, Job, record, run_jobs
from tpukernel.cost import Timeline, Traffic
from tpukernel.isa import Program

pytestmark = pytest.mark.vendor

DRAWS = by_profile(smoke=2, normal=12, nightly=150)
"""Calls of each function."""
MISSES = 0.002
"""Largest share of calls that may differ; measured: 0.0004 of 47,600 fresh ones."""
PROGRAM_MISSES = 0.02
"""The same for programs of a dozen calls of all kinds; measured: 0.005 of 750."""


def test_random_calls_cost_what_the_official_estimator_counts(record_property: Callable[[str, object], None]) -> None:
    rng = Random(41)
    calls = [Call.of(function, draw(function, rng)) for function in drawable_functions() for _ in range(DRAWS)]
    misses: Counter[str] = Counter()
    for call, official in zip(calls, record(calls), strict=True):
        cycles = ours(official.tiu, official.gdma)
        if cycles != official.cycles:
            misses[call.function] += 1
            instructions = instructions_of(official.tiu, official.gdma)
            assert any(map(is_estimated, instructions)), f"{call.function}: {cycles}, but {official.cycles}: {instructions}"
    record_property("misses", dict(misses))
    assert misses.total() <= max(2, MISSES * len(calls)), misses


def test_parallel_sections_take_as_long_as_the_official_estimator_says() -> None:
    jobs = [Job(calls=draw_program(Random(seed), 12)) for seed in range(5 * DRAWS)]
    found = run_jobs(jobs, arithmetic=False)
    assert not any(result.rejected for result in found)
    different = [seed for seed, result in enumerate(found) if ours(result.tiu, result.gdma) != result.cycles]
    overlapping = sum(result.cycles < _one_after_the_other(result.tiu, result.gdma) for result in found)
    assert len(different) <= max(2, PROGRAM_MISSES * len(jobs)), different
    assert overlapping > len(jobs) / 3, "the programs must have something to hide"


def _one_after_the_other(tiu: bytes, gdma: bytes) -> int:
    return sum(Program.from_streams("BM1684X", tiu=tiu, gdma=gdma).timeline().figures.busy.values())


def test_the_recorded_cycles_are_counted_again() -> None:
    assert count_golden_cases() == recorded_cycles()


# ---------------------------------------------------------------------------- the study's tables


def reference(name: str) -> Path:
    path = reference_folder() / name
    if not path.is_file():
        pytest.skip(f"the tables of the study are not there: no {name} beside the oracle script")
    return path


def timelines(path: Path) -> dict[str, Timeline]:
    """The timelines of a file by `net.stage`."""
    found: dict[str, Timeline] = {}
    for group in read_streams(path) or ():
        place = re.match(r"net '(.*)', stage (\d+),", group.title)
        assert place and group.read_bytes is not None and group.written_bytes is not None
        program = Program.from_streams(group.chip, tiu=group.tiu, gdma=group.gdma)
        found[f"{place[1]}.{place[2]}"] = program.timeline(compulsory=Traffic(group.read_bytes, group.written_bytes))
    return found


def test_every_row_of_the_table_of_benchmarks() -> None:
    table = table_rows("Benchmarks")
    files = {f"bench_{path.stem}": path for path in sorted(corpus_folder().with_name("bench").glob("*.bmodel"))}
    assert files and set(table) - set(files) == {"bench_resnet18_f16", "bench_resnet18_f32"}, "the study kept no file of these two"
    for name, path in files.items():
        assert [figures_row(timeline.figures) for timeline in timelines(path).values()] == [table[name]], name


def test_every_row_of_the_table_of_functional_tests() -> None:
    table = table_rows("Corpus")
    assert len(table) >= 28
    for name, row in table.items():
        stem, _, place = name.partition(":")
        paths = [path for path in sorted(corpus_folder().glob(f"{stem}*.bmodel")) if "dynamic" not in path.stem or "static" in path.stem]
        rows = [figures_row(found.figures) for path in paths for at, found in timelines(path).items() if place in ("", at)]
        assert rows and set(rows) == {row}, name


def table_rows(title: str) -> dict[str, tuple[str, ...]]:
    """Rows of the table below a paragraph that begins with `title`, by the name of the file."""
    section = reference("cycles.md").read_text(encoding="utf-8").partition("## 7.")[2].partition(f"\n{title} ")[2]
    lines = section.partition("\n\n")[2].partition("\n\n")[0].splitlines()
    return {name: tuple(row) for name, *row in map(cells, lines[2:])}


def test_the_figures_behind_the_tables() -> None:
    """The study's own data, not rounded."""
    data = json.loads(reference("cycles.json").read_text(encoding="utf-8"))
    rows = cast("list[dict[str, float | str]]", data["official_compiler_corpus"])
    assert len(rows) >= 29
    for row in rows:
        figures = timelines(corpus_folder() / f"{row['file']}.bmodel")[f"{row['net']}.{row['stage']}"].figures
        shares = (figures.overlap, figures.mac_util, figures.mac_eff, figures.dma_eff, figures.intensity, figures.roof, figures.of_roof)
        wanted = [row[name] for name in ("overlap", "mac_util", "mac_eff", "dma_eff", "ai", "roof", "roof_frac")]
        assert shares == pytest.approx(wanted, rel=1e-12), row["file"]
        assert (figures.compulsory.total, figures.traffic.read, figures.traffic.written) == (row["compulsory"], row["read"], row["write"])
