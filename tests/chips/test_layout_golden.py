"""Layouts against recorded memory images of the official library."""

from __future__ import annotations

from functools import cache
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.golden import FILL, GoldenCase, GoldenTensor, golden_case, golden_cases
from tpukernel.chips import BM1684X
from tpukernel.chips.layout import (
    byte_offsets,
    matrix_offsets,
    matrix_tensor,
    read_matrix,
    read_system,
    read_tensor,
)
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import dtype_of

DDR_BYTES = 8 << 20
LAYOUTS = {"eu": Layout.EU_ALIGNED, "compact": Layout.COMPACT}

LINES = ("tpu_bdc_batch_bcast_h_gather", "tpu_bdc_batch_bcast_h_scatter")
"""Functions whose result is line-aligned; the index of the recordings knows only the size of the region."""

UNLISTED = {"tpu_bdc_arithmetic_sequence_general": [("buffer_addr", (1, 64, 1, 1), "i32", Layout.COMPACT)]}
"""Work memory that functions write besides the regions that the index of the recordings lists."""


def image(case: GoldenCase, space: str, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A memory space before and after the case."""
    before = np.full(size, FILL[space], np.uint8)
    for run in case.initial[space]:
        before[run.offset : run.offset + run.data.size] = run.data
    after = before.copy()
    for run in case.expected[space]:
        after[run.offset : run.offset + run.data.size] = run.data
    return before, after


def dim4(values: object) -> Dim4:
    n, c, h, w = cast("tuple[int, int, int, int]", values)
    return n, c, h, w


def local(case: GoldenCase, tensor: GoldenTensor) -> LocalTensor:
    """The operand: with the strides of the call where it has some, else in its default layout."""
    strides = case.params.get(tensor.name.replace("_addr", "_stride"))
    layout = Layout.FREE if strides else Layout.LINE_ALIGNED if case.function in LINES else LAYOUTS[tensor.layout]
    return LocalTensor(tensor.addr, dim4(tensor.shape), dtype_of(tensor.dtype), layout, dim4(strides) if strides else None)


def written(case: GoldenCase) -> list[LocalTensor]:
    found = [local(case, tensor) for tensor in case.tensors if tensor.space == "lmem" and tensor.role != "in"]
    for name, shape, dtype, layout in UNLISTED.get(case.function, []):
        found.append(LocalTensor(cast(int, case.params[name]), shape, dtype_of(dtype), layout))
    return found


@cache
def cases_that_write_tensors() -> list[GoldenCase]:
    return [case for case in golden_cases() if written(case)]


def test_nearly_all_recordings_apply() -> None:
    # The others write system memory only, or are programs and hand-assembled instructions whose regions are not listed.
    assert len(cases_that_write_tensors()) >= 160


@pytest.mark.parametrize("case", cases_that_write_tensors(), ids=lambda case: case.id)
def test_results_lie_inside_the_offsets(case: GoldenCase) -> None:
    before, after = image(case, "lmem", BM1684X.local_bytes)
    changed = np.flatnonzero(before != after)
    inside = [(byte_offsets(BM1684X, tensor)[..., None] + np.arange(tensor.dtype.itemsize)).reshape(-1) for tensor in written(case)]
    assert changed.size
    assert np.setdiff1d(changed, np.concatenate(inside)).size == 0


def test_local_to_local_copy() -> None:
    case = golden_case("x84_152")
    before, after = image(case, "lmem", BM1684X.local_bytes)
    operands = {tensor.name: local(case, tensor) for tensor in case.tensors}
    assert operands["dst_addr"].address // BM1684X.lane_bytes == 63  # wraps: 33 channels from lane 63 on
    np.testing.assert_array_equal(read_tensor(BM1684X, after, operands["dst_addr"]), read_tensor(BM1684X, before, operands["src_addr"]))


def test_local_to_system_copy_with_strides() -> None:
    case = golden_case("x84_154")
    before, _ = image(case, "lmem", BM1684X.local_bytes)
    _, ddr = image(case, "ddr", DDR_BYTES)
    operands = {tensor.name: tensor for tensor in case.tensors}
    target = operands["dst_addr"]
    system = SystemTensor(target.addr, dim4(target.shape), dtype_of(target.dtype))
    source = read_tensor(BM1684X, before, local(case, operands["src_addr"]))
    np.testing.assert_array_equal(read_system(BM1684X, ddr, system, base=BM1684X.regions["ddr"].base), source)


@pytest.mark.parametrize(
    ("name", "to_local", "transposed"),
    [("x84_138", True, False), ("x84_137", True, True), ("x84_098", False, False)],
)
def test_matrix_copies(name: str, to_local: bool, transposed: bool) -> None:
    case = golden_case(name)
    params = {key: cast(int, value) for key, value in case.params.items()}
    rows, cols = (params["src_rows"], params["src_cols"]) if transposed else (params["rows"], params["cols"])
    width = params["dst_cols_per_channel"] if transposed else params["cols_per_channel"]
    dtype = dtype_of(case.tensors[0].dtype)
    in_lanes = (cols, rows) if transposed else (rows, cols)
    tensor = matrix_tensor(params["dst_addr" if to_local else "src_addr"], *in_lanes, dtype, cols_per_channel=width)
    before, after = image(case, "lmem", BM1684X.local_bytes)
    ddr = image(case, "ddr", DDR_BYTES)[0 if to_local else 1]
    stored = SystemTensor(BM1684X.regions["ddr"].base, (1, 1, rows, cols), dtype)
    system = read_system(BM1684X, ddr, stored, base=stored.address)[0, 0]
    matrix = read_matrix(BM1684X, after, tensor, in_lanes[1])
    np.testing.assert_array_equal(matrix, system.T if transposed else system)
    if to_local:  # the unused end of the last channel is left alone
        inside = (matrix_offsets(BM1684X, tensor, in_lanes[1])[..., None] + np.arange(dtype.itemsize)).reshape(-1)
        assert np.setdiff1d(np.flatnonzero(before != after), inside).size == 0


@pytest.mark.parametrize("name", ["x84_166", "x84_168"])
def test_int8_convolution_reads_the_weight_layout(name: str) -> None:
    """The recorded results are those of a numpy convolution whose weights were read from lane memory in the WEIGHT layout."""
    case = golden_case(name)
    before, after = image(case, "lmem", BM1684X.local_bytes)
    operands = {tensor.name: local(case, tensor) for tensor in case.tensors}
    data, packed, result = operands["input_addr"], operands["weight_addr"], operands["output_addr"]
    kh, kw = cast("list[int]", case.params["kernel"])
    weight = LocalTensor(packed.address, (packed.shape[1], data.shape[1], kh, kw), packed.dtype, Layout.WEIGHT)

    def numbers(memory: NDArray[np.uint8], tensor: LocalTensor) -> NDArray[np.int64]:
        return read_tensor(BM1684X, memory, tensor).astype(np.int64)

    def scalar_or_channels(prefix: str) -> NDArray[np.int64]:
        if f"{prefix}_addr" in operands:
            return numbers(before, operands[f"{prefix}_addr"]).reshape(-1)
        raw = cast(int, case.params[f"{prefix}_val"])
        dtype = packed.dtype if prefix == "kzp" else data.dtype
        return np.array([raw], np.uint8).view(dtype.numpy).astype(np.int64)

    top, bottom, left, right = cast("list[int]", case.params["padding"])
    n, c, h, w = data.shape
    padded = np.broadcast_to(scalar_or_channels("pad").reshape(1, -1, 1, 1), (n, c, h + top + bottom, w + left + right)).copy()
    padded[:, :, top : top + h, left : left + w] = numbers(before, data)
    kernel = numbers(before, weight) - scalar_or_channels("kzp").reshape(-1, 1, 1, 1)
    (sh, sw), (dh, dw) = cast("list[int]", case.params["stride"]), cast("list[int]", case.params["dilation"])
    _, _, oh, ow = result.shape
    wanted = numbers(before, result) if case.params["result_add"] else np.zeros(result.shape, np.int64)
    for y in range(kh):
        for x in range(kw):
            window = padded[:, :, y * dh : y * dh + (oh - 1) * sh + 1 : sh, x * dw : x * dw + (ow - 1) * sw + 1 : sw]
            wanted = wanted + np.einsum("nchw,oc->nohw", window, kernel[:, :, y, x])
    np.testing.assert_array_equal(numbers(after, result), wanted)
