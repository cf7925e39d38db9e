"""Recordings: what is in them, selections and limits, files and damaged files."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest

from bmlang.bmodel.combine import Source, combine
from bmlang.runtime import Event, Recording, Runtime, compare, load_recording
from bmlang.runtime.errors import (
    DynamicSubnetError,
    RecordingElementsError,
    RecordingFormatError,
    RecordingOptionError,
    RecordingStateError,
    ReferenceArrayError,
)
from bmlang.runtime.recorder import Recorder, Selection
from bmlang.runtime.recording import MemoryStore
from bmlang.runtime.recording_file import written_recording
from tests.support.altered import program_of
from tests.support.bmodels import ADD_STAGES, CONV, HANDMADE, RELOC, TOPK, fixture
from tests.support.cpu_models import host_model, topk_parameters
from tests.support.model_runs import runs_of
from tpukernel.dtypes import bf16
from tpukernel.errors import TpuError
from tpukernel.sim import Machine

(RUN,) = runs_of(CONV)


def record(path: Path | None = None, name: str = CONV, **options: Any) -> Recording:
    runtime, (run,) = Runtime(fixture(name)), runs_of(name)
    (net,) = runtime.nets.values()
    with runtime.record(path, **options) as recording:
        net.run(run.inputs)
    return recording


def titles(recording: Recording, *, selected: bool = True) -> list[str]:
    return [entry.title for entry in recording.entries if entry.selected or not selected]


ALL = ["inputs", "dma.copy", "dma.copy", "dma.copy", "conv.normal", "arith.max", "sys.end", "dma.copy", "dma_sys.end", "outputs"]


def test_every_command_is_there_with_its_line() -> None:
    recording = record(name=RELOC)
    program = program_of(fixture(RELOC))
    commands = [entry for entry in recording.entries if entry.engine != "net"]
    assert [(entry.engine, entry.number, entry.title) for entry in commands] == [(i.engine, i.id, i.title) for i in program]
    assert [entry.position for entry in commands] == [*range(len(commands))]
    lines = program.listing().splitlines()
    assert [entry.text for entry in commands if "ddr" not in entry.text] == [line for line in lines if "ddr" not in line]


def test_the_lines_have_the_addresses_of_the_file() -> None:
    """Behind another net the same one lies elsewhere in memory; its lines are those of the file all the same."""
    alone = record(name=CONV)
    assert [entry.text for entry in alone.entries if entry.engine != "net"] == program_of(fixture(CONV)).listing().splitlines()
    runtime = Runtime(combine([Source(name, fixture(name)) for name in (HANDMADE, CONV)]).bmodel)
    first, second = runtime.nets.values()
    first.run(runs_of(HANDMADE)[0].inputs)
    with runtime.record() as behind:
        second.run(RUN.inputs)
    assert compare(behind, alone)
    (output,), (other,) = ([entry.results["y"].place for entry in one.entries if entry.title == "outputs"] for one in (alone, behind))
    assert output != other


def test_elements_are_those_of_the_machine() -> None:
    """A machine that runs the program by itself has the same results."""
    recording, (run,) = record(name=HANDMADE), runs_of(HANDMADE)
    machine, program = Machine("BM1684X"), program_of(fixture(HANDMADE))
    for k, array in enumerate(run.inputs.values()):
        machine.write("ddr", k * 0x1000, array)
    found: dict[str, np.ndarray[Any, Any]] = {}
    machine.trace = lambda step: found.update({f"{step.instruction.engine}/{step.instruction.id}/{n}": a for n, a in step.outputs.items()})
    machine.run(program, check=False)
    for name, array in found.items():
        assert recording[name].tobytes() == array.tobytes() and recording[name].shape == array.shape, name
    assert len(found) == 6


def test_tensors_of_the_net() -> None:
    recording = record()
    assert recording["x"].tobytes() == RUN.inputs["x"].tobytes()
    assert recording["y"].tobytes() == RUN.outputs["y"].tobytes() == recording["0/outputs/y"].tobytes()
    for name, text in (("nothing", "0 values"), ("dst", "6 values")):
        with pytest.raises(ReferenceArrayError, match=text):
            recording.find(name)


def test_launches_and_stages() -> None:
    runtime, recorded = Runtime(fixture(ADD_STAGES)), runs_of(ADD_STAGES)
    with runtime.record() as recording:
        for run in (*recorded, recorded[0]):
            runtime["add_f32"].run(run.inputs)
    assert [(entry.launch, entry.stage) for entry in recording.entries if entry.title == "outputs"] == [(0, 0), (1, 1), (2, 2), (3, 0)]
    assert recording["1/outputs/z"].tobytes() == recorded[1].outputs["z"].tobytes()
    assert "4 launches" in repr(recording)
    assert runtime.trace is None


def test_host_operators_and_tensors_between_subnets() -> None:
    (run,) = runs_of(TOPK)
    runtime = Runtime(host_model(topk_parameters(5, 1)))
    with runtime.record(keep="all") as recording:
        outputs = runtime["convtopk"].run(run.inputs)
    assert titles(recording)[-4:] == ["dma_sys.end", "subnet", "host.17", "outputs"]
    assert recording["f_Reshape"].tobytes() == recording["host/in/input0"].tobytes()
    assert recording["host/output0"].tobytes() == outputs["v_TopK"].tobytes()
    (host,) = (entry for entry in recording.entries if entry.engine == "host")
    assert host.text == "host.17 output0 float32[1, 5], output1 int32[1, 5], input0 float32[1, 256]"
    assert host.where == "host.17 of net 'convtopk', stage 0, subnet 1"


# ------------------------------------------------------------------ what is kept


@pytest.mark.parametrize(
    ("options", "selected"),
    [
        ({}, ALL),
        ({"engines": ["tiu"]}, ["inputs", "conv.normal", "arith.max", "sys.end", "outputs"]),
        ({"engines": {"host"}}, ["inputs", "outputs"]),
        ({"units": ["arith", "conv.normal"]}, ["inputs", "conv.normal", "arith.max", "outputs"]),
        ({"units": ["arith.add"]}, ["inputs", "outputs"]),
        ({"commands": range(3, 5)}, ["inputs", "conv.normal", "arith.max", "outputs"]),
        ({"commands": range(3, 99), "engines": ["gdma"], "units": ["dma"]}, ["inputs", "dma.copy", "outputs"]),
    ],
)
def test_selections(options: dict[str, Any], selected: list[str]) -> None:
    recording = record(**options)
    assert titles(recording) == selected and titles(recording, selected=False) == ALL
    assert all(not entry.results and not entry.inputs for entry in recording.entries if not entry.selected)
    commands = sum(entry.selected and entry.engine != "net" for entry in recording.entries)
    assert f"8 commands, {commands} recorded" in repr(recording)


@pytest.mark.parametrize(("keep", "results", "inputs"), [("digests", False, False), ("results", True, False), ("all", True, True)])
def test_what_is_kept(keep: str, results: bool, inputs: bool, tmp_path: Path) -> None:
    for recording in (record(keep=keep), record(tmp_path / "run.npz", keep=keep)):
        kept = {(value in entry.inputs.values(), value.kept) for entry, value in recording.values()}
        assert kept == {(False, results), (True, inputs)}
        assert len({value.digest for _, value in recording.values()}) > 5
        if keep == "digests":
            with pytest.raises(RecordingElementsError, match="only their digest"):
                _ = recording["y"]


def test_a_limit_leaves_digests(tmp_path: Path) -> None:
    whole, limited = record(), record(tmp_path / "run.npz", max_bytes=4 * 16 * 16 * 16 + 1000)
    kept = [value.path for _, value in limited.values() if value.kept]
    assert kept == ["0/inputs/x", "0/0/0/gdma/2/dst"], "the small ones that still fit"
    assert limited.dropped == 6 and "6 values beyond the size limit" in repr(limited)
    result = compare(limited, whole)
    assert result and "only digests of 6 values" in str(result)


@pytest.mark.parametrize(
    "options", [{"keep": "some"}, {"engines": ["tpu"]}, {"engines": "tiu"}, {"units": "arith"}, {"max_bytes": -1}], ids=str
)
def test_options_that_mean_nothing(options: dict[str, Any], tmp_path: Path) -> None:
    runtime = Runtime(fixture(CONV))
    with pytest.raises(RecordingOptionError), runtime.record(tmp_path / "run.npz", **options):
        pass
    assert not [*tmp_path.iterdir()] and runtime.trace is None


def test_one_recording_at_a_time() -> None:
    runtime = Runtime(fixture(CONV))
    with runtime.record(), pytest.raises(RecordingStateError), runtime.record():
        pass
    runtime.trace = lambda event: None
    with pytest.raises(RecordingStateError), runtime.record():
        pass


def test_the_trace_of_a_runtime() -> None:
    seen: list[Event] = []
    runtime = Runtime(fixture(CONV))
    runtime.trace = seen.append
    runtime["conv_relu_f32"].run(RUN.inputs)
    assert [event.title for event in seen] == ALL
    runtime.trace = None
    runtime["conv_relu_f32"].run(RUN.inputs)
    assert len(seen) == len(ALL)


# ------------------------------------------------------------------ files


def test_a_file_has_what_the_memory_has(tmp_path: Path) -> None:
    in_memory, path = record(keep="all"), tmp_path / "run.npz"
    written = record(path, keep="all")
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.npz"]
    for recording in (written, load_recording(path), load_recording(str(path))):
        assert recording.entries == in_memory.entries and (recording.chip, recording.keep) == ("BM1684X", "all")
        for (_, value), (_, other) in zip(recording.values(), in_memory.values(), strict=True):
            ours, theirs = recording.array(value), in_memory.array(other)
            assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


def test_numpy_opens_the_file(tmp_path: Path) -> None:
    record(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as arrays:
        assert arrays["0/outputs/y"].tobytes() == RUN.outputs["y"].tobytes()


def test_the_same_run_gives_the_same_file(tmp_path: Path) -> None:
    for name in "ab":
        record(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


ODD = {"a/b": 0, "../x": 1, "\x00": 2, "\udcff": 3, "ä %2F": 4, "a%2Fb": 5}


def test_bfloat16_and_odd_names_survive(tmp_path: Path) -> None:
    arrays = {name: np.array([[k, np.nan, 0.1]], bf16.numpy) for name, k in ODD.items()}
    arrays |= {"scalar": np.array(7, "u1"), "none": np.zeros((0, 3), "i2"), "strided": np.arange(12, dtype="u4").reshape(3, 4).T}
    with written_recording(tmp_path / "run.npz", "BM1684X", "results") as recording:
        Recorder(recording, Selection())(Event("net\udcff", 0, None, None, "net", 0, "inputs", "inputs", results=arrays))
    for one in (recording, load_recording(tmp_path / "run.npz")):
        assert one.entries[0].net == "net\udcff"
        for name, array in arrays.items():
            found = one[name]
            assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, np.ascontiguousarray(array).tobytes())


def test_elements_are_not_read_before_the_end(tmp_path: Path) -> None:
    runtime = Runtime(fixture(CONV))
    with runtime.record(tmp_path / "run.npz") as recording:
        runtime["conv_relu_f32"].run(RUN.inputs)
        with pytest.raises(RecordingStateError, match="still being written"):
            _ = recording["y"]
    assert recording["y"].tobytes() == RUN.outputs["y"].tobytes()
    with pytest.raises(RecordingStateError):
        recording.store.put("x", recording["y"])


def test_after_an_error_the_file_has_what_was_before(tmp_path: Path) -> None:
    (run,) = runs_of(TOPK)
    runtime = Runtime(host_model(topk_parameters(500, 1)))  # more than there are
    with pytest.raises(TpuError, match="topk"), runtime.record(tmp_path / "run.npz"):
        runtime["convtopk"].run(run.inputs)
    recording = load_recording(tmp_path / "run.npz")
    assert titles(recording)[-2:] == ["dma_sys.end", "subnet"]
    assert recording.error and "CpuOperatorError" in recording.error and "ended by" in repr(recording)
    right = Runtime(host_model(topk_parameters(5, 1)))
    with right.record() as whole:
        right["convtopk"].run(run.inputs)
    result = compare(recording, whole)
    assert not result and result.program and result.program.reference and result.program.reference.title == "host.17"
    assert "the run was ended by an error: CpuOperatorError" in str(result)


def test_an_old_file_stays_when_the_new_one_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.npz"
    record(path)
    old = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(ZipFile, "writestr", full)
    with pytest.raises(OSError, match="no space"):
        record(path)
    assert path.read_bytes() == old and [entry.name for entry in tmp_path.iterdir()] == ["run.npz"]


def test_a_net_that_cannot_run_leaves_an_empty_recording() -> None:
    runtime, (run,) = Runtime(fixture(TOPK)), runs_of(TOPK)
    with pytest.raises(DynamicSubnetError), runtime.record() as recording:
        runtime["convtopk"].run(run.inputs)
    assert recording.entries == [] and recording.error and isinstance(recording.store, MemoryStore)


# ------------------------------------------------------------------ damaged files


Change = Callable[[dict[str, Any]], object]


def rewritten(path: Path, change: Change, *, compression: int = ZIP_STORED) -> Path:
    """The file with another index."""
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    index = json.loads(members["index.json"])
    replaced = change(index)
    members["index.json"] = json.dumps(index if replaced is None else replaced).encode() if not isinstance(replaced, bytes) else replaced
    with ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def setter(*keys: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    def change(index: Any) -> None:
        *way, last = keys
        for key in way:
            index = index[key]
        index[last] = value

    return change


FIRST = ("entries", 0)
VALUE = (*FIRST, "results", 0)


WRONG: list[tuple[Change, str]] = [
    (lambda _: b"{", "this is no recording: Expecting"),
    (lambda _: b"\xff\xfe\xff", "this is no recording"),
    (lambda _: b"[" * 200_000, "this is no recording"),
    (lambda _: b'{"a": ' + b"9" * 5000 + b"}", "this is no recording"),
    (lambda _: [1], "index.json has to be an object"),
    (lambda _: {}, "index.json has no format"),
    (setter("format", value="other"), "format has to be one of bmlang-recording"),
    (setter("version", value=2), "version 2"),
    (setter("keep", value="some"), "keep has to be one of"),
    (setter("chip", value=1), "chip has to be a text"),
    (setter("dropped", value=True), "dropped has to be a number"),
    (setter("entries", value={}), "entries has to be a list"),
    (setter(*FIRST, value=None), r"entries\[0\] has to be an object"),
    (setter(*FIRST, "launch", value=-1), r"entries\[0\].launch has to be a number"),
    (setter(*FIRST, "launch", value=1e300), "has to be a number"),
    (setter(*FIRST, "engine", value="cpu"), "engine has to be one of net, tiu, gdma, host"),
    (setter(*FIRST, "selected", value=1), "selected has to be true or false"),
    (lambda index: index["entries"].append(index["entries"][0]), "a command is there twice"),
    (setter(*VALUE, "dtype", value="O"), "dtype has to be one of f32"),
    (setter(*VALUE, "shape", value=[1 << 62] * 1000), "at most 32 dimensions"),
    (setter(*VALUE, "shape", value=[1 << 17, 1 << 17]), "and 4294967296 elements"),
    (setter(*VALUE, "shape", value=[-1]), "shape has to be a number"),
    (setter(*VALUE, "place", value={"offset": 0, "strides": [1]}), "a place with 4 strides"),
    (setter(*VALUE, "place", value=[]), "place has to be an object"),
]


@pytest.mark.parametrize(("change", "text"), WRONG)
def test_wrong_indices(change: Change, text: str, tmp_path: Path) -> None:
    record(tmp_path / "run.npz")
    with pytest.raises(RecordingFormatError, match=text) as raised:
        load_recording(rewritten(tmp_path / "run.npz", change))
    assert raised.value.where == str(tmp_path / "run.npz")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (setter(*VALUE, "shape", value=[1 << 20, 1 << 10, 1, 1]), "instead of float32"),
        (setter(*VALUE, "dtype", value="bf16"), "instead of uint16"),
        (setter(*VALUE, "name", value="z"), "cannot be read: .*no item named"),
        (setter(*VALUE, "digest", value="00"), "are not those of the digest"),
    ],
)
def test_elements_that_are_something_else(change: Change, text: str, tmp_path: Path) -> None:
    record(tmp_path / "run.npz")
    recording = load_recording(rewritten(tmp_path / "run.npz", change))
    with pytest.raises(RecordingElementsError, match=text):
        recording.array(next(value for _, value in recording.values()))


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    """Without compression nothing in a file is larger than the file."""
    record(tmp_path / "run.npz")
    with pytest.raises(RecordingFormatError, match="compressed"):
        load_recording(rewritten(tmp_path / "run.npz", lambda _: None, compression=ZIP_DEFLATED))


def test_cut_and_changed_files(tmp_path: Path) -> None:
    """Whatever happens to the bytes: a named error, or the elements that were recorded."""
    path, damaged = tmp_path / "run.npz", tmp_path / "damaged.npz"
    whole = record(path, units=["arith"])
    data, rng = path.read_bytes(), np.random.default_rng(1)
    cuts = [data[: int(k)] for k in rng.integers(0, len(data), 60)]
    tail = data.rindex(b"index.json", 0, len(data) - 2000)
    flips = [bytes(data[:k]) + bytes([data[k] ^ 1 << int(rng.integers(8))]) + data[k + 1 :] for k in _places(rng, len(data), tail)]
    outcomes: set[str] = set()
    for content in (*cuts, *flips):
        damaged.write_bytes(content)
        try:
            recording = load_recording(damaged)
            for entry, value in recording.values():
                if value.kept:
                    (same,) = [other for other in whole.entries if other.key == entry.key]
                    assert recording.array(value).tobytes() == whole.array(same.results[value.name]).tobytes()
            outcomes.add("fine")
        except (RecordingFormatError, RecordingElementsError) as error:
            outcomes.add(error.code)
    assert outcomes >= {"RT122", "RT123"}


def _places(rng: np.random.Generator, size: int, tail: int) -> list[int]:
    """Bytes to change: everywhere, and many of the directory of the archive, which comes last."""
    return [int(k) for k in (*rng.integers(0, size, 150), *rng.integers(tail, size, 250))]


def test_no_archive_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_recording(tmp_path / "missing")
    (tmp_path / "other.npz").write_bytes(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 9, 9, 9999, 9999, 0))
    with pytest.raises(RecordingFormatError):
        load_recording(tmp_path / "other.npz")
    np.savez(tmp_path / "arrays.npz", allow_pickle=False, y=np.zeros(3))
    with pytest.raises(RecordingFormatError, match="index.json"):
        load_recording(tmp_path / "arrays.npz")
