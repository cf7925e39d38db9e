"""TPUKernel functions: arithmetic sequences of 32-bit integers.

They start from the integers 0 to 63 of the static memory and double or shift what is there; sums and products wrap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from tpukernel.api.arguments import Int, Kind, LocalOut, LocalWork
from tpukernel.api.function import Emitted, function
from tpukernel.api.operands import local
from tpukernel.api.series import arith
from tpukernel.api.special import GROUP, static_broadcast, static_distribute
from tpukernel.chips import BM1684X
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import Dtype, i32, u16, u32
from tpukernel.isa import Arith, ArithOp, Instruction, LaneMove

__all__ = [
    "tpu_bdc_arithmetic_sequence_bcast",
    "tpu_bdc_arithmetic_sequence_distribute",
    "tpu_bdc_arithmetic_sequence_distribute_aligned",
    "tpu_bdc_arithmetic_sequence_general",
    "tpu_bdc_generate_arithmetic_sequence",
]

_IOTA = BM1684X.static_tables["iota"]
_CountDtype = Annotated[Dtype, Kind("dtype", dtypes=(u16, u32))]
_LANES = BM1684X.lanes
_ALIGNED = BM1684X.eu_count(i32)
"""Elements from one channel of a lane to the next where each starts a row of EUs."""


@function(GROUP, LaneMove, Arith)
def tpu_bdc_arithmetic_sequence_bcast(dst_addr: LocalOut, npu_num: Int, start: Int, step: Int, num: Int) -> Emitted:
    """dst[0, c, 0, i] = start + i * step, for npu_num channels c and num elements, i32.

    1 instruction, 1 more for every doubling of 64 elements, for a step other than 1, and for a start other than 0.
    """
    return _in_every_lane(dst_addr.__index__(), npu_num, start, step, num)


@function(GROUP, LaneMove, Arith)
def tpu_bdc_arithmetic_sequence_distribute(dst_addr: LocalOut, start: Int, step: Int, num: Int) -> Emitted:
    """dst[0, c, 0, 0] = start + c * step, for num channels c, i32, compact, from lane 0 on.

    1 instruction, 1 more for every further 64 elements, for a step other than 1, and for a start other than 0.
    """
    return _over_the_lanes(dst_addr.__index__(), start, step, num, 1)


@function(GROUP, LaneMove, Arith)
def tpu_bdc_arithmetic_sequence_distribute_aligned(dst_addr: LocalOut, start: Int, step: Int, num: Int) -> Emitted:
    """The same as `tpu_bdc_arithmetic_sequence_distribute`, EU-aligned."""
    return _over_the_lanes(dst_addr.__index__(), start, step, num, _ALIGNED)


@function(GROUP, LaneMove, Arith)
def tpu_bdc_arithmetic_sequence_general(
    dst_addr: LocalOut, buffer_addr: LocalWork, npu_num: Int, start: Int, step: Int, num: Int
) -> Emitted:
    """dst[0, c, 0, i] = start + (c * num + i) * step, for npu_num channels c and num elements, i32; dst is EU-aligned.

    The buffer is one i32 in each lane. The offset of a channel saturates where it is added.
    """
    dst, buffer, first = dst_addr.__index__(), buffer_addr.__index__(), min(npu_num, _LANES)
    row = _row(dst, first, num)
    offsets = local(buffer, row.shape, i32, (1, 1, 0, 0))
    found = [
        *_in_every_lane(dst, first, start, step, num),
        *_over_the_lanes(buffer, 0, num * step, first, 1),
        arith(ArithOp.ADDS, row, offsets, row),
    ]
    channel = -(-num // _ALIGNED) * _ALIGNED * i32.itemsize
    for done in range(_LANES, npu_num, _LANES):
        size = min(npu_num - done, _LANES)
        more = _row(dst + done // _LANES * channel, size, num)
        found.append(_with(ArithOp.ADDS, more, _row(dst, size, num), done * num * step))
    return found


@function(GROUP, LaneMove, Arith)
def tpu_bdc_generate_arithmetic_sequence(dst_addr: LocalOut, num: Int, dtype: _CountDtype) -> Emitted:
    """dst[i] = i for num elements in one lane, u16 or u32. At least 64 elements of u32 are written.

    1 instruction, for u16 1 more, and 1 for every further 64 elements.
    """
    dst, block = dst_addr.__index__(), _IOTA.count
    found: list[Instruction] = [static_broadcast(dst, _IOTA.offset, 1, block, i32)]
    if dtype == u16:  # the lower halves of the 32-bit numbers
        shape = (1, 1, 1, min(num, block))
        packed, halves = (local(dst, shape, u16, (block * k, block * k, k, k)) for k in (1, 2))
        found.append(arith(ArithOp.COPY, packed, halves))
    for first in range(block, num, block):
        size = min(num - first, block)
        found.append(_with(ArithOp.ADD, _row(dst + dtype.itemsize * first, 1, size, dtype), _row(dst, 1, size, dtype), first))
    return found


def _with(op: ArithOp, dst: LocalTensor, src: LocalTensor, value: int) -> Arith:
    return arith(op, dst, src, Constant(value & 0xFFFF_FFFF, dst.dtype))


def _row(address: int, channels: int, count: int, dtype: Dtype = i32) -> LocalTensor:
    return local(address, (1, channels, 1, count), dtype)


def _column(address: int, channels: int, stride: int) -> LocalTensor:
    return local(address, (1, channels, 1, 1), i32, (stride, stride, 1, 1))


def _scaled(whole: LocalTensor, start: int, step: int) -> Iterator[Instruction]:
    if step != 1:
        yield _with(ArithOp.MUL, whole, whole, step)
    if start != 0:
        yield _with(ArithOp.ADD, whole, whole, start)


def _in_every_lane(dst: int, lanes: int, start: int, step: int, count: int) -> list[Instruction]:
    """Each piece behind the first one is as long as all before it."""
    found: list[Instruction] = [static_broadcast(dst, _IOTA.offset, lanes, min(count, _IOTA.count), i32)]
    first = _IOTA.count
    while first < count:
        size = min(count - first, first)
        found.append(_with(ArithOp.ADD, _row(dst + i32.itemsize * first, lanes, size), _row(dst, lanes, size), first))
        first *= 2
    return [*found, *_scaled(_row(dst, lanes, count), start, step)]


def _over_the_lanes(dst: int, start: int, step: int, count: int, stride: int) -> list[Instruction]:
    """`stride`: elements from one row of lanes to the next."""
    found: list[Instruction] = [static_distribute(dst, _IOTA.offset, min(count, _IOTA.count), i32)]
    for first in range(_LANES, count, _LANES):
        size = min(count - first, _LANES)
        row = dst + first // _LANES * i32.itemsize * stride
        found.append(_with(ArithOp.ADD, _column(row, size, stride), _column(dst, size, stride), first))
    return [*found, *_scaled(_column(dst, count, stride), start, step)]
