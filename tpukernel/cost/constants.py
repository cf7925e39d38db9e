"""The figures of the cycle model, one table per chip.

All were found by calling the official library as a black box: after every call its `CMD_ID_NODE` holds what its own estimator counts for
the command, and the official compiler plans with these counts. Where there is another source, it is named at the figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from tpukernel.chips.chip import Chip, chip_of
from tpukernel.cost.errors import NoCostTableError
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32

__all__ = ["COST_TABLES", "CostTable", "Direction", "cost_table"]

Direction = Literal["S2L", "L2S", "S2S", "L2L"]
"""Between which memories a GDMA command moves: S is DDR or L2 (charged alike), L is local memory."""


@dataclass(frozen=True)
class CostTable:
    """What the commands of one chip cost.

    Attributes:
        mhz: clock of both engines.
        line_bytes: bytes that a lane takes from each operand, and writes, in one TIU cycle.
        macs_per_cycle: most multiply-accumulates per cycle of CONV, MM2 and MM, by type of the operands.
        conv_pixels: pixels of the result that a lane computes at once, by type of the operands; CONV and, as columns, MM2.
        conv_depth: input channels that each of them takes in a cycle.
        strided_pool_factor: PorD takes so many times as long where both strides are larger than 1.
        same_bank_factor: how much longer a command takes whose result conflicts with an operand.
        gather_factors: how much longer operations of SG take than one cycle per element of a lane, by the name of the operation.
        div_cycles: (cycles per Newton step, constant cycles) of a division of one line.
        rsqrt_cycles: cycles of RSQRT for one line, whatever the number of Newton steps.
        dma_rates: bytes per cycle that the GDMA moves at most.
        tensor_rate_factor: what copies of DMA_tensor reach of it.
        burst_bytes: a shorter contiguous run costs as much as one of this length.
        ddr_channels, ddr_interleave: channels of the DDR, and bytes after which the next one comes.
        ddr_unit: the estimator counts the bytes of a block in whole units of this size.
        matrix_transpose_factor: how much longer DMA_matrix takes to transpose.
        unmodelled_rates: the same as `dma_rates` for the kinds that the estimator does not really model.
        tiu_start: start-up cycles of a TIU command in the mode `hw`, by unit or `unit.operation`.
        dma_start: start-up cycles of a GDMA command in the mode `hw`.
    """

    mhz: int
    line_bytes: int
    macs_per_cycle: Mapping[Dtype, int]
    conv_pixels: Mapping[Dtype, int]
    conv_depth: Mapping[Dtype, int]
    strided_pool_factor: int
    same_bank_factor: int
    gather_factors: Mapping[str, float]
    div_cycles: tuple[int, int]
    rsqrt_cycles: int
    dma_rates: Mapping[Direction, float]
    tensor_rate_factor: float
    burst_bytes: int
    ddr_channels: int
    ddr_interleave: int
    ddr_unit: int
    matrix_transpose_factor: float
    unmodelled_rates: Mapping[Direction, float]
    tiu_start: Mapping[str, int]
    dma_start: int


def _by_dtype(eight: int, sixteen: int, single: int, **others: int) -> Mapping[Dtype, int]:
    """Figures of 8-bit integers, of f16 and bf16, of f32; `integers` for those of 16 and 32 bits."""
    found = {i8: eight, u8: eight, f16: sixteen, bf16: sixteen, f32: single}
    if "integers" in others:
        found |= dict.fromkeys((i16, u16, i32, u32), others["integers"])
    return MappingProxyType(found)


# Initial cycles of the BM1688 in tpu-mlir's debugger (target_1688/opdef.py): a guess for this chip. That table has no VC, and of the SFU
# only rsqrt; VC is taken as AR, the rest of the SFU as rsqrt.
_BM1688_START = {
    "CONV": 23,
    "MM": 32,
    "MM2.nn": 81,
    "MM2.nt": 56,
    "MM2.tt": 37,
    "AR": 11,
    "PorD": 10,
    "RQ&DQ": 11,
    "LIN": 12,
    "CMP": 9,
    "SG": 11,
    "SGL": 24,
    "SFU": 14,
    "VC": 11,
    "TRANS&BC.cw_transpose": 30,
    "TRANS&BC.wc_transpose": 30,
    "TRANS&BC.lane_copy": 27,
    "TRANS&BC.lane_broadcast": 27,
    "TRANS&BC.static_broadcast": 3,
    "TRANS&BC.static_distribute": 3,
    "SYS": 0,
}

_BM1684X = CostTable(
    mhz=1000,  # also `CyclePeriod` of tpu-mlir's profile_helper/bm1684x_defs.py
    line_bytes=64,
    macs_per_cycle=_by_dtype(16384, 8192, 1024, integers=4096),
    conv_pixels=_by_dtype(4, 4, 16),
    conv_depth=_by_dtype(64, 32, 1),
    strided_pool_factor=3,
    same_bank_factor=2,
    gather_factors=MappingProxyType(
        {"batch_gather_banks": 0.25, "batch_gather_shared": 1.5, "batch_scatter_shared": 1.5, "mask_select_shared": 3.0}
    ),
    div_cycles=(8, 7),
    rsqrt_cycles=30,
    # The first three also stand in tpu-mlir's bmprofile_generator.
    dma_rates=MappingProxyType({"S2L": 58.0, "L2S": 44.0, "S2S": 28.0, "L2L": 28.0}),
    tensor_rate_factor=10**9 / 2**30,  # seems to be a GB taken for a GiB
    burst_bytes=256,
    ddr_channels=4,
    ddr_interleave=4096,
    ddr_unit=256,
    matrix_transpose_factor=4 / 3,
    unmodelled_rates=MappingProxyType({"S2L": 64.0, "L2S": 64.0, "S2S": 64.0, "L2L": 32.0}),
    tiu_start=MappingProxyType(_BM1688_START),
    dma_start=150,  # a guess: the estimator of the BM1684 adds 137 to loads and 45 to stores
)

COST_TABLES: Mapping[str, CostTable] = MappingProxyType({"BM1684X": _BM1684X})
"""The tables by the name of the chip."""


def cost_table(chip: Chip | str) -> CostTable:
    """The figures of a chip.

    Raises:
        ChipNameError: there is no such chip.
        NoCostTableError: its figures are not known.
    """
    chip = chip_of(chip)
    found = COST_TABLES.get(chip.name)
    if found is None:
        raise NoCostTableError(f"what commands of the {chip} cost is not known", help=f"chips with a cost table: {', '.join(COST_TABLES)}")
    return found
