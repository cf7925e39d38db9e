"""Figures, strides and layouts against the official libraries."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.oracle import Call, Job, oracle_folder, oracle_script, run_jobs
from tpukernel.chips import BM1684, BM1684X, Chip
from tpukernel.chips.layout import (
    aligned_strides,
    bank_of,
    byte_offsets,
    compact_strides,
    continuous_strides,
    lane_bytes_needed,
    line_aligned_strides,
    matrix_tensor,
    read_matrix,
    read_tensor,
    start_lane,
    write_tensor,
)
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32

pytestmark = pytest.mark.vendor

WORKER = Path(__file__).with_name("official_numbers.py")
CASES = 3000
Request = tuple[str, Sequence[int | Sequence[int]]]


def ask(chip: Chip, requests: Sequence[Request], folder: Path) -> list[int | list[int]]:
    """What the official library of a chip answers."""
    if not (oracle_folder() / chip.name.lower() / "libbackend.so").is_file():
        pytest.skip(f"the official {chip!r} library is not unpacked")
    command = [sys.executable, str(WORKER), str(oracle_script().resolve()), chip.name.lower()]
    answer = subprocess.run(command, input=json.dumps(requests), capture_output=True, text=True, check=True, cwd=folder)
    return json.loads(answer.stdout)


def compare(chip: Chip, wanted: Sequence[tuple[Request, int | Sequence[int]]], folder: Path) -> None:
    answers = ask(chip, [request for request, _ in wanted], folder)
    different = [
        f"{name}{tuple(arguments)}: official {answer}, ours {ours}"
        for ((name, arguments), ours), answer in zip(wanted, answers, strict=True)
        if answer != (ours if isinstance(ours, int) else list(ours))
    ]
    assert not different, "\n".join(different[:10])


def data_type(dtype: Dtype) -> int:
    """`data_type_t` of the TPUKernel header."""
    return BM1684X.dtype_codes[dtype] << 1 | dtype.is_signed


def generator(seed: int) -> random.Random:
    return random.Random(seed)


def random_shape(rng: random.Random) -> Dim4:
    edges = (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 129)
    h, w = (rng.choice(edges) if rng.random() < 0.6 else rng.randint(1, 300) for _ in range(2))
    c = rng.choice(edges) if rng.random() < 0.6 else rng.randint(1, 4096)
    return rng.randint(1, 9), c, h, w


def test_bm1684x_figures(tmp_path: Path) -> None:
    chip = BM1684X
    wanted: list[tuple[Request, int]] = [
        (("tpu_npu_num", []), chip.lanes),
        (("tpu_local_mem_size_per_npu", []), chip.lane_bytes),
        (("tpu_bank_num", []), chip.banks),
        (("tpu_local_mem_get_start_addr", []), chip.regions["lmem"].base),
        (("tpu_l2_sram_get_start_addr", []), chip.regions["l2"].base),
        (("tpu_l2_sram_size", []), chip.regions["l2"].size),
        (("tpu_global_mem_get_start_addr", []), chip.regions["ddr"].base),
        (("tpu_gdma_move_max_wstride_byte_len", []), cast(int, chip.gdma_max_w_stride_bytes)),
    ]
    wanted += [(("tpu_gdma_shape_limit", [dimension]), chip.max_shape) for dimension in range(4)]
    wanted += [(("tpu_eu_num", [data_type(dtype)]), chip.eu_count(dtype)) for dtype in chip.dtype_codes]
    wanted += [(("tpu_get_ic_parallel", [data_type(dtype)]), chip.weight_pack[dtype]) for dtype in chip.dtype_codes]
    compare(chip, wanted, tmp_path)


def test_bm1684_figures(tmp_path: Path) -> None:
    chip = BM1684
    l2 = chip.regions["l2"]
    wanted: list[tuple[Request, int]] = [
        (("okk_npu_num", []), chip.lanes),
        (("okk_local_mem_size_per_npu", []), chip.lane_bytes),
        (("okk_local_mem_bank_per_npu", []), chip.banks),
        (("okk_local_mem_start_addr", []), chip.regions["lmem"].base),
        (("okk_dtcm_start_addr", []), chip.regions["dtcm"].base),
        (("okk_dtcm_size", []), chip.regions["dtcm"].size),
        (("okk_eu_num", []), chip.eu_count(f32)),
    ]
    compare(chip, wanted, tmp_path)
    # Kernels may use the end of what we call L2, up to the tables of the last MiB.
    start, size = cast("list[int]", ask(chip, [("okk_l2_sram_start_addr", []), ("okk_l2_sram_size", [])], tmp_path))
    assert l2.base < start
    assert start + size == l2.end - (1 << 20)


def test_bm1684x_strides(tmp_path: Path) -> None:
    rng, wanted = generator(0), list[tuple[Request, int | Sequence[int]]]()
    for _ in range(CASES):
        shape, start, dtype = random_shape(rng), rng.randrange(64), rng.choice(list(BM1684X.dtype_codes))
        _, c, h, w = shape
        code = data_type(dtype)
        aligned, compact = aligned_strides(BM1684X, shape, dtype, start=start), compact_strides(BM1684X, shape, start=start)
        address = start * BM1684X.lane_bytes
        sizes = [lane_bytes_needed(BM1684X, LocalTensor(address, shape, dtype, layout)) for layout in (Layout.COMPACT, Layout.EU_ALIGNED)]
        wanted += [
            (("tpu_aligned_stride", [start, shape, code]), aligned),
            (("tpu_compact_stride", [start, shape]), compact),
            (("tpu_line_aligned_stride", [start, shape, code]), line_aligned_strides(BM1684X, shape, dtype, start=start)),
            (("tpu_continuous_stride", [shape]), continuous_strides(shape)),
            (("tpu_get_local_cstride", [h, w, 1, code]), aligned[1]),
            (("tpu_get_local_cstride", [h, w, 0, code]), compact[1]),
            (("tpu_get_local_nstride", [aligned[1], c, start]), aligned[0]),
            (("tpu_channle_num_per_npu", [start, c]), compact[0] // compact[1]),
            (("tpu_aligned_feature_size", [h, w, code]), aligned[1] * dtype.itemsize),
            (("tpu_get_local_size", [shape, code, start, 0]), sizes[0]),
            (("tpu_get_local_size", [shape, code, start, 1]), sizes[1]),
        ]
    compare(BM1684X, wanted, tmp_path)


def test_bm1684x_addresses(tmp_path: Path) -> None:
    rng, wanted = generator(1), list[tuple[Request, int | Sequence[int]]]()
    for _ in range(CASES):
        address = rng.randrange(BM1684X.local_bytes)
        wanted += [(("tpu_npu_index", [address]), start_lane(BM1684X, address)), (("tpu_bank_index", [address]), bank_of(BM1684X, address))]
    compare(BM1684X, wanted, tmp_path)


def test_bm1684_strides(tmp_path: Path) -> None:
    rng, wanted = generator(2), list[tuple[Request, int | Sequence[int]]]()
    for _ in range(CASES):
        shape, start = random_shape(rng), rng.randrange(64)
        compact = compact_strides(BM1684, shape, start=start)
        wanted += [
            (("okk_128_byte_aligned_stride_for_8bit", [start, shape]), aligned_strides(BM1684, shape, i8, start=start)),
            (("okk_128_byte_aligned_stride_for_16bit", [start, shape]), aligned_strides(BM1684, shape, i16, start=start)),
            (("okk_128_byte_aligned_stride_for_32bit", [start, shape]), aligned_strides(BM1684, shape, f32, start=start)),
            (("okk_compact_stride", [start, shape]), compact),
            (("okk_continuous_stride", [shape]), continuous_strides(shape)),
            (("okk_channle_num_per_npu", [start, shape[1]]), compact[0] // compact[1]),
        ]
    compare(BM1684, wanted, tmp_path)


def small_integers(rng: np.random.Generator, shape: Dim4, dtype: Dtype) -> NDArray[np.generic]:
    """Numbers whose products and sums every type holds exactly."""
    return rng.integers(-2, 3, shape).astype(dtype.numpy)


def spoil_fill(memory: NDArray[np.uint8], weight: LocalTensor) -> None:
    """Overwrite what fills the last group of input channels: the chip does not read it."""
    oc, ic, kh, kw = weight.shape
    filled = -(-ic // BM1684X.weight_pack[weight.dtype]) * BM1684X.weight_pack[weight.dtype]
    fill = byte_offsets(BM1684X, replace(weight, shape=(oc, filled, kh, kw)))[:, ic:]
    memory[fill[..., None] + np.arange(weight.dtype.itemsize)] = 0x3F


@pytest.mark.parametrize("dtype", [f32, f16, bf16, i8], ids=repr)
@pytest.mark.parametrize("start", [0, 5])
@pytest.mark.parametrize("ic", [1, 31, 64, 70])
def test_convolutions_read_the_weight_layout(dtype: Dtype, start: int, ic: int) -> None:
    """The official C model convolves weights that we wrote: several groups of input channels, more output channels than lanes."""
    oc, kernel, (h, w) = 70, (2, 3), (3, 4)
    rng, lane = np.random.default_rng(ic), start * BM1684X.lane_bytes
    # Types with groups of input channels take their input from lane 0 only: the library asserts it.
    data = LocalTensor(lane if BM1684X.weight_pack[dtype] == 1 else 0, (2, ic, h, w), dtype)
    weight = LocalTensor(lane + 0x8000, (oc, ic, *kernel), dtype, Layout.WEIGHT)
    result = LocalTensor(lane + 0x20000, (2, oc, h - kernel[0] + 1, w - kernel[1] + 1), i32 if dtype is i8 else f32)
    memory = rng.integers(0, 256, BM1684X.local_bytes, np.uint8)  # what the tensors do not cover must not matter
    inputs, weights = small_integers(rng, data.shape, dtype), small_integers(rng, weight.shape, dtype)
    write_tensor(BM1684X, memory, data, inputs)
    write_tensor(BM1684X, memory, weight, weights)
    spoil_fill(memory, weight)
    common = {
        "output_addr": result.address,
        "input_addr": data.address,
        "weight_addr": weight.address,
        "input_shape": data.shape,
        "input_stride": None,
        "output_c": oc,
        "kernel": kernel,
        "padding": (0, 0, 0, 0),
        "stride": (1, 1),
        "dilation": (1, 1),
        "output_dtype": data_type(result.dtype),
        "input_dtype": data_type(dtype),
        "result_add": False,
    }
    if dtype is i8:
        extra = {"kzp_val": 0, "pad_val": 0, "weight_dtype": data_type(i8), "kzp_dtype": data_type(i8)}
        call = Call.of("tpu_bdc_int8_asym_quant_conv2d", {**common, **extra})
    else:
        call = Call.of("tpu_bdc_fp_conv2d", {**common, "bias_addr": 0, "has_bias": False})
    [answer] = run_jobs([Job(calls=[call], initial={"lmem": [(0, memory)]}, reads=[("lmem", 0, BM1684X.local_bytes)])])
    assert answer.rejected is None
    found = read_tensor(BM1684X, answer.memory[0], result).astype(np.int64)
    numbers, taps = inputs.astype(np.int64), weights.astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(numbers, kernel, (2, 3))
    np.testing.assert_array_equal(found, np.einsum("nchwyx,ocyx->nohw", windows, taps))


@pytest.mark.parametrize("start", [0, 60])
@pytest.mark.parametrize("cols", [200, 199, 193])
def test_matrix_copies_fill_the_last_channel_partly(start: int, cols: int) -> None:
    rows, width = 3, 8
    tensor = matrix_tensor(start * BM1684X.lane_bytes + 64, rows, cols, i16, cols_per_channel=width)
    matrix = np.random.default_rng(cols).integers(-(1 << 15), 1 << 15, (rows, cols), np.int16)
    call = Call.of(
        "tpu_gdma_matrix_S2L",
        dst_addr=tensor.address,
        src_addr=BM1684X.regions["ddr"].base,
        rows=rows,
        cols=cols,
        cols_per_channel=width,
        row_stride=cols,
        dtype=data_type(i16),
    )
    job = Job(
        calls=[call],
        fill={"lmem": 0xA7},
        initial={"ddr": [(0, matrix.view(np.uint8).reshape(-1))]},
        reads=[("lmem", 0, BM1684X.local_bytes)],
    )
    [answer] = run_jobs([job])
    assert answer.rejected is None
    np.testing.assert_array_equal(read_matrix(BM1684X, answer.memory[0], tensor, cols), matrix)
    changed = np.flatnonzero(answer.memory[0] != 0xA7)
    offsets = byte_offsets(BM1684X, tensor).reshape(rows, -1)[:, :cols]
    assert np.setdiff1d(changed, np.stack([offsets, offsets + 1])).size == 0
