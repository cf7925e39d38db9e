"""BM1684: figures and where they come from.

Lanes, local memory, banks and EU bytes are what the `okk_*` functions of the official library return; L2 and local memory bases likewise.
Eight and sixteen bit tensors are kept packed (4N, 2N) in 32-bit words, so every layout of this chip counts in words.
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
    weight_pack=MappingProxyType({8: 4, 32: 2}),
    command_id_bits=16,
    max_shape=0xFFFF,
    gdma_max_w_stride_bytes=None,
    stream_alignment=128,
)
"""The BM1684. Its instructions are not described yet; its memories, types and layouts are."""

CHIPS[BM1684.name] = BM1684
