"""BM1684: figures and where they come from.

| figure | source |
|---|---|
| lanes, bytes of a lane, banks | `okk_npu_num`, `okk_local_mem_size_per_npu`, `okk_local_mem_bank_per_npu` of the official library |
| EU bytes | `okk_eu_num` is 32 elements of 32 bit, and `okk_128_byte_aligned_stride_for_8bit`, `_16bit`, `_32bit` align to 128 bytes. It \
is a unit of the layout: the official estimator computes 64 bytes per lane and cycle |
| base addresses of local memory and DTCM, size of the DTCM | `okk_local_mem_start_addr`, `okk_dtcm_start_addr`, `okk_dtcm_size` |
| L2 | from 0x1000_0000 (tpu-mlir's debugger); kernels may use 0x100A_2000 to 0x1030_0000 (`okk_l2_sram_start_addr`, \
`okk_l2_sram_size`); the official C model keeps the tables of its lookup and Taylor instructions in the 1 MiB behind that |
| DDR | starts at 4 GiB; addresses of the GDMA have 40 bits |
| type codes | the `opt_opd0_prec` fields of recorded `okk_*` calls (0, 2, 3 and 4 occur); signedness is a bit of its own |
| weight packs | measured: int8 convolutions read groups of 4 input channels, f32 convolutions pairs ("2IC") |
| packs | measured: packed 8-bit tensors keep 4 n in a 32-bit word (4N), 16-bit tensors 2 (2N); an int16 result of an int8 convolution \
keeps 4 n in 64 bits |
| command ids | 16-bit fields of `target_1684/regdef.py` |
"""

from __future__ import annotations

from types import MappingProxyType

from tpukernel.chips.chip import CHIPS, Chip, Region
from tpukernel.dtypes import f32, i8, i16, i32, u8, u16, u32

__all__ = ["BM1684"]

_LANES, _LANE_BYTES = 64, 512 << 10


def _regions() -> dict[str, Region]:
    regions = [
        Region("dtcm", 0x0202_0000, 390_144),
        Region("lmem", 0x0800_0000, _LANES * _LANE_BYTES),
        Region("l2", 0x1000_0000, 0x30_0000 + 0x10_0000),
        Region("ddr", 0x1_0000_0000, (1 << 40) - 0x1_0000_0000),
    ]
    return {region.name: region for region in regions}


BM1684 = Chip(
    name="BM1684",
    lanes=_LANES,
    lane_bytes=_LANE_BYTES,
    banks=8,
    eu_bytes=128,
    regions=MappingProxyType(_regions()),
    dtype_codes=MappingProxyType({i8: 0, u8: 0, f32: 2, i16: 3, u16: 3, i32: 4, u32: 4}),
    weight_pack=MappingProxyType({i8: 4, u8: 4, f32: 2}),
    command_id_bits=16,
    max_shape=0xFFFF,
    gdma_max_w_stride_bytes=None,
    stream_alignment=128,
    packs=MappingProxyType({i8: (4,), u8: (4,), i16: (2, 4), u16: (2, 4)}),
)
"""The BM1684. Its instructions are not described yet; its memories, types and layouts are."""

CHIPS[BM1684.name] = BM1684
