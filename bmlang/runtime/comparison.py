"""Comparing a recorded run with another one, or with reference arrays: where does the first difference arise?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile, zip_longest
from pathlib import Path

import numpy as np

from bmlang.runtime.difference import ArrayDifference, Tolerance, difference_of
from bmlang.runtime.errors import ReferenceArrayError
from bmlang.runtime.recording import Entry, Recording, Value
from bmlang.runtime.recording_file import is_recording, load_recording
from bmlang.runtime.references import ArrayFile, Arrays, MemoryArrays, open_arrays
from tpukernel.sim.memory import Array

__all__ = ["Comparison", "Difference", "ProgramDifference", "compare"]


@dataclass(frozen=True)
class ProgramDifference:
    """The first command that is not the same in both runs; None where a run has no such command."""

    run: Entry | None
    reference: Entry | None

    def __str__(self) -> str:
        lines = [f"  {entry.text}" for entry in (self.run, self.reference) if entry]
        entry = self.run or self.reference
        where = entry.where if entry else ""
        if self.run and self.reference:
            return "\n".join([f"{where} is not the same in the reference:", lines[0], "expected", lines[1]])
        return "\n".join([f"{where} is {'not' if self.run else 'only'} in the reference:", *lines])


@dataclass(frozen=True)
class Difference:
    """A value that differs.

    Attributes:
        entry: the command that made it, or the point of the launch at which a tensor of the net has it.
        value: which of its results.
        elements: where and how far the elements differ; None where the elements of one run were not kept, or cannot be compared.
        why: what is known instead of `elements`.
        different_inputs: what the command read and differs as well; None where there is nothing to compare with.
        unknown_inputs: what it read and has other bits, without elements to compare under the tolerance.
        written_by: of a tensor of the net, the last recorded command that wrote the first different element.
    """

    entry: Entry
    value: Value
    elements: ArrayDifference | None = None
    why: str | None = None
    different_inputs: tuple[str, ...] | None = None
    unknown_inputs: tuple[str, ...] = ()
    written_by: Entry | None = None

    def __str__(self) -> str:
        lines = [f"{self.value.name} of {self.entry.where} differs:"]
        lines += [f"  {self.entry.text}"] if self.entry.engine != "net" else []
        lines += [f"  which belongs to {self.entry.node}"] if self.entry.node else []
        lines += [f"  {self.value.name}{self.elements}" if self.elements else f"  {self.value.name}: {self.why}"]
        if self.different_inputs:
            lines += [
                f"  what it read differs, too: {', '.join(self.different_inputs)}; no recorded command before it made that difference:"
            ]
            lines += ["  look at coefficients, at commands that are not recorded, and at memory from before the launch"]
        elif self.unknown_inputs:
            lines += [f"  {', '.join(self.unknown_inputs)}, which it read, has other bits; keep='all' would tell how far off it is"]
        elif self.different_inputs is not None:
            lines += ["  all that it read is equal: this command makes the difference"]
        if self.written_by:
            lines += [f"  this element was written by {self.written_by.where}:", f"  {self.written_by.text}"]
            lines += [f"  which belongs to {self.written_by.node}"] if self.written_by.node else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`; `print` it, or use it as the condition of an `assert`: it is true when nothing differs.

    Attributes:
        first_difference: the first value, in the order of execution, that differs.
        program: the first command that is not the same in both.
        compared, differing: how many results were compared, and how many of them differ.
        unrecorded: how many commands could not be compared because one run has not recorded them.
        notes: what else one has to know.
    """

    first_difference: Difference | None
    program: ProgramDifference | None
    compared: int
    differing: int
    unrecorded: int = 0
    notes: tuple[str, ...] = field(default=())

    def __bool__(self) -> bool:
        return self.first_difference is None and self.program is None

    def __str__(self) -> str:
        parts = [str(part) for part in (self.program, self.first_difference) if part]
        found = f"{self.differing} differ" if self.differing else "all are equal"
        parts += [f"{self.compared} results compared, {found}"]
        parts += [f"{self.unrecorded} commands not compared, because they were not recorded in both runs"] if self.unrecorded else []
        return "\n".join([*parts, *self.notes])


Source = Recording | str | os.PathLike[str]
Reference = Recording | str | os.PathLike[str] | Mapping[str, Array]


