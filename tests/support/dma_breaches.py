"""A legal instruction of every DMA unit, and instructions with one fault each."""

from __future__ import annotations

from tests.support.legality import Breach
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import f16, f32, i8, i16, u8, u32
from tpukernel.isa import (
    DmaCwTranspose,
    DmaGather,
    DmaGeneral,
    DmaGeneralOp,
    DmaMaskedSelect,
    DmaMatrix,
    DmaMatrixOp,
    DmaNonzero,
    DmaScatter,
    DmaTensor,
    DmaTensorOp,
    Instruction,
)
from tpukernel.isa.errors import (
    AttributeRangeError,
    LocalRangeError,
    OperandDtypeError,
    OperandKindError,
    OperandLayoutError,
    OperandShapeError,
    SystemRangeError,
)
from tpukernel.isa.errors import (
    OperandAlignmentError as Misaligned,
)

DDR, L2 = BM1684X.regions["ddr"].base, BM1684X.regions["l2"].base
NOWHERE = 0x2000_0000
LANE = BM1684X.lane_bytes
SHAPE = (2, 5, 3, 7)
NO_H = (2, 5, 0, 7)
STRIDES = (256, 48, 8, 1)

COPY = DmaTensor(dst=LocalTensor(0, SHAPE, f32), src=SystemTensor(DDR, SHAPE, f32))
STRIDED = COPY.replace(dst=LocalTensor(0, SHAPE, f32, Layout.FREE, STRIDES), src=SystemTensor(DDR, SHAPE, f32, STRIDES))
FILL = DmaTensor(dst=SystemTensor(DDR, SHAPE, f16), src=Constant(0x3C00, f16))
TRANSPOSE = DmaTensor(op=DmaTensorOp.TRANSPOSE, dst=SystemTensor(DDR, (5, 2, 3, 7), f32), src=LocalTensor(0, SHAPE, f32), one_shape=True)
TRANSPOSE_STRIDED = TRANSPOSE.replace(
    dst=SystemTensor(DDR, (5, 2, 3, 7), f32, STRIDES), src=LocalTensor(0, SHAPE, f32, Layout.FREE, STRIDES), one_shape=False
)
BROADCAST = DmaTensor(op=DmaTensorOp.BROADCAST, dst=LocalTensor(60 * LANE, (2, 4, 3, 7), f32), src=SystemTensor(DDR, (2, 1, 3, 7), f32))
MATRIX = DmaMatrix(dst=LocalTensor(0, (6, 3, 1, 4), f32), src=SystemTensor(DDR, (1, 1, 6, 10), f32))
TURNED = DmaMatrix(op=DmaMatrixOp.TRANSPOSE, dst=SystemTensor(DDR, (1, 1, 10, 6), f32), src=LocalTensor(0, (6, 3, 1, 4), f32))
SELECT = DmaMaskedSelect(dst=SystemTensor(DDR, SHAPE, f16), src=LocalTensor(0, SHAPE, f16), mask=SystemTensor(L2, SHAPE, u8))
LINEAR = DmaGeneral(dst=LocalTensor(LANE - 6, (1, 1, 1, 70000), i16, Layout.COMPACT), src=SystemTensor(DDR, (1, 1, 1, 70000), i16))
LANES = DmaGeneral(
    op=DmaGeneralOp.BROADCAST,
    dst=LocalTensor(60 * LANE + 2, (1, 4, 1, 70000), i16, Layout.COMPACT),
    src=SystemTensor(DDR, (1, 1, 1, 70000), i16),
)
CW = DmaCwTranspose(dst=LocalTensor(0, (2, 7, 3, 5), f32), src=SystemTensor(DDR, SHAPE, f32))
NONZERO = DmaNonzero(dst=SystemTensor(DDR, SHAPE, u32), src=LocalTensor(0, SHAPE, i8), base_index=100)
GATHER = DmaGather(
    dst=SystemTensor(DDR, (1, 66, 4, 8), f16),
    src=LocalTensor(0, (1, 66, 9, 8), f16),
    index=LocalTensor(0x1000, (1, 1, 4, 1), u32),
    fill=Constant(0, f16),
)
SCATTER = DmaScatter(
    dst=LocalTensor(0, (1, 66, 4, 8), f16),
    src=SystemTensor(DDR, (1, 1, 9, 8), f16),
    index=SystemTensor(L2, (1, 66, 9, 1), u32),
)

LEGAL: tuple[Instruction, ...] = (
    BROADCAST,
    TRANSPOSE,
    TRANSPOSE_STRIDED,
    FILL,
    STRIDED,
    COPY,
    TURNED,
    MATRIX,
    SELECT,
    LINEAR,
    LANES,
    CW,
    NONZERO,
    GATHER,
    SCATTER,
)


