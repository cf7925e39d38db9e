"""Transposes, copies between lanes, reading of static memory, arithmetic sequences."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.builders.common import Builder, Params, dims, dtype, number, numbered, tensor
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, f32, i32, u16
from tpukernel.isa import Arith, ArithOp, Instruction, LaneMove, LaneMoveOp

STATIC = 0x0900_0000
COEFFICIENTS = {
    "exp": (0x400, 10),
    "log": (0x480, 16),
    "erf": (0x580, 10),
    "sin": (0x6C0, 32),
    "cos": (0x740, 32),
    "arcsin": (0x7C0, 32),
    "tan": (0x8C0, 32),
}
"""Byte in static memory and number of the coefficients that the official library loads."""
IOTA = 0x5C0
"""Where static memory has the integers from 0 to 63."""
BLOCK = 64
LANES = 64


def _move(op: LaneMoveOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        n, c, h, w = shape = dims(params)
        kind = dtype(params)
        src: Dim4 = (n, w, h, c) if "TRANSPOSE" in op.name else (n, 1, h, w) if op is LaneMoveOp.LANE_BROADCAST else shape
        layout = Layout.LINE_ALIGNED if op is LaneMoveOp.CW_TRANSPOSE else Layout.EU_ALIGNED
        return numbered(LaneMove(op=op, dst=tensor(params, "dst", shape, kind, layout), src=tensor(params, "src", src, kind)))

    return build


def static_broadcast(dst: int, offset: int, channels: int, count: int, kind: Dtype) -> LaneMove:
    """Elements of static memory to the first channels."""
    return LaneMove(
        op=LaneMoveOp.STATIC_BROADCAST,
        dst=LocalTensor(dst, (1, channels, 1, count), kind),
        src=LocalTensor(STATIC + offset, (1, 1, 1, count), kind, Layout.COMPACT),
    )


def static_distribute(dst: int, offset: int, count: int, kind: Dtype) -> LaneMove:
    """Elements of static memory, one to a channel."""
    shape = (1, count, 1, 1)
    return LaneMove(
        op=LaneMoveOp.STATIC_DISTRIBUTE,
        dst=LocalTensor(dst, shape, kind, Layout.COMPACT),
        src=LocalTensor(STATIC + offset, shape, kind, Layout.COMPACT),
    )


def _from_static_bcast(params: Params) -> list[Instruction]:
    offset, lanes, count = (number(params, name) for name in ("src_addr", "npu_num", "len"))
    return numbered(static_broadcast(number(params, "dst_addr"), offset, lanes, count, dtype(params)))


def _from_static_distribute(params: Params) -> list[Instruction]:
    return numbered(static_distribute(number(params, "dst_addr"), number(params, "src_addr"), number(params, "len"), dtype(params)))


def _coefficients(name: str) -> Builder:
    offset, count = COEFFICIENTS[name]
    return lambda params: numbered(static_broadcast(number(params, "coeff_addr"), offset, LANES, count, f32))


# ---------------------------------------------------------------------------- arithmetic sequences


def _with(op: ArithOp, dst: LocalTensor, src: LocalTensor, value: int) -> Arith:
    return Arith(op=op, dst=dst, src0=src, src1=Constant(value & 0xFFFF_FFFF, dst.dtype))


def _row(address: int, channels: int, count: int, kind: Dtype = i32) -> LocalTensor:
    return LocalTensor(address, (1, channels, 1, count), kind)


def _column(address: int, channels: int, stride: int) -> LocalTensor:
    return LocalTensor(address, (1, channels, 1, 1), i32, Layout.FREE, (stride, stride, 1, 1))


def _scaled(whole: LocalTensor, start: int, step: int) -> list[Instruction]:
    found: list[Instruction] = []
    if step != 1:
        found.append(_with(ArithOp.MUL, whole, whole, step))
    if start != 0:
        found.append(_with(ArithOp.ADD, whole, whole, start))
    return found


def _doublings(count: int) -> Iterator[tuple[int, int]]:
    """(first, size) of the pieces behind the first block when each is as long as all before it."""
    first = BLOCK
    while first < count:
        yield first, min(count - first, first)
        first *= 2


def _broadcast_sequence(dst: int, lanes: int, start: int, step: int, count: int) -> list[Instruction]:
    found: list[Instruction] = [static_broadcast(dst, IOTA, lanes, min(count, BLOCK), i32)]
    for first, size in _doublings(count):
        found.append(_with(ArithOp.ADD, _row(dst + 4 * first, lanes, size), _row(dst, lanes, size), first))
    return found + _scaled(_row(dst, lanes, count), start, step)


def _distributed_sequence(dst: int, start: int, step: int, count: int, stride: int) -> list[Instruction]:
    found: list[Instruction] = [static_distribute(dst, IOTA, min(count, BLOCK), i32)]
    for first in range(BLOCK, count, BLOCK):
        size = min(count - first, BLOCK)
        row = dst + first // LANES * 4 * stride
        found.append(_with(ArithOp.ADD, _column(row, size, stride), _column(dst, size, stride), first))
    return found + _scaled(_column(dst, count, stride), start, step)


def _sequence_bcast(params: Params) -> list[Instruction]:
    dst, lanes, start, step, count = (number(params, name) for name in ("dst_addr", "npu_num", "start", "step", "num"))
    return numbered(*_broadcast_sequence(dst, lanes, start, step, count))


def _sequence_distribute(stride: int) -> Builder:
    def build(params: Params) -> list[Instruction]:
        dst, start, step, count = (number(params, name) for name in ("dst_addr", "start", "step", "num"))
        return numbered(*_distributed_sequence(dst, start, step, count, stride))

    return build


def _sequence_general(params: Params) -> list[Instruction]:
    """Channel c gets the sequence from `start + c * num * step` on."""
    dst, buffer, channels, start, step, count = (
        number(params, name) for name in ("dst_addr", "buffer_addr", "npu_num", "start", "step", "num")
    )
    first = min(channels, LANES)
    found = _broadcast_sequence(dst, first, start, step, count)
    found += _distributed_sequence(buffer, 0, count * step, first, 1)
    row = _row(dst, first, count)
    starts = LocalTensor(buffer, row.shape, i32, Layout.FREE, (1, 1, 0, 0))
    found.append(Arith(op=ArithOp.ADDS, dst=row, src0=starts, src1=row))
    stride = -(-4 * count // 64) * 64
    for done in range(LANES, channels, LANES):
        size = min(channels - done, LANES)
        here = _row(dst + done // LANES * stride, size, count)
        found.append(_with(ArithOp.ADDS, here, _row(dst, size, count), done * count * step))
    return numbered(*found)


def _generate_sequence(params: Params) -> list[Instruction]:
    """0, 1, 2, ... in one lane; 16-bit numbers are the lower halves of the 32-bit ones."""
    dst, count, kind = number(params, "dst_addr"), number(params, "num"), dtype(params)
    found: list[Instruction] = [static_broadcast(dst, IOTA, 1, BLOCK, i32)]
    if kind == u16:
        shape = (1, 1, 1, min(count, BLOCK))
        packed = LocalTensor(dst, shape, u16, Layout.FREE, (BLOCK, BLOCK, 1, 1))
        halves = LocalTensor(dst, shape, u16, Layout.FREE, (2 * BLOCK, 2 * BLOCK, 2, 2))
        found.append(Arith(op=ArithOp.COPY, dst=packed, src0=halves))
    for first in range(BLOCK, count, BLOCK):
        size = min(count - first, BLOCK)
        target = _row(dst + kind.itemsize * first, 1, size, kind)
        found.append(_with(ArithOp.ADD, target, _row(dst, 1, size, kind), first))
    return numbered(*found)


BUILDERS: dict[str, Builder] = {
    "tpu_bdc_cw_trans": _move(LaneMoveOp.CW_TRANSPOSE),
    "tpu_bdc_wc_trans": _move(LaneMoveOp.WC_TRANSPOSE),
    "tpu_bdc_cpy_cross_npu": _move(LaneMoveOp.LANE_COPY),
    "tpu_bdc_npu_bcast": _move(LaneMoveOp.LANE_BROADCAST),
    "tpu_bdc_npu_bcast_from_static": _from_static_bcast,
    "tpu_bdc_npu_distribute_from_static": _from_static_distribute,
    **{f"tpu_bdc_load_fp32_{name}_coeff": _coefficients(name) for name in COEFFICIENTS},
    "tpu_bdc_arithmetic_sequence_bcast": _sequence_bcast,
    "tpu_bdc_arithmetic_sequence_distribute": _sequence_distribute(1),
    "tpu_bdc_arithmetic_sequence_distribute_aligned": _sequence_distribute(16),
    "tpu_bdc_arithmetic_sequence_general": _sequence_general,
    "tpu_bdc_generate_arithmetic_sequence": _generate_sequence,
}
