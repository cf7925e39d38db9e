"""DMA functions, gathers, scatters and quantization: addresses of indices, layouts without strides, and what they refuse.

Every function against the recorded and the official bytes: `test_golden.py` and `tests/vendor/test_api.py`.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.api_calls import instructions
from tests.support.draws import accepted_dtypes, draw
from tests.support.oracle import Value
from tests.support.sweep_dtypes import candidates, dtype_names, plain_draw
from tpukernel import BM1684X
from tpukernel.api import (
    ArgumentError,
    Bits,
    ChipFunctionError,
    MissingFunction,
    StaticStreamError,
    executing,
    gdma_copy,
    gdma_gather,
    gdma_matrix,
    quantization,
    recording,
    rows,
    scatter_gather,
    sdma,
    tpu_gdma_cpy_L2L,
    tpu_gdma_cpy_L2S,
    tpu_gdma_cpy_S2L,
    tpu_gdma_get_filter_num,
    tpu_gdma_h_gather_S2L,
    tpu_gdma_h_scatter_L2S,
    tpu_gdma_mask_select_L2S,
    tpu_gdma_mask_select_S2S_with_ret,
    tpu_gdma_matrix_S2L,
    tpu_gdma_nonzero_S2S,
    tpu_gdma_set_C_local,
    tpu_gdma_set_C_system,
)
from tpukernel.chips.errors import ShapeError
from tpukernel.chips.tensors import Constant, Dim4, LocalTensor, SystemTensor
from tpukernel.dtypes import f16, f32, i8, i32, u8, u32
from tpukernel.errors import TpuError
from tpukernel.isa import DmaGather, DmaScatter, DmaTensor, Rounding
from tpukernel.isa.errors import SystemRangeError
from tpukernel.sim import Machine

DDR, LOCAL, LANE = BM1684X.regions["ddr"].base, BM1684X.regions["lmem"].base, BM1684X.lane_bytes
MODULES = (gdma_copy, gdma_gather, gdma_matrix, quantization, scatter_gather)
WITH_TYPES = sorted({name for module in MODULES for name in module.__all__} & accepted_dtypes().keys())


def emits(name: str, params: dict[str, Value]) -> bool:
    try:
        for instruction in instructions(name, params):
            instruction.check(BM1684X)
            instruction.encoded(BM1684X)
    except TpuError:
        return False
    return True


@pytest.mark.parametrize("name", WITH_TYPES)
def test_functions_take_the_types_that_the_library_takes(name: str) -> None:
    random = Random(name)
    listed = {dtype_names(assignment) for assignment in accepted_dtypes()[name]}
    assert {combination for combination in candidates(name) if emits(name, plain_draw(name, combination, random))} == listed


# ---------------------------------------------------------------------------- where an index is


def gathered(index_addr: int, index_is_local: bool, shape: Dim4 = (1, 3, 4, 5)) -> DmaGather:
    [made] = tpu_gdma_h_gather_S2L.instructions(0, DDR, index_addr, index_is_local, 0, shape, 7, None, None, None, f32)
    assert isinstance(made, DmaGather)
    return made


@given(st.integers(0, BM1684X.local_bytes // 64 - 1))
def test_an_index_in_local_memory_has_a_local_or_a_system_address(unit: int) -> None:
    index = LocalTensor(64 * unit, (1, 3, 4, 1), u32)
    assert gathered(64 * unit, True).index == gathered(LOCAL + 64 * unit, True).index == index
    assert gathered(DDR + 64 * unit, False).index == SystemTensor(DDR + 64 * unit, (1, 3, 4, 1), u32)


@pytest.mark.parametrize("address", [BM1684X.local_bytes, LOCAL - 4, LOCAL + BM1684X.local_bytes, DDR])
def test_an_index_that_is_not_where_the_flag_says_is_refused(address: int) -> None:
    with pytest.raises(ArgumentError, match="index_addr"):
        gathered(address, True)
    with pytest.raises(ArgumentError, match="mask_addr"):
        tpu_gdma_mask_select_L2S.instructions(DDR, 0, address, True, (1, 3, 4, 5), f32, u8)


def test_a_local_address_is_no_system_address() -> None:
    with recording() as program, pytest.raises(SystemRangeError):
        tpu_gdma_h_gather_S2L(0, DDR, 4096, False, 0, (1, 3, 4, 5), 7, None, None, None, f32)
    assert not program.groups[0].gdma


@pytest.mark.parametrize("name", [name for name in scatter_gather.__all__ if "_w_" in name and "_hw_" not in name])
def test_functions_for_one_row_refuse_more(name: str) -> None:
    with pytest.raises(ArgumentError, match="its h has to be 1"):
        instructions(name, draw(name, Random(0)) | {"shape": (1, 3, 2, 4)})


def test_gathers_of_lines_refuse_several_n() -> None:
    with pytest.raises(ArgumentError, match=r"shape is \(2, 3, 4, 5\), but its n has to be 1"):
        gathered(DDR, False, (2, 3, 4, 5))


# ---------------------------------------------------------------------------- layouts that the library writes


def test_copies_without_strides_count_lanes_from_0() -> None:
    """10 channels from lane 60 on reach a second row, which the n stride of the library leaves out; between lanes it does not."""
    shape, start = (2, 10, 4, 4), 60 * LANE
    for [made], side in (
        (tpu_gdma_cpy_S2L.instructions(start, DDR, shape, None, None, f32), "dst"),
        (tpu_gdma_cpy_L2S.instructions(DDR, start, shape, None, None, f32), "src"),
        (tpu_gdma_set_C_local.instructions(start, 0, shape, None, f32), "dst"),
    ):
        operand = made.value_of(side)
        assert isinstance(operand, LocalTensor) and operand.strides == (16, 16, 4, 1)
    [made] = tpu_gdma_cpy_L2L.instructions(start, start + 4096, shape, None, None, f32)
    assert isinstance(made, DmaTensor) and made.dst.strides == (32, 16, 4, 1)


def test_a_fill_keeps_the_bits_of_its_type() -> None:
    for given_value, expected in ((Bits(0x1234_5678), 0x78), (-1, 0xFF)):
        [made] = tpu_gdma_set_C_local.instructions(0, given_value, (1, 1, 1, 1), None, i8)
        assert isinstance(made, DmaTensor) and made.src == Constant(expected, i8)


def test_a_fill_of_system_memory_has_strides_where_nothing_reads_them() -> None:
    [made] = tpu_gdma_set_C_system.instructions(DDR, 1.0, (2, 3, 4, 5), None, f16)
    assert isinstance(made, DmaTensor) and made.src == Constant(0x3C00, f16)
    assert dict(made.residue) == {"src_start_addr_l32": 60, "src_start_addr_h8": 20}


def scattered(param_stride: Dim4, index_stride: Dim4) -> DmaScatter:
    [made] = tpu_gdma_h_scatter_L2S.instructions(
        DDR, 0, DDR + 4096, False, (1, 3, 4, 5), 2, (60, 20, 5, 1), param_stride, index_stride, f32
    )
    assert isinstance(made, DmaScatter)
    return made


@pytest.mark.parametrize(("param", "index", "channels"), [(0, 0, (1, 1, 1)), (0, 2, (3, 1, 3)), (16, 0, (3, 3, 1)), (16, 2, (3, 3, 3))])
def test_scatter_to_system_memory_of_one_channel_for_all(param: int, index: int, channels: tuple[int, int, int]) -> None:
    made = scattered((16, param, 5, 1), (6, index, 1, 1))
    assert (made.dst.shape[1], made.src.shape[1], made.index.shape[1]) == channels


# ---------------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize("name", [name for name in gdma_copy.__all__ if "cw_trans" in name or "bcast" in name])
@pytest.mark.parametrize("operand", ["dst", "src"])
def test_transposes_of_c_and_w_and_broadcasts_have_w_stride_1(name: str, operand: str) -> None:
    random = Random(name)
    params = draw(name, random) | {"dst_stride": None, "src_stride": None} | {f"{operand}_stride": (64, 64, 64, 2)}
    with pytest.raises(ArgumentError, match=f"the w stride of {operand} is 2, but it has to be 1"):
        instructions(name, params)


@pytest.mark.parametrize(
    ("strides", "message"),
    [
        (((20, 20, 5, 2), None, None), "the w stride of output is 2"),
        ((None, (20, 20, 5, 0), None), "the w stride of param is 0"),
        ((None, None, (4, 8, 2, 1)), "the h stride of index is 2"),
        ((None, None, (4, 3, 1, 1)), "the c stride of index is 3, but it has 4 rows"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_lines_and_their_index_have_unit_strides(strides: tuple[Dim4 | None, Dim4 | None, Dim4 | None], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        tpu_gdma_h_gather_S2L.instructions(0, DDR, DDR + 4096, False, 0, (1, 3, 4, 5), 7, *strides, f32)
    with pytest.raises(ArgumentError, match=message):
        tpu_gdma_h_scatter_L2S.instructions(DDR, 0, DDR + 4096, False, (1, 3, 7, 5), 4, *strides, f32)


@pytest.mark.parametrize("name", [name for name in scatter_gather.__all__ if "batch" not in name and "4bank" not in name])
def test_an_index_for_all_channels_starts_in_lane_0(name: str) -> None:
    with pytest.raises(ArgumentError, match="index_addr is 0x40000, which is not in lane 0"):
        instructions(name, draw(name, Random(name)) | {"index_addr": LANE})


@pytest.mark.parametrize("name", [name for name in quantization.__all__ if "fp32" in name])
@pytest.mark.parametrize("mode", [Rounding.HALF_UP, Rounding.HALF_DOWN])
def test_conversions_to_floats_do_not_round_half_up_or_down(name: str, mode: Rounding) -> None:
    params = draw(name, Random(name))
    parameter = "src_rounding_mode" if "src_rounding_mode" in params else "rounding_mode"
    with pytest.raises(ArgumentError, match=f"{parameter} is {mode.name}"):
        instructions(name, params | {parameter: int(mode)})


@pytest.mark.parametrize("sizes", [(0, 4, 4), (4, 0, 4), (4, 4, 0), (4, 4, -1)])
def test_matrices_have_rows_and_columns(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ShapeError, match="a matrix has no"):
        tpu_gdma_matrix_S2L.instructions(0, DDR, *sizes, 4, f32)


def test_numbers_of_selected_elements_are_known_at_run_time_only() -> None:
    with recording() as program:
        with pytest.raises(StaticStreamError, match="tpu_gdma_get_filter_num in a recording"):
            tpu_gdma_get_filter_num()
        with pytest.raises(StaticStreamError, match="tpu_gdma_mask_select_S2S_with_ret in a recording"):
            tpu_gdma_mask_select_S2S_with_ret(DDR, DDR + 4096, DDR + 8192, False, (1, 3, 4, 5), f32, u8)
    assert not program.groups[0].gdma


def test_numbers_of_selected_elements_while_the_chip_runs() -> None:
    """As the library returns them where its calls execute (measured with these numbers): once."""
    machine, shape = Machine(BM1684X), (1, 3, 4, 8)
    mask, data = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    mask.reshape(-1)[[3, 5, 40, 77, 90]] = 7
    data.reshape(-1)[3] = 1.0
    machine.load(SystemTensor(DDR + 8192, shape, u8), mask)
    machine.load(SystemTensor(DDR + 4096, shape, f32), data)
    with executing(machine):
        assert tpu_gdma_get_filter_num() == 0
        assert tpu_gdma_mask_select_S2S_with_ret(DDR, DDR + 4096, DDR + 8192, False, shape, f32, u8) == 5
        assert tpu_gdma_get_filter_num() == 0
        assert machine.dump(SystemTensor(DDR, (1, 1, 1, 5), f32)).tolist() == [[[[1.0, 0.0, 0.0, 0.0, 0.0]]]]
        tpu_gdma_nonzero_S2S(DDR, DDR + 4096, shape, i32, 3)
        assert tpu_gdma_get_filter_num() == 1
        with pytest.raises(ArgumentError, match="mask_addr"):
            tpu_gdma_mask_select_S2S_with_ret(DDR, DDR + 4096, DDR + 8192, True, shape, f32, u8)


@pytest.mark.parametrize("name", sdma.__all__)
def test_engines_that_the_chip_does_not_have(name: str) -> None:
    row = rows()[name]
    assert isinstance(row, MissingFunction)
    with pytest.raises(ChipFunctionError, match=f"the BM1684X has no {name}: its GDMA|the BM1684X has no {name}: it has no SDMA"):
        row()