def _w_stride(stride: int) -> DmaTensor:
    return STRIDED.replace(dst=LocalTensor(0, SHAPE, f32, Layout.FREE, (4096, 2048, 512, stride)))


CHIP_REFUSES: tuple[Breach, ...] = (
    Breach(COPY.replace(src=SystemTensor(DDR, (2, 5, 3, 6), f32)), "shapes", OperandShapeError, "src"),
    Breach(BROADCAST.replace(dst=LocalTensor(61 * LANE, (2, 4, 3, 7), f32)), "broadcast_lanes", OperandShapeError, "dst"),
    Breach(BROADCAST.replace(dst=SystemTensor(DDR, (2, 4, 3, 7), f32)), "broadcast_lanes", OperandShapeError, "dst"),
    Breach(FILL.replace(op=DmaTensorOp.TRANSPOSE), "constant_copy", OperandKindError, "src"),
    Breach(BROADCAST.replace(one_shape=True, dst=LocalTensor(0, (2, 1, 3, 7), f32)), "broadcast_shapes", AttributeRangeError, "one_shape"),
    Breach(MATRIX.replace(dst=SystemTensor(DDR, (1, 1, 6, 10), f32)), "one_side_local", OperandKindError, "dst"),
    Breach(MATRIX.replace(dst=LocalTensor(0, (6, 4, 1, 4), f32)), "matrix_shape", OperandShapeError, "dst"),
    Breach(MATRIX.replace(dst=LocalTensor(0, (7, 3, 1, 4), f32)), "matrix_shape", OperandShapeError, "dst"),
    Breach(TURNED.replace(dst=SystemTensor(DDR, (1, 1, 6, 10), f32)), "matrix_shape", OperandShapeError, "src"),
    Breach(SELECT.replace(dst=LocalTensor(0x1000, SHAPE, f16)), "dst_in_system", OperandKindError, "dst"),
    Breach(NONZERO.replace(dst=LocalTensor(0x1000, SHAPE, u32)), "dst_in_system", OperandKindError, "dst"),
    Breach(
        LANES.replace(dst=LocalTensor(61 * LANE, (1, 4, 1, 99), i16, Layout.COMPACT), src=Constant(1, i16)),
        "broadcast_lanes",
        OperandShapeError,
        "dst",
    ),
    Breach(LANES.replace(dst=SystemTensor(DDR, (1, 4, 1, 70000), i16)), "broadcast_lanes", OperandShapeError, "dst"),
    Breach(GATHER.replace(index=LocalTensor(0x1000, (1, 2, 4, 1), u32)), "index_channels", OperandShapeError, "index"),
    Breach(
        SCATTER.replace(src=SystemTensor(DDR, (1, 65, 9, 8), f16), dst=LocalTensor(0, (1, 65, 4, 8), f16)),
        "index_channels",
        OperandShapeError,
        "index",
    ),
    Breach(COPY.replace(src=SystemTensor(DDR + 2, SHAPE, f32)), "element_aligned", Misaligned, "src"),
    Breach(MATRIX.replace(src=SystemTensor(DDR + 2, (1, 1, 6, 10), f32)), "element_aligned", Misaligned, "src"),
    Breach(SELECT.replace(dst=SystemTensor(DDR + 1, SHAPE, f16)), "element_aligned", Misaligned, "dst"),
    Breach(LINEAR.replace(src=SystemTensor(DDR + 1, (1, 1, 1, 70000), i16)), "element_aligned", Misaligned, "src"),
    Breach(LANES.replace(dst=LocalTensor(60 * LANE + 1, (1, 4, 1, 70000), i16, Layout.COMPACT)), "element_aligned", Misaligned, "dst"),
    Breach(CW.replace(src=SystemTensor(DDR + 1, SHAPE, f32)), "element_aligned", Misaligned, "src"),
    Breach(NONZERO.replace(dst=SystemTensor(DDR + 1, SHAPE, i8), src=LocalTensor(0, SHAPE, i16)), "element_aligned", Misaligned, "dst"),
    Breach(GATHER.replace(dst=SystemTensor(DDR + 1, (1, 66, 4, 8), f16)), "element_aligned", Misaligned, "dst"),
    Breach(SCATTER.replace(src=SystemTensor(DDR + 1, (1, 1, 9, 8), f16)), "element_aligned", Misaligned, "src"),
)
"""The C model stops with an assertion."""