def compare(
    run: Source, reference: Reference, *, atol: float | None = None, rtol: float | None = None, cosine: float | None = None
) -> Comparison:
    """Compares a run with another one, or with reference arrays, and says where the first difference arises.

    Args:
        run: a recording or its file.
        reference: a recording or its file; or arrays by name: a mapping, an `.npz` file, or an `.npy` file for a net with one output.
            A name is that of a tensor of the net, or the end of a path such as `tiu/3/dst` (see `value_path`).
        atol, rtol, cosine: what may differ (see `Tolerance`); without any, the bits have to be the same.

    Raises:
        RecordingFormatError, RecordingElementsError: a recording is damaged.
        ReferenceArrayError: an array belongs to nothing in the run, or cannot be read.
        RecordingOptionError: a tolerance that makes no sense.
        OSError: a file cannot be read.
    """
    tolerance = Tolerance(atol, rtol, cosine)
    recorded = run if isinstance(run, Recording) else load_recording(run)
    if isinstance(reference, Recording):
        return _compare_runs(recorded, reference, tolerance)
    if isinstance(reference, Mapping):
        return _compare_arrays(recorded, MemoryArrays(reference), tolerance)
    path = Path(reference)
    if is_recording(path):
        return _compare_runs(recorded, load_recording(path), tolerance)
    with open_arrays(path) as arrays:
        return _compare_arrays(recorded, arrays, tolerance)


# ------------------------------------------------------------------ two runs


@dataclass
class _Runs:
    """Two runs, and how to compare what one command read or wrote in them."""

    run: Recording
    reference: Recording
    tolerance: Tolerance

    def differs(self, ours: Value, theirs: Value) -> bool | None:
        """None where the digests differ, but the elements are needed and were not kept."""
        if ours.digest == theirs.digest:
            return False
        if self.tolerance.is_exact:
            return True
        return self.elements(ours, theirs) is not None if ours.kept and theirs.kept else None

    def elements(self, ours: Value, theirs: Value) -> ArrayDifference | None:
        return difference_of(self.run.array(ours), self.reference.array(theirs), self.tolerance)

    def difference(self, ours: Entry, theirs: Entry, name: str) -> Difference:
        value, wanted = ours.results[name], theirs.results[name]
        result = Difference(ours, value)
        if value.kept and wanted.kept:
            result = replace(result, elements=self.elements(value, wanted))
        else:
            again = f"record both runs again with commands=range({ours.position}, {ours.position + 1})"
            result = replace(result, why=f"the digests differ, and the elements were not kept; {again}")
        if ours.engine == "net":
            return result
        # A constant has no dimensions. It is a part of the command and was made by none.
        names = [k for k, v in ours.inputs.items() if _comparable(v, theirs.inputs.get(k)) and (v.shape or ours.engine == "host")]
        found = {k: self.differs(ours.inputs[k], theirs.inputs[k]) for k in names}
        different, unknown = (tuple(k for k, differs in found.items() if differs is answer) for answer in (True, None))
        return replace(result, different_inputs=different, unknown_inputs=unknown)


def _compare_runs(run: Recording, reference: Recording, tolerance: Tolerance) -> Comparison:
    runs = _Runs(run, reference, tolerance)
    first: Difference | None = None
    compared = differing = unrecorded = 0
    theirs = {entry.key: entry for entry in reference.entries}
    for ours in run.entries:
        other = theirs.get(ours.key)
        if not other or not (ours.selected and other.selected):
            unrecorded += other is not None
            continue
        names = [name for name, value in ours.results.items() if _comparable(value, other.results.get(name))]
        different = [name for name in names if runs.differs(ours.results[name], other.results[name]) is not False]
        compared, differing = compared + len(names), differing + len(different)
        if different and not first:
            first = runs.difference(ours, other, different[0])
    return Comparison(first, _program_difference(run, reference), compared, differing, unrecorded, (*_notes(run, reference),))


def _comparable(ours: Value, theirs: Value | None) -> bool:
    return theirs is not None and (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)


