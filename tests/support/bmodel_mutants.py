"""Mutants of BModel files: every number of header and tables that a reader relies on, changed to awkward values, and cut files.

    python -m tests.support.bmodel_mutants [COUNT]

runs COUNT mutants (all of them by default) of the fixtures, in child processes with little memory and little time, and reports what a
mutant led to: an error that names field and offset, or a model that can be written, read again and shown.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bmlang.bmodel.container import HEADER_BYTES, load
from bmlang.bmodel.diff import differences
from bmlang.bmodel.errors import FormatError, RequiredFieldError, UnknownFieldError
from bmlang.bmodel.fields import SCALARS, FieldPlan, TablePlan, plan_of
from bmlang.bmodel.schema import Model
from bmlang.bmodel.verify import verify
from bmlang.cli.model_info import info_data, info_text
from bmlang.cli.model_print import print_data, print_text
from bmlang.cli.output import json_text
from tests.support.bmodels import model_bytes
from tpukernel.errors import TpuError

MEMORY_BYTES = 1 << 30
SECONDS = 10
"""What one mutant may take; they take milliseconds."""


@dataclass(frozen=True)
class Site:
    """A number in the file: where it is, its format letter, what it is."""

    offset: int
    code: str
    what: str


@dataclass
class _Sites:
    """Finds the numbers of a sound file, by the declared schema and on its own way through the bytes."""

    data: bytes
    found: dict[int, Site] = field(default_factory=dict[int, Site])

    def number(self, offset: int, code: str, what: str) -> int:
        self.found.setdefault(offset, Site(offset, code, what))
        return int(struct.unpack_from("<" + code, self.data, offset)[0])

    def table(self, plan: TablePlan, position: int, what: str) -> None:
        vtable = position - self.number(position, "i", f"{what}: place of the field list")
        size = self.number(vtable, "H", f"{what}: size of the field list")
        self.number(vtable + 2, "H", f"{what}: size")
        fields = {one.id: one for one in plan.fields}
        for k in range(size // 2 - 2):
            offset = self.number(vtable + 4 + 2 * k, "H", f"{what}: place of field {k}")
            if offset and k in fields:
                self.field(fields[k], position + offset, f"{what}.{fields[k].name}")

    def field(self, one: FieldPlan, position: int, what: str) -> None:
        if one.vector or one.wire in ("string", "table"):
            position += self.number(position, "I", f"{what}: reference")
        if not one.vector:
            self.item(one, position, what)
            return
        count = self.number(position, "I", f"{what}: length")
        for k in range(count):
            place = position + 4 + k * one.element_bytes
            if one.wire == "table":
                place += self.number(place, "I", f"{what}[{k}]: reference")
            self.item(one, place, f"{what}[{k}]")

    def item(self, one: FieldPlan, position: int, what: str) -> None:
        if one.wire == "table":
            assert one.target is not None
            self.table(plan_of(one.target), position, what)
        elif one.wire == "string":
            length = self.number(position, "I", f"{what}: length")
            self.number(position + 4 + length, "B", f"{what}: zero at the end")
        elif one.wire == "binary":
            self.number(position, "Q", f"{what}: start")
            self.number(position + 8, "Q", f"{what}: size")
        elif one.wire == "struct":
            for k, member in enumerate(one.struct_format[1:]):
                self.number(position + 4 * k, member, f"{what}: member {k}")
        else:
            self.number(position, SCALARS[one.wire].replace("f", "I"), what)


def sites(data: bytes) -> list[Site]:
    """Every number of header and tables, in the order of the file."""
    finder = _Sites(data)
    for offset, code, what in ((0, "I", "magic"), (4, "I", "header size"), (8, "I", "table size"), (12, "Q", "binary size")):
        finder.number(offset, code, what)
    for offset in range(20, HEADER_BYTES, 4):
        finder.number(offset, "I", "reserved")
    root = finder.number(HEADER_BYTES, "I", "root reference")
    finder.table(plan_of(Model), HEADER_BYTES + root, "Model")
    return [finder.found[offset] for offset in sorted(finder.found)]


def values(site: Site, data: bytes) -> list[int]:
    """Awkward values for a number: edges of its type, neighbours, single bits, sizes of the file."""
    size = struct.calcsize(site.code)
    old = int.from_bytes(data[site.offset : site.offset + size], "little")
    top = (1 << 8 * size) - 1
    wanted = [0, 1, 2, 4, top, top - 1, top >> 1, (top >> 1) + 1, old + 1, old - 1, old + 4, old - 4, old ^ 2, old * 2, len(data), -old]
    wanted += [old ^ 1 << (8 * size - 2), len(data) - site.offset]
    return [value for value in dict.fromkeys(value & top for value in wanted) if value != old]


@dataclass(frozen=True)
class Mutant:
    """A changed file: `value` at a place, or cut to `cut` bytes."""

    name: str
    site: Site | None
    value: int

    def data(self) -> bytes:
        """The bytes of the file."""
        sound = model_bytes()[self.name]
        if self.site is None:
            return sound[: self.value]
        size = struct.calcsize(self.site.code)
        return sound[: self.site.offset] + self.value.to_bytes(size, "little") + sound[self.site.offset + size :]

    def __str__(self) -> str:
        place = f"cut to {self.value} bytes" if self.site is None else f"{self.site.what}, offset {self.site.offset} = {self.value:#x}"
        return f"{self.name}: {place}"


def mutants(names: Sequence[str]) -> Iterator[Mutant]:
    """All mutants of fixtures."""
    for name in names:
        data = model_bytes()[name]
        yield from (Mutant(name, site, value) for site in sites(data) for value in values(site, data))
        lengths = {*range(128), *range(128, len(data), max(1, len(data) // 200)), len(data) - 1}
        yield from (Mutant(name, None, length) for length in sorted(lengths))


def judge(data: bytes) -> str:
    """What became of a mutant: the code of the error, or `accepted`; raises what must not happen."""
    try:
        bmodel = load(data)
    except (FormatError, RequiredFieldError) as error:
        return _named(error)
    for text in (info_text(bmodel), info_text(bmodel, legacy=True, every=True), print_text(bmodel.model)):
        text.encode()
    json_text(info_data(bmodel))
    json_text(print_data(bmodel.model))
    for finding in verify(bmodel).findings:
        str(finding)
    try:
        again = load(bmodel.to_bytes())
    except UnknownFieldError as error:
        return _named(error)
    assert list(differences(bmodel, again)) == []
    return "accepted"


def _named(error: TpuError) -> str:
    """The code of an error that says field and offset."""
    text = str(error)
    if not re.search(r"(?:Model|header)[\w.\[\]]*", text) or not re.search(r"offset \d+", text):
        raise AssertionError(f"the error names no field or no offset: {error}")
    return error.code


def run(chosen: Sequence[Mutant]) -> tuple[Counter[str], list[str]]:
    """Judges mutants one by one; how often each outcome occurred, and what must not happen, as text."""
    outcomes: Counter[str] = Counter()
    failures: list[str] = []

    def too_long(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    signal.signal(signal.SIGALRM, too_long)
    for mutant in chosen:
        signal.alarm(SECONDS)
        try:
            outcomes[judge(mutant.data())] += 1
        except Exception as error:  # noqa: BLE001 - any other error is the finding
            failures.append(f"{mutant}: {type(error).__name__}: {error}")
        signal.alarm(0)
    return outcomes, failures


def run_apart(name: str, part: int, parts: int) -> tuple[Counter[str], list[str]]:
    """The same in a child process with limited memory, for every `parts`-th mutant of a fixture, from `part` on."""
    command = [sys.executable, "-m", __spec__.name if __name__ == "__main__" else __name__, "--child", name, str(part), str(parts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Counter(), [f"{name}: the process ended with code {done.returncode}: {done.stderr[-2000:]}"]
    outcomes, failures = json.loads(done.stdout)
    return Counter(outcomes), failures


def _child(name: str, part: int, parts: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    print(json.dumps(run(list(mutants([name]))[part::parts])))


def main(arguments: Sequence[str]) -> int:
    """Runs mutants of all fixtures; 1 when something happened that must not."""
    if arguments[:1] == ["--child"]:
        _child(arguments[1], int(arguments[2]), int(arguments[3]))
        return 0
    names = sorted(model_bytes())
    every = sum(1 for _ in mutants(names))
    parts = 1 if not arguments else max(1, every // int(arguments[0]))
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    for name in names:
        some, bad = run_apart(name, 0, parts)
        outcomes += some
        failures += bad
        print(f"{name}: {sum(some.values())} mutants, {len(bad)} failures", flush=True)
    print(f"{sum(outcomes.values())} of {every} mutants: {dict(outcomes.most_common())}")
    print("\n".join(failures[:50]))
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
