"""BM1684X: figures and where they come from.

| figure | source |
|---|---|
| lanes, bytes of a lane, banks | `tpu_npu_num`, `tpu_local_mem_size_per_npu`, `tpu_bank_num` of the official library |
| EU bytes | `tpu_eu_num`: 64 elements of 8 bit, 32 of 16, 16 of 32; the unit of the layouts and what a lane computes in a cycle |
| base addresses | `tpu_local_mem_get_start_addr`, `tpu_l2_sram_get_start_addr`, `tpu_global_mem_get_start_addr`; static memory: \
tpu-mlir's debugger |
| size of the L2 memory | `tpu_l2_sram_size` |
| cores | `tpu_core_num` |
| size of the static memory | 16 KiB in the official C model |
| type codes | `data_type_t` of the TPUKernel header without its lowest bit, which is the sign |
| weight packs | `tpu_get_ic_parallel`: 64 for 8 bit, 32 for f16 and bf16, 1 for all others (also for i16) |
| largest shape, w stride | `tpu_gdma_shape_limit` for each dimension, `tpu_gdma_move_max_wstride_byte_len` |
| command ids | 20-bit fields of tpu-mlir's `regdef.py` |
| static tables | the content that the official library sets up: every entry listed here equals a closed formula (a test compares them, \
except for the ten coefficients of erf). What lies between and behind the tables differs from run to run of the official library: it is \
not data of the chip |
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


# Name, offset and number of elements. Special functions read as many of the first elements as they need.
_STATIC_TABLES = {
    f32: [
        ("exp_values", 0x000, 192),
        ("exp", 0x400, 32),
        ("log", 0x480, 64),
        ("erf", 0x580, 10),
        ("sin", 0x6C0, 32),
        ("cos", 0x740, 32),
        ("arcsin", 0x7C0, 64),
        ("tan", 0x8C0, 32),
        ("arctan", 0xB40, 32),
    ],
    i32: [("iota", 0x5C0, 64)],
    f16: [("exp_f16", 0x940, 16), ("log_f16", 0x9C0, 16), ("sin_f16", 0xA40, 16), ("cos_f16", 0xAC0, 16)],
    bf16: [("exp_bf16", 0x980, 16), ("log_bf16", 0xA00, 16), ("sin_bf16", 0xA80, 16), ("cos_bf16", 0xB00, 16)],
}


def _static_tables() -> dict[str, StaticTable]:
    return {name: StaticTable(name, offset, count, dtype) for dtype, tables in _STATIC_TABLES.items() for name, offset, count in tables}


BM1684X = Chip(
    name="BM1684X",
    lanes=_LANES,
    lane_bytes=_LANE_BYTES,
    banks=16,
    eu_bytes=64,
    regions=MappingProxyType(_regions()),
    dtype_codes=MappingProxyType({i8: 0, u8: 0, f16: 1, f32: 2, i16: 3, u16: 3, i32: 4, u32: 4, bf16: 5}),
    weight_pack=MappingProxyType({i8: 64, u8: 64, f16: 32, bf16: 32, f32: 1, i16: 1, u16: 1, i32: 1, u32: 1}),
    command_id_bits=20,
    max_shape=0xFFFF,
    gdma_max_w_stride_bytes=128,
    stream_alignment=128,
    cores=1,
    static_tables=MappingProxyType(_static_tables()),
)
"""The BM1684X."""

CHIPS[BM1684X.name] = BM1684X
