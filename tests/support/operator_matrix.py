"""The matrix of operators: every operator with every data type and three shapes, on the simulator and on the official runtime.

`python -m tests.support.operator_matrix` makes the rows that docs/operators.md lacks, with names behind it also those of these operators,
and with `--all` every row. The page is written after each operator, so that an interrupted run is not lost.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bmlang.bmodel import load
from bmlang.host import OWN
from tests.support.official_runtime import Official, Request, official_outputs
from tests.support.operator_runs import Run, dynamic_outcome, run_of
from tests.support.operators import OPERATORS, Example, Operator
from tests.support.oracle import oracle_available
from tpukernel.dtypes import Dtype
from tpukernel.files import save_atomically

__all__ = ["PAGE", "Cell", "cells", "differences", "dynamic_cell"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operators.md"
SEEDS = (0, 1, 2)
REFUSED = "cpuop.so in bmodel is not an ELF file"
"""What the official runtime says of a file with operators of the host that are ours alone, and then ends."""
HEAD = """# Operators and what was compared

Made by `python -m tests.support.operator_matrix`; do not edit. Each operator of `bm` with each data type of its first tensor, each over
{seeds} uses of random odd shapes:

* reference: within bounds that follow from how it is computed of a reference in float64 (or exact, for integers) that was written apart
  from the layers.
* compiled: a call, the compiled model and the saved file that was read again give the same bits.
* dynamic: a dynamic net elaborated for the same shapes gives the same bits. `fixed` are uses with no size that may vary; with a
  [BML104](errors/BML104.md) the operator is used in a way that depends on the size itself, which the net refuses; with an
  [RT117](errors/RT117.md) the TPU would have to go on with an empty tensor. `smaller`: a dynamic net has the real size, where a static one
  fills up to the largest.
* official: Sophgo's own runtime and emulator give the same bits for the file. Files with operators of the host that are ours alone it has
  to refuse; their number is in brackets.

Names without a function of `bm` are layers that the compiler adds.

| operator | type | reference | compiled | dynamic | official | shapes | remark |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Cell:
    """One use in the matrix."""

    operator: Operator
    dtype: Dtype
    seed: int

    def __str__(self) -> str:
        return f"{self.operator.name}_{self.dtype.name}_{self.seed}"

    @cached_property
    def example(self) -> Example:
        return self.operator.example(self.dtype, self.seed)

    @cached_property
    def run(self) -> Run:
        return run_of(self.example, str(self))

    @property
    def request(self) -> Request:
        """The file for the official runtime; the net has the name of the use."""
        return Request(self.run.file, str(self), self.example.named)


def cells() -> list[Cell]:
    """All of the matrix."""
    return [Cell(operator, dtype, seed) for operator in OPERATORS.values() for dtype in operator.dtypes for seed in SEEDS]


def is_ours_alone(run: Run) -> bool:
    """Whether the file has operators of the host that no other runtime has."""
    stages = (stage for net in load(run.file).model.net for stage in net.stages)
    params = (param for stage in stages for subnet in stage.subnets for param in subnet.cpu_param or ())
    return any(param.op_type >= OWN for param in params)


def differences(run: Run, official: Official) -> str:
    """Where the official runtime gives other bits than ours, in words; empty for nowhere, and where it refuses what it cannot have."""
    if is_ours_alone(run):
        return "" if REFUSED in official.failure else f"it takes a file with operators that it does not have: {official}"
    if official.failure:
        return official.failure
    if official.outputs.keys() != run.loaded.keys():
        return f"it has the outputs {', '.join(official.outputs)}"
    for name, ours in run.loaded.items():
        theirs = official.outputs[name]
        if theirs.shape != ours.shape:
            return f"{name} has the shape {theirs.shape}, not {ours.shape}"
        if theirs.tobytes() != ours.tobytes():
            return f"other bits in {name}"
    return ""


@dataclass(frozen=True)
class _Row:
    """The uses of an operator with a data type."""

    uses: Sequence[Cell]
    official: Sequence[Official]

    def line(self) -> str:
        reference, compiled, identical = 0, 0, 0
        ours = sum(is_ours_alone(cell.run) for cell in self.uses)
        for cell, official in zip(self.uses, self.official, strict=True):
            reference += not cell.run.mistakes(cell.example)
            compiled += not cell.run.difference()
            identical += not differences(cell.run, official)
        first = self.uses[0]
        shapes = "; ".join(", ".join("x".join(map(str, array.shape)) for array in cell.example.inputs) for cell in self.uses)
        counts = [_counted(count, len(self.uses)) for count in (reference, compiled, identical)]
        if ours:
            counts[2] += f" ({ours} refused)"
        counts.insert(2, dynamic_cell(self.uses))
        return f"| `{first.operator.name}` | {first.dtype.name} | {' | '.join(counts)} | {shapes} | {first.operator.remark} |\n"


def dynamic_cell(uses: Sequence[Cell]) -> str:
    """What became of the uses as dynamic nets: the outcome of all of them, or how often there was which."""
    outcomes = Counter(dynamic_outcome(cell.example, str(cell), cell.run) for cell in uses)
    return next(iter(outcomes)) if len(outcomes) == 1 else ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))


def _counted(good: int, every: int) -> str:
    return "same" if good == every else f"{good} of {every}"


def _rows(operator: Operator) -> tuple[list[str], list[str]]:
    """The rows of an operator, and what is wrong with its uses."""
    uses = [Cell(operator, dtype, seed) for dtype in operator.dtypes for seed in SEEDS]
    official = official_outputs([cell.request for cell in uses])
    lines = [_Row(uses[at : at + len(SEEDS)], official[at : at + len(SEEDS)]).line() for at in range(0, len(uses), len(SEEDS))]
    wrong = (
        (cell, cell.run.mistakes(cell.example) or cell.run.difference() or differences(cell.run, result))
        for cell, result in zip(uses, official, strict=True)
    )
    return lines, [f"{cell}: {told}\n" for cell, told in wrong if told]


def _rows_of(name: str) -> tuple[list[str], list[str]]:
    return _rows(OPERATORS[name])


def _known() -> dict[str, list[str]]:
    """The rows of the page, by operator."""
    found: dict[str, list[str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines(keepends=True) if PAGE.exists() else []:
        if line.startswith("| `"):
            found.setdefault(line.split("`")[1], []).append(line)
    return found


def _write(known: Mapping[str, Sequence[str]]) -> None:
    lines = [line for name in OPERATORS for line in known.get(name, ())]
    save_atomically(PAGE, [(HEAD.format(seeds=len(SEEDS)) + "".join(lines)).encode()])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, and write the page; the exit code is 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operators", nargs="*", choices=(*OPERATORS, []), metavar="OPERATOR", help="make the rows of these anew")
    parser.add_argument("--all", action="store_true", help="make all rows anew")
    options = parser.parse_args(arguments)
    if reason := oracle_available():
        sys.stderr.write(reason + "\n")
        return 2
    wrong: list[str] = []
    known = {} if options.all else {name: rows for name, rows in _known().items() if name not in options.operators}
    made = [name for name in OPERATORS if len(known.get(name, ())) != len(OPERATORS[name].dtypes)]
    with ProcessPoolExecutor() as pool:
        for name, (rows, told) in zip(made, pool.map(_rows_of, made), strict=True):
            known[name] = rows
            wrong += told
            sys.stderr.writelines(told)
            _write(known)
    _write(known)
    sys.stderr.write(f"{len(made)} operators, {len(wrong)} uses differ\n")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
