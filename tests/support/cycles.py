"""What the official estimator counts: recorded for the golden cases, live, and as rows of the measured study of official programs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import cast

from tests.support.golden import GoldenCase, golden_cases
from tests.support.oracle import Call, Job, OracleError, oracle_script, run_jobs
from tpukernel import BM1684X
from tpukernel.chips.tensors import Layout, LocalTensor, SystemTensor
from tpukernel.cost import Figures
from tpukernel.isa import Arith, DmaTensor, Instruction, Program, decode

FILE = Path(__file__).resolve().parents[1] / "data" / "cycles_bm1684x.json"
COLUMNS = (
    "cmds",
    "read",
    "write",
    "tiu",
    "dma",
    "total",
    "us",
    "overlap",
    "mmac",
    "mac util",
    "mac eff",
    "dma eff",
    "ai",
    "x",
    "roof",
    "of",
)
"""Columns of the study's tables, without the name of the file."""
NEED_IO = ("x", "roof", "of")
"""Those for which the inputs, coefficients and outputs of the model must be known."""


# ---------------------------------------------------------------------------- recorded and live


@cache
def recorded_cycles() -> dict[str, int]:
    """Cycles of the golden cases, by the id of the case."""
    return cast("dict[str, int]", json.loads(FILE.read_text(encoding="utf-8"))["cycles"])


def cases_with_calls() -> list[GoldenCase]:
    """The golden cases that consist of calls."""
    return [case for case in golden_cases() if case.calls]


def count_golden_cases() -> dict[str, int]:
    """Asks the official library for what `recorded_cycles` holds."""
    cases = cases_with_calls()
    jobs = [Job(calls=[Call.of(call.function, call.params) for call in case.calls]) for case in cases]
    found = run_jobs(jobs, arithmetic=False)
    if rejected := [case.id for case, result in zip(cases, found, strict=True) if result.rejected]:
        raise OracleError(f"rejected: {', '.join(rejected)}")
    return {case.id: result.cycles for case, result in zip(cases, found, strict=True)}


def instructions_of(tiu: bytes, gdma: bytes) -> list[Instruction]:
    """The commands of both streams."""
    return [*decode(BM1684X, "tiu", tiu), *decode(BM1684X, "gdma", gdma)]


def total_cycles(tiu: bytes, gdma: bytes) -> int:
    """Cycles of the program."""
    return Program.from_streams(BM1684X, tiu=tiu, gdma=gdma).timeline().cycles


def is_estimated(instruction: Instruction) -> bool:
    """Whether the model is a fit and not exact for this kind: elementwise commands on single lines with strides, strided system tensors."""
    if isinstance(instruction, Arith):
        tensors = [use.value for use in instruction.operands() if isinstance(use.value, LocalTensor)]
        return any(tensor.layout is Layout.FREE and tensor.shape[2] == 1 for tensor in tensors)
    return isinstance(instruction, DmaTensor) and any(isinstance(end, SystemTensor) for end in (instruction.src, instruction.dst))


# ---------------------------------------------------------------------------- the study's tables


def reference_folder() -> Path:
    """The folder of the measured study, beside that of the oracle script."""
    return oracle_script().resolve().parents[1] / "reference"


def cells(row: str) -> tuple[str, ...]:
    """The cells of a Markdown row."""
    return tuple(cell.strip() for cell in row.strip().strip("|").split("|"))


def figures_row(figures: Figures) -> tuple[str, ...]:
    """Figures in the columns and the form of the study's tables (KB are 1024 bytes)."""
    return (
        f"{figures.commands['tiu']}+{figures.commands['gdma']}",
        f"{figures.traffic.read / 1024:.0f}",
        f"{figures.traffic.written / 1024:.0f}",
        str(figures.busy["tiu"]),
        str(figures.busy["gdma"]),
        str(figures.cycles),
        f"{figures.cycles / 1000:.1f}",
        f"{figures.overlap:.0%}",
        f"{figures.macs / 1e6:.1f}",
        f"{figures.mac_util:.1%}",
        f"{figures.mac_eff:.0%}",
        f"{figures.dma_eff:.0%}",
        f"{figures.intensity:.1f}",
        "" if figures.traffic_ratio is None else f"{figures.traffic_ratio:.2f}",
        f"{int(figures.roof)} {figures.bound}",
        f"{figures.of_roof:.0%}",
    )


def without_io(row: tuple[str, ...]) -> tuple[str, ...]:
    """A row without the columns that need the inputs and outputs of the model."""
    return tuple(cell for name, cell in zip(COLUMNS, row, strict=True) if name not in NEED_IO)
