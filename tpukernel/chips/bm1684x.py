"""BM1684X: figures and where they come from.

Lanes, local memory, banks and EU bytes are what the TPUKernel functions `tpu_npu_num`, `tpu_local_mem_size_per_npu`, `tpu_bank_num` and
`tpu_eu_num` of the official library return; the address map is the one of tpu-mlir's debugger (`target_1684x/memmap.py`); type codes are
`data_type_t` of the TPUKernel header without its sign bit; the static tables were read from the official emulator.
"""

from __future__ import annotations

from types import MappingProxyType

from tpukernel.chips.chip import CHIPS, Chip, Region, StaticTable
from tpukernel.dtypes import bf16, f16, f32, i8, i16, i32, u8, u16, u32

__all__ = ["BM1684X"]

_LANES, _LANE_BYTES = 64, 256 << 10


def _regions() -> dict[str, Region]:
    regions = [
        Region("lmem", 0x0800_0000, _LANES * _LANE_BYTES),
        Region("static", 0x0900_0000, 16 << 10),
        Region("l2", 0x1000_0000, 0x1F_B000),
        Region("ddr", 0x1_0000_0000, (1 << 40) - 0x1_0000_0000),
    ]
    return {region.name: region for region in regions}


def _static_tables() -> dict[str, StaticTable]:
    # Offset and length of each coefficient table in the static memory, as the official special functions read them.
    tables = [
        ("exp", 0x400, 10),
        ("log", 0x480, 16),
        ("erf", 0x580, 10),
        ("sin", 0x6C0, 32),
        ("cos", 0x740, 32),
        ("arcsin", 0x7C0, 32),
        ("tan", 0x8C0, 32),
    ]
    found = {name: StaticTable(name, offset, count, f32) for name, offset, count in tables}
    found["iota"] = StaticTable("iota", 0x5C0, 64, i32)
    return found


BM1684X = Chip(
    name="BM1684X",
    lanes=_LANES,
    lane_bytes=_LANE_BYTES,
    banks=16,
    eu_bytes=64,
    regions=MappingProxyType(_regions()),
    dtype_codes=MappingProxyType({i8: 0, u8: 0, f16: 1, f32: 2, i16: 3, u16: 3, i32: 4, u32: 4, bf16: 5}),
    weight_pack=MappingProxyType({8: 64, 16: 32, 32: 1}),
    command_id_bits=20,
    max_shape=0xFFFF,
    gdma_max_w_stride_bytes=128,
    stream_alignment=128,
    static_tables=MappingProxyType(_static_tables()),
)
"""The BM1684X."""

CHIPS[BM1684X.name] = BM1684X
