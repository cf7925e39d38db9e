"""The oracle itself: it repeats the golden recordings, survives rejected calls, and executes commands like the recording did."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.support.golden import FILL, SPACES, GoldenCase, Run, golden_case, golden_cases, static_memory
from tests.support.oracle import Call, Image, Job, OracleError, Recorded, execute, oracle_folder, record, record_program, run_jobs
from tests.support.oracle import _Worker as Worker  # pyright: ignore[reportPrivateUsage]
from tests.support.signatures import Parameter, signatures

pytestmark = pytest.mark.vendor

BINARY = golden_case("x84_012")
LMEM_BYTES = 64 * 256 * 1024
DDR_BYTES = 8 << 20
L2_BYTES = 0x1FB000
COMPARED = (("lmem", 0, LMEM_BYTES), ("ddr", 0, DDR_BYTES), ("l2", 0, L2_BYTES))
KIND_OF_TYPE = {
    "void *": "node",
    "local_addr_t": "local",
    "static_addr_t": "static",
    "system_addr_t": "system",
    "global_addr_t": "system",
    "addr_t": "system",
    "const dim4 *": "dim4",
    "const dim2 *": "dim2",
    "const padding_t *": "padding",
    "const variable_t *": "variable",
    "data_type_t": "dtype",
    "rounding_mode_t": "rounding",
    "scalar_t": "scalar",
    "bool": "bool",
    "int": "int",
    "unsigned int": "uint",
    "float": "float",
    "char": "s8",
    "unsigned char": "u8",
}


def golden_calls(case: GoldenCase) -> list[Call]:
    return [Call.of(call.function, call.params) for call in case.calls]


def image(runs: dict[str, tuple[Run, ...]] | Image) -> dict[str, list[tuple[int, np.ndarray]]]:
    return {space: [(run.offset, run.data) for run in content if isinstance(run, Run)] for space, content in runs.items()}


def expected_memory(case: GoldenCase) -> list[np.ndarray]:
    """Initial and expected runs on top of the fill byte, for the compared ranges."""
    spaces: list[np.ndarray] = []
    for space, _, size in COMPARED:
        content = np.full(size, FILL[space], np.uint8)
        for runs in (case.initial[space], case.expected[space]):
            for run in runs:
                content[run.offset : run.offset + run.data.size] = run.data
        spaces.append(content)
    return spaces


def streams(recorded: Iterable[Recorded]) -> list[tuple[bytes, bytes, str | None]]:
    return [(r.tiu, r.gdma, r.rejected) for r in recorded]


def test_golden_calls_are_recorded_again_with_the_same_bytes_though_the_arithmetic_is_skipped() -> None:
    cases = [case for case in golden_cases() if len(case.calls) == 1 and not case.is_program]
    assert len(cases) > 180
    again = streams(record(call for case in cases for call in golden_calls(case)))
    assert again == [(case.tiu, case.gdma, None) for case in cases]


@pytest.mark.parametrize("case", [case for case in golden_cases() if case.is_program], ids=lambda case: case.id)
def test_programs_get_the_ids_and_dependencies_of_the_golden_recording(case: GoldenCase) -> None:
    recorded = record_program(golden_calls(case), end=case.end_command)
    assert streams([recorded]) == [(case.tiu, case.gdma, None)]


def test_a_rejected_call_is_reported_and_the_next_one_works() -> None:
    good = Call.of(BINARY.function, BINARY.params)
    bad = Call.of(BINARY.function, {**BINARY.params, "dst_addr": 1})
    before, rejected, after = record([good, bad, good])
    assert before == after and before.tiu == BINARY.tiu
    assert rejected.rejected is not None and "assert" in rejected.rejected.lower() and not rejected.tiu


def test_wrong_arguments_are_refused_before_the_library_sees_them() -> None:
    with pytest.raises(KeyError):
        Call.of(BINARY.function, {"dst_addr": 0})
    with pytest.raises(OracleError, match="takes 8 arguments"):
        record([Call(BINARY.function, (0,))])


def test_a_mistake_in_the_request_is_an_error_of_the_oracle_not_a_rejection() -> None:
    wrong = Call(BINARY.function, ("x",) * 8)  # pyright: ignore[reportArgumentType]
    others = [Call.of(BINARY.function, {**BINARY.params, "dtype": 5})] * 3
    with pytest.raises(OracleError, match="TypeError"):
        record([wrong, *others])
    assert record([Call.of(BINARY.function, BINARY.params)])[0].tiu == BINARY.tiu


def test_the_end_of_the_process_is_an_error_and_the_next_one_works() -> None:
    fresh = Worker("recorder")
    [fork] = Path(f"/proc/{fresh.process.pid}/task/{fresh.process.pid}/children").read_text(encoding="ascii").split()
    os.kill(int(fork), signal.SIGKILL)
    with pytest.raises(OracleError, match="the oracle process ended with code"):
        fresh.run([Job(calls=[Call.of(BINARY.function, BINARY.params)])], arithmetic=False, timeout=5, fresh=True)
    assert record([Call.of(BINARY.function, BINARY.params)])[0].tiu == BINARY.tiu


def test_recording_with_arithmetic_computes_the_golden_memory() -> None:
    cases = [case for case in golden_cases() if case.calls][::12]
    jobs = [Job(golden_calls(case), initial=image(dict(case.initial)), fill=FILL, reads=COMPARED) for case in cases]
    for case, result in zip(cases, run_jobs(jobs), strict=True):
        assert streams([result]) == [(case.tiu, case.gdma, None)]
        for (space, _, _), actual, expected in zip(COMPARED, result.memory, expected_memory(case), strict=True):
            assert np.array_equal(actual, expected), (case.id, space)


def test_the_c_model_executes_encoded_commands() -> None:
    initial = {**image(dict(BINARY.initial)), "static": [(0, static_memory())]}
    result = execute([("tiu", BINARY.tiu)], initial, COMPARED, fill=FILL)
    assert all(map(np.array_equal, result, expected_memory(BINARY)))


def test_every_job_starts_on_fresh_memory() -> None:
    ones = np.ones(64, np.uint8)
    command = ("tiu", BINARY.tiu)
    written, fresh = run_jobs(
        [
            Job(commands=[command], initial={"ddr": [(128, ones)]}, reads=[("ddr", 128, 64)]),
            Job(commands=[command], reads=[("ddr", 128, 64)]),
        ]
    )
    assert written.memory[0].all() and not fresh.memory[0].any()


def test_the_signature_table_agrees_with_the_header() -> None:
    header = (oracle_folder() / "include" / "tpu_kernel.h").read_text()
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", header, flags=re.DOTALL)
    found: dict[str, tuple[Parameter, ...]] = {}
    for name, arguments in re.findall(r"\b(tpu_\w+)\s*\(([^()]*)\)\s*;", text):
        pairs = [re.fullmatch(r"(.*?)\s*(\w+)", " ".join(argument.split())) for argument in arguments.split(",") if argument.strip()]
        kinds = [(match[2], KIND_OF_TYPE.get(re.sub(r"\s*\*", " *", match[1]))) for match in pairs if match]
        found[name] = tuple(Parameter(parameter, kind) for parameter, kind in kinds if kind)
    assert len(signatures()) >= 300
    for name, signature in signatures().items():
        assert signature.parameters == found[name]


def test_all_spaces_of_the_golden_data_are_compared() -> None:
    assert {space for space, _, _ in COMPARED} == set(SPACES)
