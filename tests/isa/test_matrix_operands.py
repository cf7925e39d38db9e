"""Decoded operands of recorded convolutions, poolings and products of matrices are the memory regions that the recording names."""

from __future__ import annotations

import pytest

from tests.support.api_calls import emitting
from tests.support.golden import GoldenCase, GoldenTensor, golden_cases
from tpukernel import BM1684X
from tpukernel.chips.layout import lane_bytes_needed
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.dtypes import DTYPES
from tpukernel.isa import Conv, MatMul, MatMul2, Pool, decode

CASES = [case for case in golden_cases() if case.function in emitting(Conv, MatMul, MatMul2, Pool)]

NAMES = {
    "output_addr": "dst",
    "input_addr": "input",
    "weight_addr": "weight",
    "bias_addr": "bias",
    "kzp_addr": "kernel_zero_point",
    "pad_addr": "pad_value",
    "left_addr": "left",
    "right_addr": "right",
    "shift_addr": "shift",
    "zp_addr": "right_zero_point",
}
UNUSED = {"bias": "has_bias"}
"""Regions that the call names, but reads only with this flag."""


def shape_of(region: GoldenTensor, operand: LocalTensor) -> Dim4:
    """The operand's shape as the recording writes it.

    Weights are (1, oc, taps and groups of input channels, channels of a group) there, and of pad values the first of each pair counts.
    """
    n, c, h, w = operand.shape
    if operand.layout is Layout.WEIGHT:
        group = BM1684X.weight_pack[operand.dtype]
        return 1, n, -(-c // group) * h * w if group > 1 else region.shape[2], group if group > 1 else region.shape[3]
    return (n, c, h, 1) if region.name == "pad_addr" else (n, c, h, w)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_operands_are_the_recorded_regions(case: GoldenCase) -> None:
    [instruction] = decode(BM1684X, "tiu", case.tiu)
    assert isinstance(instruction, Conv | Pool | MatMul | MatMul2)
    seen: set[str] = set()
    for region in case.tensors:
        name = NAMES[region.name]
        value = instruction.value_of(name)
        if value is None or not isinstance(value, LocalTensor):
            assert case.params[UNUSED[name]] is False, region
            continue
        seen.add(name)
        assert (value.address, value.dtype.bits) in {
            (case.params[region.name], DTYPES[region.dtype].bits),
            # The output of a case that adds to wider partial sums is recorded with their type.
            (case.params[region.name], DTYPES[region.dtype].bits // 2 if name == "dst" else 0),
        }, region
        if name != "shift":  # recorded as a region that is large enough for any shape
            assert shape_of(region, value) == region.shape, region
    used = {use.name for use in instruction.operands() if isinstance(use.value, LocalTensor)}
    assert used - seen <= {"roi", "partial_sum"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_operands_lie_in_memory_that_the_case_initialised(case: GoldenCase) -> None:
    """Every input is inside the recorded initial memory of its start lane: the shapes are not too large."""
    [instruction] = decode(BM1684X, "tiu", case.tiu)
    for use in instruction.operands():
        if use.direction == "in" and isinstance(use.value, LocalTensor):
            end = use.value.address + lane_bytes_needed(BM1684X, use.value)
            first = next(run for run in case.initial["lmem"] if run.offset <= use.value.address < run.offset + run.data.size)
            assert end <= -(-(first.offset + first.data.size) // 64) * 64, use