def _program_difference(run: Recording, reference: Recording) -> ProgramDifference | None:
    """By the commands of each engine, since engines may run them in another order."""
    theirs, ours = ({entry.key: entry for entry in recording.entries} for recording in (reference, run))
    for entry in run.entries:
        other = theirs.get(entry.key)
        if other is None or not _same_command(entry, other):
            return ProgramDifference(entry, other)
    missing = next((entry for entry in reference.entries if entry.key not in ours), None)
    return ProgramDifference(None, missing) if missing else None


def _same_command(ours: Entry, theirs: Entry) -> bool:
    if (ours.net, ours.stage, ours.text) != (theirs.net, theirs.stage, theirs.text):
        return False
    tensors = ours.engine == "net"  # the text of a command says the shapes of its operands
    pairs = zip_longest(ours.results.values(), theirs.results.values())
    return not tensors or all(a and b and a.name == b.name and _comparable(a, b) for a, b in pairs)


def _notes(run: Recording, reference: Recording) -> Iterator[str]:
    for name, recording in (("the run", run), ("the reference", reference)):
        if recording.error:
            yield f"{name} was ended by an error: {recording.error.splitlines()[0]}"
        if recording.dropped:
            yield f"{name} has only digests of {recording.dropped} values: its size was limited (max_bytes)"


# ------------------------------------------------------------------ reference arrays


def _compare_arrays(run: Recording, arrays: Arrays, tolerance: Tolerance) -> Comparison:
    order = {entry.key: k for k, entry in enumerate(run.entries)}
    chosen = sorted(_chosen(run, arrays), key=lambda found: order[found[1].key])
    different = [found for found in (_array_difference(run, *one, arrays, tolerance) for one in chosen) if found]
    return Comparison(different[0] if different else None, None, len(chosen), len(different), notes=())


def _chosen(run: Recording, arrays: Arrays) -> Iterator[tuple[str, Entry, Value]]:
    names = arrays.names()
    if isinstance(arrays, ArrayFile) and arrays.is_single:
        outputs = [(entry, value) for entry in run.entries if entry.title == "outputs" for value in entry.results.values()]
        if len(outputs) != 1:
            raise ReferenceArrayError(
                f"an .npy file has one array, but the recording has {len(outputs)} outputs", help="use an .npz file with an array for each"
            )
        yield names[0], *outputs[0]
        return
    if not names:
        raise ReferenceArrayError("the reference has no arrays")
    for name in names:
        yield name, *run.find(name)


def _array_difference(run: Recording, name: str, entry: Entry, value: Value, arrays: Arrays, tolerance: Tolerance) -> Difference | None:
    dtype, shape = arrays.kind(name)
    if dtype.kind == "V" and dtype.itemsize == value.dtype.itemsize and value.dtype.kind == "b":
        dtype = value.dtype.numpy  # the .npy format cannot say bfloat16
    if shape != value.shape or (tolerance.is_exact and dtype != value.dtype.numpy):
        return Difference(entry, value, why=f"it is {value.dtype.numpy}{list(value.shape)}, the reference {dtype}{list(shape)}")
    wanted = arrays.array(name).view(dtype)
    elements = difference_of(run.array(value), wanted, tolerance)
    return Difference(entry, value, elements, written_by=_writer(run, entry, value, elements)) if elements else None


def _writer(run: Recording, entry: Entry, value: Value, elements: ArrayDifference) -> Entry | None:
    """The last recorded command before `entry` that wrote the first different element of a tensor in the DDR."""
    if entry.engine != "net" or value.place is None:
        return None
    address = value.place.offset + sum(k * stride for k, stride in zip(elements.index, value.place.strides, strict=True))
    before = takewhile(lambda other: other is not entry, run.entries)
    earlier = [other for other in before if other.launch == entry.launch and other.engine != "net"]
    return next((other for other in reversed(earlier) if any(_covers(result, address) for result in other.results.values())), None)


def _covers(value: Value, address: int) -> bool:
    if value.place is None:
        return False
    distance = address - value.place.offset
    reach = sum((count - 1) * stride for count, stride in zip(value.shape, value.place.strides, strict=True))
    if not 0 <= distance < reach + value.dtype.itemsize:
        return False
    starts = np.zeros((), np.int64)
    for count, stride in zip(value.shape, value.place.strides, strict=True):
        starts = np.unique(starts[..., None] + np.arange(count, dtype=np.int64) * stride)
    return bool(((starts <= distance) & (distance < starts + value.dtype.itemsize)).any())
