"""The cycles are those of the official estimator: of the golden cases, and of whole programs that the official compiler built."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmlang.bmodel.streams import read_streams
from tests.support.bmodels import ADD_STAGES, CONV, HANDMADE, MATMUL, RELOC, TOPK, write_fixture
from tests.support.cycles import cases_with_calls, cells, figures_row, recorded_cycles, total_cycles, without_io
from tests.support.golden import GoldenCase
from tests.support.streams import official_streams
from tpukernel.cost import Traffic
from tpukernel.isa import Program

# Rows of the measured study of the official compiler's code (totals: "TCYC" of the compiler_profile_0.txt that the compiler of
# tpu_mlir 1.30 writes; the other columns computed from the same counts). Columns: tests.support.cycles.COLUMNS.
BENCHMARKS = """
add112_f16 | 4+3 | 6272 | 3136 | 2800 | 197263 | 199279 | 199.3 | 28% | 0.0 | 0.0% | 0% | 93% | 0.0 | 1.00 | 183716 mem | 92%
add112_f32 | 2+6 | 6272 | 3136 | 784 | 183714 | 183714 | 183.7 | 100% | 0.0 | 0.0% | 0% | 100% | 0.0 | 1.00 | 183716 mem | 100%
conv56_f16 | 3+4 | 856 | 784 | 14504 | 37030 | 51338 | 51.3 | 1% | 115.6 | 27.5% | 100% | 90% | 137.7 | 1.00 | 33429 mem | 65%
conv56_f32 | 1+4 | 928 | 784 | 112896 | 38395 | 151291 | 151.3 | 0% | 115.6 | 74.6% | 100% | 90% | 131.9 | 1.00 | 112896 mac | 75%
conv56_int8 | 3+3 | 236 | 196 | 7840 | 9370 | 17210 | 17.2 | 0% | 115.6 | 41.0% | 100% | 93% | 522.7 | 1.00 | 8728 mem | 51%
exp112_f32 | 52+8 | 3136 | 3136 | 17252 | 128346 | 128346 | 128.3 | 100% | 0.0 | 0.0% | 0% | 100% | 0.0 | 1.00 | 128349 mem | 100%
layernorm_f32 | 13+4 | 1158 | 1152 | 7692 | 51079 | 58771 | 58.8 | 0% | 0.0 | 0.0% | 0% | 93% | 0.0 | 1.00 | 47290 mem | 80%
mm512_f16 | 5+11 | 2560 | 2048 | 16896 | 95066 | 111450 | 111.5 | 3% | 134.2 | 14.7% | 100% | 98% | 56.9 | 1.80 | 50949 mem | 46%
mm512_f32 | 1+3 | 2048 | 1024 | 262144 | 239955 | 502099 | 502.1 | 0% | 134.2 | 26.1% | 50% | 25% | 85.3 | 1.00 | 131072 mac | 26%
mul112_f32 | 2+6 | 6272 | 3136 | 784 | 183714 | 183714 | 183.7 | 100% | 0.0 | 0.0% | 0% | 100% | 0.0 | 1.00 | 183716 mem | 100%
relu112_f32 | 2+4 | 3136 | 3136 | 784 | 137813 | 137813 | 137.8 | 100% | 0.0 | 0.0% | 0% | 93% | 0.0 | 1.00 | 128349 mem | 93%
softmax_f32 | 153+16 | 6912 | 6912 | 49465 | 303745 | 303746 | 303.7 | 100% | 0.0 | 0.0% | 0% | 93% | 0.0 | 1.00 | 282893 mem | 93%
"""
MODELS = """
bf16_add | 4+3 | 2 | 1 | 16 | 2011 | 2023 | 2.0 | 25% | 0.0 | 0.0% | 0% | 3% | 0.0 | 1.00 | 58 mem | 3%
f16_add | 4+3 | 2 | 1 | 16 | 2011 | 2023 | 2.0 | 25% | 0.0 | 0.0% | 0% | 3% | 0.0 | 1.00 | 58 mem | 3%
f16_conv3x3_relu | 41+4 | 22 | 16 | 643 | 1232 | 1859 | 1.9 | 2% | 0.6 | 3.9% | 19% | 62% | 30.3 | 0.87 | 866 mem | 47%
f16_matmul_bias | 4+8 | 11 | 5 | 20 | 3227 | 3247 | 3.2 | 0% | 0.0 | 0.1% | 25% | 10% | 4.0 | 1.15 | 258 mem | 8%
f32_custom_absadd | 4+4 | 128 | 128 | 64 | 5236 | 5236 | 5.2 | 100% | 0.0 | 0.0% | 0% | 100% | 0.0 | 1.00 | 5238 mem | 100%
f32_index_select | 2+2 | 0 | 0 | 3 | 19 | 22 | 0.0 | 0% | 0.0 | 0.0% | 0% | 13% | 0.0 | 0.41 | 12 mem | 55%
f32_layernorm | 13+4 | 4 | 4 | 166 | 738 | 904 | 0.9 | 0% | 0.0 | 0.0% | 0% | 23% | 0.0 | 0.53 | 304 mem | 34%
f32_mul_exp | 14+5 | 48 | 32 | 97 | 1590 | 1687 | 1.7 | 0% | 0.0 | 0.0% | 0% | 100% | 0.0 | 1.67 | 937 mem | 56%
f32_net_conv_pool_fc_softmax | 33+24 | 101 | 8 | 4197 | 10647 | 13046 | 13.0 | 43% | 0.2 | 1.8% | 6% | 19% | 4.3 | 1.05 | 1837 mem | 14%
f32_softmax | 22+2 | 2 | 2 | 249 | 274 | 523 | 0.5 | 0% | 0.0 | 0.0% | 0% | 23% | 0.0 | 1.00 | 63 mem | 12%
f32_to_int8_requant | 3+2 | 8 | 2 | 8 | 654 | 662 | 0.7 | 0% | 0.0 | 0.0% | 0% | 29% | 0.0 | 1.00 | 187 mem | 28%
f32_where | 1+4 | 3 | 1 | 4 | 151 | 155 | 0.2 | 0% | 0.0 | 0.0% | 0% | 50% | 0.0 | 1.00 | 76 mem | 49%
int8_add_quant | 9+3 | 4 | 2 | 176 | 501 | 613 | 0.6 | 36% | 0.0 | 0.0% | 0% | 23% | 0.0 | 1.00 | 117 mem | 19%
int8_add_shift | 1+3 | 4 | 2 | 4 | 501 | 505 | 0.5 | 0% | 0.0 | 0.0% | 0% | 23% | 0.0 | 1.00 | 117 mem | 23%
int8_conv3x3_requant | 40+3 | 8 | 4 | 387 | 1005 | 1341 | 1.3 | 13% | 0.6 | 2.7% | 19% | 23% | 96.0 | 1.00 | 234 mem | 17%
int8_onnx_conv_fc | 20+8 | 10 | 1 | 202 | 5542 | 5664 | 5.7 | 40% | 0.0 | 0.0% | 3% | 3% | 3.7 | 0.67 | 265 mem | 5%
"""
FIXTURES = f"""
{ADD_STAGES}:0 | 1+3 | 2 | 1 | 2 | 936 | 938 | 0.9 | 0% | 0.0 | 0.0% | 0% | 6% | 0.0 | 1.00 | 58 mem | 6%
{ADD_STAGES}:1 | 1+3 | 4 | 2 | 2 | 936 | 938 | 0.9 | 0% | 0.0 | 0.0% | 0% | 13% | 0.0 | 1.00 | 117 mem | 12%
{ADD_STAGES}:2 | 1+3 | 8 | 4 | 2 | 936 | 938 | 0.9 | 0% | 0.0 | 0.0% | 0% | 25% | 0.0 | 1.00 | 234 mem | 25%
{CONV}:0 | 2+4 | 25 | 16 | 2336 | 1232 | 3568 | 3.6 | 0% | 0.6 | 16.1% | 25% | 66% | 28.1 | 0.86 | 937 mem | 26%
{TOPK}:0 | 1+3 | 1 | 1 | 108 | 230 | 338 | 0.3 | 0% | 0.0 | 2.0% | 6% | 19% | 6.2 | 0.45 | 84 mem | 25%
{MATMUL}:0 | 1+4 | 12 | 2 | 1040 | 1040 | 2080 | 2.1 | 0% | 0.0 | 1.5% | 3% | 25% | 4.5 | 0.78 | 329 mem | 16%
{RELOC}:0 | 4+9 | 26 | 2 | 629 | 3131 | 3504 | 3.5 | 41% | 0.0 | 0.5% | 3% | 16% | 1.3 | 0.90 | 548 mem | 16%
{HANDMADE}:0 | 3+3 | 3 | 2 | 18 | 627 | 645 | 0.6 | 0% | 0.0 | 0.0% | 0% | 15% | 0.0 | 1.00 | 96 mem | 15%
"""

# Cycles with guessed start-up costs, from the same study.
HW_TOTALS = {
    "add112_f16": 199762,
    "add112_f32": 184614,
    "conv56_f16": 51972,
    "conv56_f32": 151914,
    "conv56_int8": 17705,
    "exp112_f32": 129546,
    "layernorm_f32": 59544,
    "mm512_f16": 113181,
    "mm512_f32": 502581,
    "mul112_f32": 184614,
    "relu112_f32": 138413,
    "softmax_f32": 306149,
}


def rows(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(name, row) for line in text.strip().splitlines() for name, *rest in [cells(line)] for row in [tuple(rest)]]


def program_of(model: str) -> Program:
    """The only command group of a recorded file."""
    keys = [key for key in official_streams() if key.partition("/")[0] == model]
    streams = {key.rpartition("/")[2]: official_streams()[key].data for key in keys}
    assert len(keys) == 2, keys
    return Program.from_streams("BM1684X", tiu=streams["tiu"], gdma=streams["gdma"])


@pytest.mark.parametrize("case", cases_with_calls(), ids=lambda case: case.id)
def test_golden_cases_cost_what_the_official_estimator_counts(case: GoldenCase) -> None:
    assert total_cycles(case.tiu, case.gdma) == recorded_cycles()[case.id]


def test_every_golden_case_has_its_cycles() -> None:
    assert set(recorded_cycles()) == {case.id for case in cases_with_calls()} and len(recorded_cycles()) > 180
    assert sum(cycles > 0 for cycles in recorded_cycles().values()) > 180


@pytest.mark.parametrize(
    ("model", "row"),
    [*rows(BENCHMARKS), *((f"bm1684x_{name}_static", row) for name, row in rows(MODELS))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_official_programs(model: str, row: tuple[str, ...]) -> None:
    assert without_io(figures_row(program_of(model).timeline().figures)) == without_io(row)


@pytest.mark.parametrize(("place", "row"), rows(FIXTURES), ids=lambda value: value if isinstance(value, str) else "")
def test_official_models_with_their_inputs_and_outputs(place: str, row: tuple[str, ...], tmp_path: Path) -> None:
    model, _, stage = place.partition(":")
    groups = read_streams(write_fixture(model, tmp_path))
    assert groups is not None
    group = groups[int(stage)]
    assert group.read_bytes is not None and group.written_bytes is not None
    program = Program.from_streams(group.chip, tiu=group.tiu, gdma=group.gdma)
    assert figures_row(program.timeline(compulsory=Traffic(group.read_bytes, group.written_bytes)).figures) == row


@pytest.mark.parametrize(("model", "cycles"), HW_TOTALS.items())
def test_totals_with_guessed_starts(model: str, cycles: int) -> None:
    assert program_of(model).timeline(mode="hw").cycles == cycles
