"""Comparing runs: a changed command is named, with the first element that it gets wrong; arrays as reference; tolerances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bmlang.bmodel import BModel
from bmlang.runtime import Comparison, Event, Recording, Runtime, compare
from bmlang.runtime.difference import Tolerance, difference_of
from bmlang.runtime.errors import RecordingOptionError, ReferenceArrayError
from tests.support.altered import Fault, faults, program_of, with_program
from tests.support.bmodels import CONV, HANDMADE, MATMUL, TOPK, fixture
from tests.support.conv_example import INPUTS, conv_model
from tests.support.cpu_models import host_model, topk_parameters
from tests.support.model_runs import runs_of
from tpukernel import BM1684X
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.dtypes import bf16
from tpukernel.isa import Arith, DmaTensor, Program
from tpukernel.sim.memory import Array

MODELS = {
    "handmade": (fixture(HANDMADE), runs_of(HANDMADE)[0].inputs),
    "conv": (fixture(CONV), runs_of(CONV)[0].inputs),
    "matmul": (fixture(MATMUL), runs_of(MATMUL)[0].inputs),
    "example": (conv_model(), INPUTS),
}
SEEDED = [pytest.param(name, fault, id=f"{name}-{fault}") for name, (model, _) in MODELS.items() for fault in faults(model)]


def recorded(
    model: BModel, inputs: Mapping[str, Array], path: Path | None = None, *, keep: str = "results", **options: object
) -> Recording:
    runtime = Runtime(model)
    (net,) = runtime.nets.values()
    with runtime.record(path, keep=keep, **options) as recording:  # pyright: ignore[reportArgumentType]
        net.run(inputs)
    return recording


def events(model: BModel, inputs: Mapping[str, Array]) -> list[Event]:
    """What the trace sees: the other way to the same facts."""
    runtime, found = Runtime(model), list[Event]()
    runtime.trace = found.append
    next(iter(runtime.nets.values())).run(inputs)
    return found


def first_difference(ours: list[Event], theirs: list[Event]) -> tuple[str, int, str, tuple[int, ...], int] | None:
    """By the bytes of every result: engine, number, operand, index of the first element, number of elements."""
    for one, other in zip(ours, theirs, strict=True):
        for name, array in one.results.items():
            words = f"u{array.dtype.itemsize}"
            wrong = np.argwhere(array.view(words) != other.results[name].view(words))
            if len(wrong):
                return one.engine, one.number, name, tuple(map(int, wrong[0])), len(wrong)
    return None


def test_there_are_faults_of_every_unit_and_kind() -> None:
    assert len(SEEDED) >= 25
    kinds = {str(param.values[1]).split("-")[1] for param in SEEDED}
    assert kinds >= {"op", "src", "src0", "src1", "input", "left"}


@pytest.mark.parametrize(("name", "fault"), SEEDED)
def test_the_changed_command_is_named(name: str, fault: Fault) -> None:
    model, inputs = MODELS[name]
    result = compare(recorded(fault.model, inputs), recorded(model, inputs))
    assert not result
    assert result.program and result.program.run and result.program.reference
    assert (result.program.run.engine, result.program.run.number) == (fault.engine, fault.number)
    expected = first_difference(events(fault.model, inputs), events(model, inputs))
    found = result.first_difference
    if expected is None:  # the change does not show: the other elements are equal, too
        assert found is None and result.differing == 0
        return
    assert found and found.elements
    key = (found.entry.engine, found.entry.number, found.value.name, found.elements.index, found.elements.count)
    assert key == expected and key[:2] == (fault.engine, fault.number)
    if fault.what in ("op", "src1"):
        assert found.different_inputs == (), "what it read is the same, so it made the difference"
        assert "this command makes the difference" in str(result)
    else:
        assert found.different_inputs == (fault.what,), "it read something else"
    digests = compare(recorded(fault.model, inputs, keep="digests"), recorded(model, inputs))
    assert digests.first_difference and digests.first_difference.entry.key == found.entry.key
    assert digests.differing == result.differing and f"commands=range({found.entry.position}, " in str(digests)


def test_most_faults_show() -> None:
    shown = [
        first_difference(events(fault.model, inputs), events(model, inputs)) for model, inputs in MODELS.values() for fault in faults(model)
    ]
    assert sum(found is not None for found in shown) >= 0.9 * len(shown)


def test_the_text(tmp_path: Path) -> None:
    model, inputs = MODELS["example"]
    (fault,) = (fault for fault in faults(model) if (fault.engine, fault.number, fault.what) == ("tiu", 2, "src1"))
    recorded(fault.model, inputs, tmp_path / "run.npz")
    recorded(model, inputs, tmp_path / "reference.npz")
    command = "tiu       2 <- gdma 4      arith.max dst f32[1,32,14,14] @0:0x8000, src0 f32[1,32,14,14] @0:0x8000, src1"
    lines = str(compare(tmp_path / "run.npz", str(tmp_path / "reference.npz"))).splitlines()
    assert lines[:6] == [
        "tiu command 2 (arith.max) of net 'block', stage 0, subnet 0 is not the same in the reference:",
        f"  {command} 0.5",
        "expected",
        f"  {command} 0.0",
        "dst of tiu command 2 (arith.max) of net 'block', stage 0, subnet 0 differs:",
        f"  {command} 0.5",
    ]
    assert lines[6].startswith("  dst[0, 0, 0, 0]: 0.5, expected 0.0; ") and "by at most 0.5; cosine 0.99" in lines[6]
    assert lines[7:] == ["  all that it read is equal: this command makes the difference", "11 results compared, 4 differ"]


def test_equal_runs(tmp_path: Path) -> None:
    model, inputs = MODELS["conv"]
    first, second = recorded(model, inputs), recorded(model, inputs, tmp_path / "run.npz", keep="all")
    for pair in ((first, second), (second, first)):
        result = compare(*pair)
        assert result and result.differing == 0 and str(result) == f"{result.compared} results compared, all are equal"
        assert result.compared == 6 + 2  # a result of each command but the ends; the input and the output of the net


# ------------------------------------------------------------------ different programs and inputs


def test_a_missing_command() -> None:
    """Without the subtraction the maximum reads something else, and has another number."""
    model, inputs = MODELS["handmade"]
    program = Program(BM1684X)
    for instruction in list(program_of(model))[:-2]:
        if not ((isinstance(instruction, Arith) and instruction.op_name == "sub") or instruction.is_end):
            program.append(instruction)
    shorter = with_program(model, program.end())
    result = compare(recorded(shorter, inputs), recorded(model, inputs))
    assert result.program and result.program.run and result.program.reference
    assert (result.program.run.title, result.program.reference.title) == ("arith.max", "arith.sub")
    longer = compare(recorded(model, inputs), recorded(shorter, inputs))
    assert longer.program and longer.program.run and longer.program.run.title == "arith.sub"


def test_a_command_more_at_the_end() -> None:
    model, inputs = MODELS["handmade"]
    run, shorter = recorded(model, inputs), recorded(model, inputs)
    end = next(entry for entry in run.entries if entry.title == "sys.end")
    shorter.entries.remove(end)
    missing = compare(shorter, run)
    assert not missing and missing.differing == 0
    assert missing.program and missing.program.run is None and missing.program.reference == end
    assert "tiu command 4 (sys.end) of net" in str(missing) and "is only in the reference" in str(missing)
    assert "is not in the reference" in str(compare(run, shorter))


def test_other_inputs_are_the_first_difference() -> None:
    model, inputs = MODELS["matmul"]
    (name, array), *_ = inputs.items()
    other = array.copy()
    other[1, 2] += 1
    found = compare(recorded(model, {**inputs, name: other}), recorded(model, inputs)).first_difference
    assert found and (found.entry.title, found.value.name) == ("inputs", name)
    assert found.elements and (found.elements.index, found.elements.count, found.elements.largest) == ((1, 2), 1, 1.0)


def test_other_coefficients_are_told_by_the_command_that_loads_them() -> None:
    weights, inputs = conv_model(), INPUTS
    (net,) = weights.model.net
    (stage,) = net.stages
    assert stage.coeff_mem and stage.coeff_mem.binary_coeff
    data = bytearray(stage.coeff_mem.binary_coeff.data)
    data[4 * 7 + 3] ^= 0x80  # the sign of one weight
    coeff = replace(stage.coeff_mem, binary_coeff=replace(stage.coeff_mem.binary_coeff, data=bytes(data)))
    other = BModel(replace(weights.model, net=(replace(net, parameter=(replace(stage, coeff_mem=coeff),)),)))
    result = compare(recorded(other, inputs), recorded(weights, inputs))
    found = result.first_difference
    assert result.program is None and found and found.elements
    assert (found.entry.engine, found.entry.title, found.different_inputs, found.elements.count) == ("gdma", "dma.copy", ("src",), 1)
    assert "look at coefficients" in str(result)


def test_a_host_operator() -> None:
    """The commands are the same; the parameters of the operator differ, which no line shows."""
    (run,) = runs_of(TOPK)
    largest, smallest = (host_model(topk_parameters(5, 1, descending=descending)) for descending in (True, False))
    result = compare(recorded(smallest, run.inputs), recorded(largest, run.inputs))
    found = result.first_difference
    assert found and (found.entry.engine, found.entry.title, found.different_inputs) == ("host", "host.17", ())
    assert result.program is None and "output0 of host.17 of net 'convtopk', stage 0, subnet 1 differs" in str(result)


def test_what_is_not_recorded_is_counted() -> None:
    model, inputs = MODELS["example"]
    (fault,) = (fault for fault in faults(model) if (fault.engine, fault.number, fault.what) == ("tiu", 2, "op"))
    result = compare(recorded(fault.model, inputs, engines=["gdma"]), recorded(model, inputs))
    assert result.unrecorded == 4 and "4 commands not compared" in str(result)
    assert result.program and result.program.run and result.program.run.title == "arith.min"
    assert result.first_difference and result.first_difference.entry.title == "dma.copy"
    assert result.first_difference.different_inputs == ("src",)
    again = compare(recorded(fault.model, inputs, commands=range(5, 6)), recorded(model, inputs))
    assert again.first_difference and again.first_difference.entry.position == 5 and again.first_difference.elements


# ------------------------------------------------------------------ reference arrays


def changed(array: Array, *index: int, by: float = 1) -> Array:
    other = array.copy()
    other[index] += by  # pyright: ignore[reportOperatorIssue]
    return other


def test_outputs_as_reference(tmp_path: Path) -> None:
    (model, inputs), (run,) = MODELS["conv"], runs_of(CONV)
    recording = recorded(model, inputs)
    outputs = dict(run.outputs)
    wrong = {"y": changed(outputs["y"], 0, 3, 5, 7)}
    np.savez(tmp_path / "right.npz", allow_pickle=False, **outputs)
    np.savez_compressed(tmp_path / "wrong.npz", allow_pickle=False, **wrong)
    np.save(tmp_path / "wrong.npy", wrong["y"], allow_pickle=False)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(outputs["y"]), allow_pickle=False)
    for right in (outputs, tmp_path / "right.npz", tmp_path / "fortran.npy"):
        assert compare(recording, right)
    for reference in (wrong, tmp_path / "wrong.npz", tmp_path / "wrong.npy"):
        result = compare(recording, reference)
        found = result.first_difference
        assert (result.compared, result.differing) == (1, 1) and found and found.elements
        assert (found.value.name, found.elements.index, found.elements.count) == ("y", (0, 3, 5, 7), 1)
        assert found.written_by and (found.written_by.engine, found.written_by.number) == ("gdma", 4)
        assert "this element was written by gdma command 4 (dma.copy)" in str(result)


def test_results_of_commands_as_reference() -> None:
    """numpy says what each command should have made; the first wrong one is told, whatever the order of the names."""
    model, inputs = MODELS["handmade"]
    recording = recorded(model, inputs)
    x, y = (array.astype(np.float32) for array in inputs.values())
    wanted: dict[str, Array] = {"tiu/3/dst": np.maximum(x * y - x, np.float32(0.25)), "tiu/1/dst": x * y, "0/0/0/tiu/2/dst": x * y - x}
    assert compare(recording, wanted)
    result = compare(recording, {name: changed(array, 1, 4, 5, 6) for name, array in wanted.items()})
    assert result.differing == 3 and result.first_difference and result.first_difference.entry.title == "arith.mul"


def test_the_command_that_wrote_an_element_of_a_tile() -> None:
    """Two commands write the halves of the output."""
    model, inputs = MODELS["handmade"]
    program, halves = Program(BM1684X), list[int]()
    for instruction in program_of(model):
        dst, src = (instruction.value_of("dst"), instruction.value_of("src")) if isinstance(instruction, DmaTensor) else (None, None)
        if isinstance(dst, SystemTensor) and isinstance(src, LocalTensor):
            for k in range(2):
                target = replace(dst, address=dst.address + k * 5 * 6 * 7 * 4, shape=(1, 5, 6, 7))
                source = replace(src, address=src.address + k * 48 * 4, shape=(1, 5, 6, 7))
                halves.append(program.append(instruction.replace(dst=target, src=source)).id)
        elif not instruction.is_end:
            program.append(instruction)
    recording = recorded(with_program(model, program.end()), inputs)
    (name, wanted), *_ = recorded_outputs(recording).items()
    for n, number in enumerate(halves):
        found = compare(recording, {name: changed(wanted, n, 2, 3, 4)}).first_difference
        assert found and found.written_by and (found.written_by.engine, found.written_by.number) == ("gdma", number)


def recorded_outputs(recording: Recording) -> dict[str, Array]:
    (outputs,) = (entry for entry in recording.entries if entry.title == "outputs")
    return {name: recording.array(value) for name, value in outputs.results.items()}


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ({"nothing": np.zeros(1, "f4")}, "0 values 'nothing'"),
        ({"dst": np.zeros(1, "f4")}, "values 'dst': 0/0/0/gdma/1/dst"),
        ({}, "has no arrays"),
    ],
)
def test_references_that_belong_to_nothing(reference: dict[str, Array], text: str) -> None:
    with pytest.raises(ReferenceArrayError, match=text):
        compare(recorded(*MODELS["conv"]), reference)


def test_a_reference_of_another_shape_or_type() -> None:
    (model, inputs), (run,) = MODELS["conv"], runs_of(CONV)
    recording, y = recorded(model, inputs), run.outputs["y"]
    for other in (y.astype("f8"), y.reshape(-1), y[:, :1]):
        result = compare(recording, {"y": other})
        assert not result and "the reference float" in str(result)
    assert compare(recording, {"y": y.astype("f8")}, atol=0), "with a tolerance the values count"


def test_reference_files_that_cannot_be_read(tmp_path: Path) -> None:
    recording = recorded(*MODELS["conv"])
    objects = tmp_path / "objects.npz"
    np.savez(objects, allow_pickle=True, y=np.array([{}], object))
    (tmp_path / "text.npz").write_text("nothing")
    (tmp_path / "cut.npy").write_bytes(
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 16, 16, 16)}" + b" " * 60
    )
    (tmp_path / "long.npy").write_bytes(_npy_with_shape("(1, 16, 16, 16)") + bytes(4 * 4096 + 1))
    (tmp_path / "huge.npy").write_bytes(_npy_with_shape("(99999999999, 99999999999)"))
    np.savez(tmp_path / "whole.npz", allow_pickle=False, y=np.zeros(9, "f4"))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-30])
    for name in ("objects.npz", "text.npz", "cut.npy", "long.npy", "cut.npz"):
        with pytest.raises(ReferenceArrayError):
            compare(recording, tmp_path / name)
    assert "the reference float32[99999999999, 99999999999]" in str(compare(recording, tmp_path / "huge.npy"))
    with pytest.raises(FileNotFoundError):
        compare(recording, tmp_path / "missing.npz")


def _npy_with_shape(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


# ------------------------------------------------------------------ tolerances


def test_tolerances_of_runs() -> None:
    model, inputs = MODELS["example"]
    (fault,) = (fault for fault in faults(model) if (fault.engine, fault.number, fault.what) == ("tiu", 2, "src1"))
    run, reference = recorded(fault.model, inputs, keep="all"), recorded(model, inputs, keep="all")
    near = compare(run, reference, atol=0.51)
    assert near.first_difference is None and near.program, "the values are near, but it is another program"
    far = compare(run, reference, atol=0.4)
    assert far.first_difference and far.first_difference.entry.title == "arith.max"
    assert compare(run, reference, cosine=0.99).first_difference is None
    assert compare(run, reference, cosine=0.9999999).first_difference
    unknown = compare(recorded(fault.model, inputs), recorded(model, inputs), rtol=1e-9)
    assert unknown.first_difference and unknown.first_difference.different_inputs == ()


def test_inputs_that_were_not_kept_are_unknown_under_a_tolerance() -> None:
    """x is a little off, within the tolerance; the product is too far off."""
    model, inputs = MODELS["handmade"]
    (a, x), (b, y) = inputs.items()
    y = y.copy()
    y[0, 0, 0, 0] = 1000
    near = {a: changed(x, 0, 0, 0, 0, by=0.01), b: y}
    run, reference = recorded(model, near, keep="results"), recorded(model, {a: x, b: y})
    result = compare(run, reference, atol=0.1)
    found = result.first_difference
    assert found and found.entry.title == "arith.mul" and found.unknown_inputs == ("src0",)
    assert "keep='all' would tell" in str(result)
    whole = compare(recorded(model, near, keep="all"), recorded(model, {a: x, b: y}, keep="all"), atol=0.1).first_difference
    assert whole and whole.different_inputs == () == whole.unknown_inputs


@pytest.mark.parametrize("options", [{"atol": -1}, {"rtol": float("nan")}, {"cosine": 1.5}])
def test_tolerances_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(RecordingOptionError):
        compare(Recording("BM1684X", "results", [], recorded(*MODELS["conv"]).store), {}, **options)


FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
PAIRS = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4).flatmap(
    lambda shape: st.tuples(*(hnp.arrays("f4", shape, elements=FLOATS | st.sampled_from([0.0, -0.0, 1.0])) for _ in range(2)))
)


@given(PAIRS)
def test_without_a_tolerance_bits_count(pair: tuple[Array, Array]) -> None:
    found, wanted = pair
    wrong = np.argwhere(found.view("u4") != wanted.view("u4"))
    result = difference_of(found, wanted)
    assert (result is None) == (len(wrong) == 0)
    if result:
        assert result.index == tuple(wrong[0]) and result.count == len(wrong)
        assert result.found.tobytes() == found[result.index].tobytes() and str(result)


@given(PAIRS, st.sampled_from([0, 0.5, 10]), st.sampled_from([0, 0.1, 2]))
def test_tolerances_are_those_of_numpy(pair: tuple[Array, Array], atol: float, rtol: float) -> None:
    found, wanted = (array.astype("f8") for array in pair)
    close = np.isclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True)
    result = difference_of(*pair, Tolerance(atol=atol, rtol=rtol))
    assert (result is None) == bool(close.all())
    if result:
        assert result.count == np.count_nonzero(~close) and not close[result.index]


def test_bfloat16_and_integers() -> None:
    a = np.array([1, 2, 3], bf16.numpy)
    result = difference_of(a, a + np.array([0, 0.5, 0], bf16.numpy))
    assert result and (result.index, result.largest, float(result.wanted)) == ((1,), 0.5, 2.5)  # pyright: ignore[reportArgumentType]
    big = difference_of(np.array([-128], "i1"), np.array([127], "i1"), Tolerance(atol=254))
    assert big and big.largest == 255
    assert difference_of(np.array([2**32 - 1], "u4"), np.array([2**32 - 2], "u4"), Tolerance(atol=1)) is None
    nan = difference_of(np.array([0x7FC00000], "u4").view("f4"), np.array([0x7FC00001], "u4").view("f4"))
    assert nan and "nan (7fc00000), expected nan (7fc00001)" in str(nan) and nan.largest is None


def test_a_comparison_is_a_condition() -> None:
    assert Comparison(None, None, 0, 0)
