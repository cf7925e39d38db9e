"""How fast the simulator executes: `python -m benchmarks.simulator [--smoke] [--only REGEX] [--threads N] [--rounds N] [--json FILE]
[--readme]`.

Native execution, our interpreter, the official C model, numpy and onnxruntime do the same work in turn, so that what disturbs the machine
disturbs all of them. benchmarks/README.md says how to read the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks import _cmodel, _models, _onnx
from benchmarks._claims import claim_lines, claims_as_json
from benchmarks._cmodel import CModel, CModelError
from benchmarks._costs import cost_rows
from benchmarks._results import OFFICIAL, OFFICIAL_ALONE, OURS, Row, as_json, lines, short_lines
from benchmarks._timing import Effort
from benchmarks._units import Make, unit_cases, unit_row
from tpukernel.files import save_atomically
from tpukernel.sim.choice import NUMERICS
from tpukernel.sim.jit.llvm import host_target
from tpukernel.sim.jit.threads import processors

Measure = Callable[["Official"], Row]

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
"""Marks in README.md around the tables."""

SMOKE_MODELS = ("add112_f32",)
"""Models of a short run."""
INTERPRETER_MACS = 5e7
"""Most multiply-adds that the interpreter is asked for: it takes seconds for more."""


class Official:
    """The C model's process, started again when the library has ended it; None where there is none."""

    def __init__(self, *, wanted: bool) -> None:
        self.reason = _cmodel.absent() if wanted else "not asked for"
        self.model = None if self.reason else CModel()
        self._alone: CModel | None = None

    def both(self) -> dict[str, CModel]:
        """As it is, and without what its waiting threads cost it, by the names of the contenders."""
        if self.model is None:
            return {}
        self._alone = self._alone or CModel(alone=True)
        return {OFFICIAL: self.model, OFFICIAL_ALONE: self._alone}

    def restart(self) -> None:
        """Another process, after an error."""
        self.close()
        self.model = CModel()

    def close(self) -> None:
        """End the processes."""
        for model in (self.model, self._alone):
            if model is not None:
                model.close()
        self.model = self._alone = None


def _unit(name: str, make: Make, effort: Effort, threads: int, official: Official) -> Row:
    case = make()
    quick = not effort.small and (case.unit != "MAC" or case.work <= INTERPRETER_MACS)
    try:
        return unit_row(name, case, effort, threads, official.model, interpret=quick)
    except CModelError as error:
        official.restart()
        row = unit_row(name, case, effort, threads, None, interpret=quick)
        row.notes.append(f"{OFFICIAL}: {error}")
        return row


def _model(path: Path, effort: Effort, threads: int, official: Official) -> Row:
    return _models.model_row(path, effort, threads, official.both(), interpret=not effort.small and not re.search("conv|mm512", path.stem))


def _cost(measure: Callable[[], Row], official: Official) -> Row:
    del official
    return measure()


def measures(effort: Effort, threads: int) -> Iterator[tuple[str, Measure]]:
    """Everything that can be measured: names, and what measures it."""
    for path in _models.models():
        if not effort.small or path.stem in SMOKE_MODELS:
            yield f"{_models.PREFIX}{path.stem}", partial(_model, path, effort, threads)
    seen: set[str] = set()
    for name, make in unit_cases(small=effort.small):
        unit = name.split()[0]
        if not effort.small or unit not in seen:  # a short run measures the first case of each unit
            yield name, partial(_unit, name, make, effort, threads)
        seen.add(unit)
    for name, measure in cost_rows(effort):
        yield name, partial(_cost, measure)


def _load() -> str:
    """Average number of processes that wanted a processor in the last minute; this program is one or two of them."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _described(machine: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in machine.items())


def _put_into_readme(*tables: Sequence[str]) -> None:
    """Replace what is between the marks."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, behind = rest.partition(END)
    shown = "\n\n".join("```text\n" + "\n".join(line.rstrip() for line in table) + "\n```" for table in tables)
    save_atomically(README, [f"{before}{BEGIN}\n\n{shown}\n\n{END}{behind}".encode()])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a short run on small shapes that only shows that it works")
    parser.add_argument("--only", type=re.compile, metavar="REGEX", help="only rows whose name it is found in")
    parser.add_argument("--threads", type=int, default=min(2, processors()), help="threads of the column 'ours'; as a rule 2")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (default: 5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="most time for one contender of a row (default: 4)")
    parser.add_argument("--numerics", choices=NUMERICS, default="exact", help="of native execution (default: exact)")
    parser.add_argument("--no-official", action="store_true", help="without the official C model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    parser.add_argument("--readme", action="store_true", help=f"put the tables into {README.name}")
    options = parser.parse_args(arguments)
    if options.readme and options.numerics != "exact":
        parser.error(f"the tables in {README.name} are of exact numerics")
    effort = Effort(1, 0.0, True, options.numerics) if options.smoke else Effort(options.rounds, options.seconds, False, options.numerics)
    machine = {
        "processor": host_target().cpu,
        "processors": processors(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "threads": options.threads,
        "numerics": options.numerics,
        "load before": _load(),
    }
    print(_described(machine))
    official = Official(wanted=not options.no_official)
    absent = {OFFICIAL: official.reason, _onnx.NAME: _onnx.absent(), "bmodels": _models.absent()}
    for name, reason in absent.items():
        if reason:
            print(f"no {name}: {reason}")
    rows: list[Row] = []
    try:
        for name, measure in measures(effort, options.threads):
            if options.only is None or options.only.search(name):
                row = measure(official)
                rows.append(row)
                print("\n".join(list(lines([row]))[0 if len(rows) == 1 else 1 :]), flush=True)
    finally:
        official.close()
    if not rows:
        sys.exit("no row has such a name")
    machine["load after"] = _load()
    results = {row.name: row for row in rows}
    if not effort.small and effort.numerics == "exact":
        print("", *claim_lines(results), "", _described(machine), sep="\n")
    if options.readme:
        _put_into_readme(
            [_described(machine), "", *claim_lines(results)],
            list(short_lines(rows)),
            [line for row in rows if OURS not in row.timings for line in list(lines([row]))[1:]],
        )
    if options.json:
        found = {"machine": machine, "wanted": claims_as_json(results), "rows": as_json(rows)}
        save_atomically(options.json, [json.dumps(found, indent=1).encode(), b"\n"])


if __name__ == "__main__":
    main()
