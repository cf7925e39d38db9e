"""Products of one known matrix with many, (m, k) times (batch, k, n): three forms, by the number of columns n.

With one column, what is multiplied are rows of one matrix. With many, they are images of one row, whose channels are the depth. Between
these, rows of n elements are short runs, for which the DMA engine takes as long as for 256 bytes (cost model): each lane gets all of a
batch, whose k * n elements are one run, and the tensor unit brings its depth over the lanes and the results back: columns by copies with
gaps, then the transposing command.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np

from bmlang.graph.graph import Array
from bmlang.layers.base import Call, Feed, LocalForm, Packed, Piece
from bmlang.layers.conv_forms import MACS
from bmlang.layers.conv_records import kernel_rows
from bmlang.layers.memory import seen_as
from bmlang.layers.region import Region
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import Dtype, f32

__all__ = ["known_left"]

RUN_BYTES: Final = 256
"""What a shorter run costs as much as (cost model)."""
LEAST_BATCHES: Final = 16
"""With fewer batches too few lanes work."""
LARGEST_BATCH: Final = 32 << 10
"""Bytes of operand and result of a batch: an eighth of the memory of a lane, which holds two of each and two more forms of them."""


def known_left(call: Call, batches: int, n: int) -> LocalForm:
    """The form of a product whose left side is known and one for all right sides (batches, k, n), which are not transposed."""
    m, depth = call.spec(0).shape[-2:]
    row = n * call.spec(1).dtype.itemsize
    if n == 1:
        return _single_columns(call, batches, m, depth)
    if batches >= LEAST_BATCHES and 2 * row <= RUN_BYTES and row * (m + depth) <= LARGEST_BATCH:
        return _batches_over_lanes(call, batches, m, depth, n)
    return _images(call, batches, m, depth, n)


def _left(call: Call) -> Array:
    """The left side as a matrix."""
    left = cast("Array", call.constants[0])
    return left.reshape(left.shape[-2:])


def _product_cycles(rows: int, columns: int, depth: int, dtype: Dtype, call: Call) -> int:
    """Cycles of a convolution with 1 x 1 kernels, and of the matrix command of 16 bits."""
    pixels, channels = MACS[dtype.itemsize]
    return -(-rows // call.chip.lanes) * -(-columns // pixels) * -(-depth // channels)


def _single_columns(call: Call, batches: int, m: int, depth: int) -> LocalForm:
    """Rows (batches, k) times the left side transposed."""
    dtype, lanes = call.spec(1).dtype, call.chip.lanes

    def pack(region: Region) -> Array:
        return np.ascontiguousarray(_left(call)[region.start[3] : region.end[3]].T).reshape(1, depth, 1, region.size[3])

    def tile(piece: Piece) -> None:
        (right,) = piece.packed
        if dtype == f32:
            kernels = seen_as(piece.k, piece.ins[1], (piece.region.size[1], depth, 1, 1), dtype, Layout.WEIGHT)
            piece.k.tiu.conv2d(piece.out, right, kernels)
        else:
            piece.k.tiu.matmul(piece.out, piece.ins[1], right)

    return LocalForm(
        out=(1, batches, 1, m),
        feeds={1: Feed((1, batches, 1, depth), lambda region: region.along(3, 0, depth))},
        tile=tile,
        cut=(1, lanes, 1, 1),
        packed=(Packed(pack, axes="w"),),
        at_once=(0, lanes, 0, 0),
        cycles=lambda region: _product_cycles(region.size[1], region.size[3], depth, dtype, call),
    )


def _images(call: Call, batches: int, m: int, depth: int, n: int) -> LocalForm:
    """A convolution of (batches, k, 1, n) with 1 x 1 kernels."""
    dtype, lanes = call.spec(1).dtype, call.chip.lanes

    def pack(region: Region) -> Array:
        return kernel_rows(_left(call)[region.start[1] : region.end[1]].reshape(-1, depth, 1, 1))

    def tile(piece: Piece) -> None:
        (packed,) = piece.packed
        kernels = seen_as(piece.k, packed, (piece.region.size[1], depth, 1, 1), dtype, Layout.WEIGHT)
        piece.k.tiu.conv2d(piece.out, piece.ins[1], kernels)

    return LocalForm(
        out=(batches, m, 1, n),
        feeds={1: Feed((batches, depth, 1, n), lambda region: region.along(1, 0, depth))},
        tile=tile,
        cut=(1, lanes, 1, 1),
        packed=(Packed(pack),),
        at_once=(1 if m > lanes else 0, lanes, 0, 0),
        cycles=lambda region: region.size[0] * _product_cycles(region.size[1], region.size[3], depth, dtype, call),
    )


def _batches_over_lanes(call: Call, batches: int, m: int, depth: int, n: int) -> LocalForm:
    """The right sides as (1, batches, k, n), the result as (1, batches, m, n); see the module."""
    lanes, line = call.chip.lanes, call.chip.eu_bytes
    source, result = call.spec(1).dtype, call.outputs[0].dtype
    blocks = [(first, min(lanes, m - first)) for first in range(0, m, lanes)]

    def row(count: int, dtype: Dtype) -> int:
        return -(-count * dtype.itemsize // line) * line

    columns_at = call.chip.lane_bytes - n * row(depth, source)
    results_at = columns_at - n * row(min(m, lanes), result)

    def scratch(region: Region) -> int:
        """At the end of a lane: columns one after the other, of the operand and of a block of the result; before them, batches along w."""
        across, products = -(-depth // lanes) * row(region.size[1], source), row(region.size[1], result)
        return call.chip.lane_bytes - results_at + n * (across + products)

    def tile(piece: Piece) -> None:
        k, tiu, count, (packed,) = piece.k, piece.k.tiu, piece.region.size[1], piece.packed
        columns = k.local((n, count, depth, 1), source, at=columns_at, name="columns")
        for place in range(n):
            tiu.copy(columns[place : place + 1], piece.ins[1][:, :, :, place : place + 1])
        across = k.local((n, depth, 1, count), source, name="across")
        tiu.wc_transpose(across, seen_as(k, columns, (n, count, 1, depth), source))
        for first, size in blocks:
            kernels = seen_as(k, packed[:, first : first + size], (size, depth, 1, 1), source, Layout.WEIGHT)
            products = k.local((n, size, 1, count), result, name="products")
            tiu.conv2d(products, across, kernels)
            back = k.local((n, count, 1, size), result, at=results_at, name="back")
            tiu.wc_transpose(back, products)
            standing = seen_as(k, back, (n, count, size, 1), result)
            for place in range(n):
                tiu.copy(piece.out[:, :, first : first + size, place : place + 1], standing[place : place + 1])

    def cycles(region: Region) -> int:
        gaps = min(n, line // source.itemsize) * (row(depth, source) + row(m, result))
        transposed = len(blocks) * row(region.size[1], result) + row(region.size[1], source)
        return n * (_product_cycles(m, region.size[1], depth, source, call) + (gaps + transposed) // line)

    shape: Dim4 = (1, batches, m, n)
    return LocalForm(
        out=shape,
        feeds={1: Feed((1, batches, depth, n), lambda region: region.along(2, 0, depth))},
        tile=tile,
        cut=(1, lanes, 0, 0),
        packed=(Packed(lambda _: kernel_rows(_left(call).reshape(m, depth, 1, 1)), axes=""),),
        at_once=(0, lanes, 0, 0),
        scratch=scratch,
        cycles=cycles,
    )
