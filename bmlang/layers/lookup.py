"""Functions of 8 bits as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import Call, Feed, Layer, LocalForm, Piece
from bmlang.layers.errors import OperatorDtypeError, ShapeError
from bmlang.layers.memory import copies, result_of, whole
from bmlang.layers.region import Region, four
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Dim4
from tpukernel.dtypes import DTYPES, i8, i16, u8
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["Lut", "lut"]

LENGTH = 256
LARGEST = 65535
"""Columns of one command."""


@register
class Lut(Layer):
    """The elements of a table that the bits of x name."""

    name = "bm::lut"
    inputs = ("x", "table")
    dtypes = tuple(DTYPES.values())

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, table = inputs
        assert x is not None and table is not None  # noqa: S101
        if x.dtype not in (i8, u8):
            raise OperatorDtypeError(
                f"lut of {x.dtype.name}", position=here(), help="x is i8 or u8: convert it with bm.cast or bm.quantise"
            )
        if prod(table.shape) != LENGTH:
            raise ShapeError(f"lut with a table {list(table.shape)}", position=here(), help=f"the table has {LENGTH} elements")
        return TensorSpec(x.shape, table.dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        x, table = inputs
        assert x is not None and table is not None  # noqa: S101
        return table.reshape(-1)[x.astype(np.int64) % LENGTH]

    def local(self, call: Call) -> LocalForm:
        shape = _placed(call.spec(0).shape, call.chip)

        def tile(piece: Piece) -> None:
            with result_of(piece) as out:
                piece.k.tiu.lookup(out, _unsigned(piece, piece.ins[0]), piece.ins[1])

        def scratch(region: Region) -> int:
            return 2 * copies(call.chip)(region)

        def cycles(region: Region) -> int:
            n, c, h, w = region.size
            return n * -(-c // call.chip.lanes) * h * w

        return LocalForm(
            out=shape,
            feeds={
                0: Feed(shape, lambda region: region),
                1: Feed((1, 1, 1, LENGTH), lambda _: Region.whole((1, 1, 1, LENGTH)), spread=shape[1] > 1),
            },
            tile=tile,
            cut=(1, 1, 1, 1),
            at_once=(0, call.chip.lanes, 0, 0),
            scratch=scratch,
            cycles=cycles,
        )


def _placed(shape: tuple[int, ...], chip: Chip) -> Dim4:
    """A shape that fills the lanes: its own, or as many equal stretches as possible."""
    own = four(shape)
    if own[1] >= chip.lanes // 2:
        return own
    size = prod(shape)
    lanes = next(lanes for lanes in range(chip.lanes, 0, -1) if size % lanes == 0)
    columns = next(columns for columns in range(min(size // lanes, LARGEST), 0, -1) if size // lanes % columns == 0)
    return 1, lanes, size // lanes // columns, columns


def _unsigned(piece: Piece, x: Tile) -> Tile:
    """The bits of x as an unsigned number."""
    if x.dtype == u8:
        return whole(piece, x)
    k, size = piece.k, piece.region.size
    wide, low, found = k.local(size, i16, name="wide"), k.local(size, i16, name="low"), k.local(size, u8, name="bits")
    k.tiu.cast(wide, x)
    k.tiu.bit_and(low, wide, LENGTH - 1)
    k.tiu.cast(found, low)
    return found


def lut(x: Operand, table: Operand) -> Tensor:
    """table[x], of x's shape and the table's type: any function of 8 bits.

    Args:
        x: i8 or u8. A negative number names the element at x + 256, as its bits do.
        table: 256 elements of any type.
    """
    return apply("bm::lut", x, table)