BREACHES: tuple[Breach, ...] = (
    *CHIP_REFUSES,
    Breach(COPY.replace(dst=LocalTensor(4, SHAPE, f32)), "placement", Misaligned, "dst"),
    Breach(COPY.replace(src=SystemTensor(NOWHERE, SHAPE, f32)), "system_range", SystemRangeError, "src"),
    Breach(COPY.replace(dst=SystemTensor(DDR, NO_H, f32), src=Constant(0, f32)), "system_sizes", OperandShapeError, "dst"),
    Breach(_w_stride(33), "w_stride_bytes", OperandLayoutError, "dst"),
    Breach(_w_stride(0), "w_stride_not_zero", OperandLayoutError, "dst"),
    Breach(TRANSPOSE.replace(dst=SystemTensor(DDR, SHAPE, f32)), "shapes", OperandShapeError, "src"),
    Breach(BROADCAST.replace(src=SystemTensor(DDR, (2, 4, 3, 7), f32)), "shapes", OperandShapeError, "src"),
    Breach(
        TRANSPOSE_STRIDED.replace(dst=SystemTensor(DDR, (5, 2, 3, 7), f32, (512, 96, 16, 2))),
        "transposed_w",
        OperandLayoutError,
        "dst",
    ),
    Breach(MATRIX.replace(dst=LocalTensor(4, (6, 3, 1, 4), f32)), "placement", Misaligned, "dst"),
    Breach(MATRIX.replace(src=SystemTensor(NOWHERE, (1, 1, 6, 10), f32)), "system_range", SystemRangeError, "src"),
    Breach(MATRIX.replace(src=SystemTensor(DDR, (0, 1, 6, 10), f32)), "system_sizes", OperandShapeError, "src"),
    Breach(SELECT.replace(src=LocalTensor(2, SHAPE, f16)), "placement", Misaligned, "src"),
    Breach(SELECT.replace(mask=SystemTensor(NOWHERE, SHAPE, u8)), "system_range", SystemRangeError, "mask"),
    Breach(SELECT.replace(mask=SystemTensor(L2, NO_H, u8)), "system_sizes", OperandShapeError, "mask"),
    Breach(SELECT.replace(mask=SystemTensor(L2, SHAPE, f32)), "mask_dtype", OperandDtypeError, "mask"),
    Breach(LINEAR.replace(dst=LocalTensor(64 * LANE - 6, (1, 1, 1, 4), i16, Layout.COMPACT)), "local_range", LocalRangeError, "dst"),
    Breach(LINEAR.replace(src=SystemTensor(NOWHERE, (1, 1, 1, 70000), i16)), "system_range", SystemRangeError, "src"),
    Breach(LINEAR.replace(src=SystemTensor(DDR, (1, 1, 1, 0), i16)), "system_sizes", OperandShapeError, "src"),
    Breach(CW.replace(dst=LocalTensor(4, (2, 7, 3, 5), f32)), "placement", Misaligned, "dst"),
    Breach(CW.replace(src=SystemTensor(NOWHERE, SHAPE, f32)), "system_range", SystemRangeError, "src"),
    Breach(CW.replace(src=SystemTensor(DDR, NO_H, f32)), "system_sizes", OperandShapeError, "src"),
    Breach(NONZERO.replace(src=LocalTensor(1, SHAPE, i8)), "placement", Misaligned, "src"),
    Breach(NONZERO.replace(dst=SystemTensor(NOWHERE, SHAPE, u32)), "system_range", SystemRangeError, "dst"),
    Breach(NONZERO.replace(dst=SystemTensor(DDR, NO_H, u32)), "system_sizes", OperandShapeError, "dst"),
    Breach(NONZERO.replace(dst=SystemTensor(DDR, SHAPE, f32)), "dst_dtype", OperandDtypeError, "dst"),
    Breach(NONZERO.replace(src=LocalTensor(0, SHAPE, f16)), "src_dtype", OperandDtypeError, "src"),
    Breach(GATHER.replace(index=LocalTensor(0x1004, (1, 1, 4, 1), u32)), "placement", Misaligned, "index"),
    Breach(GATHER.replace(dst=SystemTensor(NOWHERE, (1, 66, 4, 8), f16)), "system_range", SystemRangeError, "dst"),
    Breach(GATHER.replace(dst=SystemTensor(DDR, (1, 66, 0, 8), f16)), "system_sizes", OperandShapeError, "dst"),
    Breach(SCATTER.replace(dst=LocalTensor(2, (1, 66, 4, 8), f16)), "placement", Misaligned, "dst"),
    Breach(SCATTER.replace(index=SystemTensor(NOWHERE, (1, 66, 9, 1), u32)), "system_range", SystemRangeError, "index"),
    Breach(SCATTER.replace(src=SystemTensor(DDR, (1, 1, 0, 8), f16)), "system_sizes", OperandShapeError, "src"),
)
"""One instruction with exactly one fault for every rule of every DMA unit, `CHIP_REFUSES` among them."""
