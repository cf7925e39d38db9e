"""Sums, averages, maxima and minima along dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.arrange import pad
from bmlang.layers.base import FLOATS, Call, Feed, Layer, LocalForm, Piece, lines
from bmlang.layers.conv_forms import LANES
from bmlang.layers.long_rows import LongRows
from bmlang.layers.memory import seen_as
from bmlang.layers.pointwise import common_dtype
from bmlang.layers.reduction import Rows, axes_of, bytes_of, pairwise
from bmlang.layers.region import Region
from bmlang.layers.registry import add
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Operand, Tensor, apply
from tpukernel.chips.chip import Chip
from tpukernel.dtypes import f32
from tpukernel.lang.builder import Builder
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

LONGEST_ROW, LONGEST_COLUMN = 8192, 512
"""Elements of a row of a lane, and elements on top of each other, that are reduced at once; longer ones in two steps."""
LEAST = float(np.finfo(np.float32).min)
"""What the command for the largest element finds at least, also where all are -inf (instruction-set study): then the first one is taken."""
NEUTRAL = {"sum": 0.0, "max": -np.inf, "min": np.inf}

__all__ = ["reduce_max", "reduce_mean", "reduce_min", "reduce_sum"]


class Reduce(Layer):
    """The elements along neighbouring dimensions joined to one."""

    defaults: Mapping[str, object] = {"axis": None, "keepdims": False}
    dtypes = (f32,)

    def __init__(self, kind: str, numpy: Callable[..., Array]) -> None:
        self.name = f"bm::reduce_{kind}"
        self._kind, self._numpy = kind, numpy

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        (x,) = inputs
        assert x is not None  # noqa: S101
        common_dtype(self.name.removeprefix("bm::"), [x], FLOATS)
        axes = axes_of(self.name, len(x.shape), attrs["axis"])
        if attrs["keepdims"]:
            return TensorSpec(tuple(1 if axis in axes else size for axis, size in enumerate(x.shape)), x.dtype)
        return TensorSpec(tuple(size for axis, size in enumerate(x.shape) if axis not in axes) or (1,), x.dtype)

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        (x,) = inputs
        assert x is not None  # noqa: S101
        return self._numpy(x.astype(np.float64), axis=axes_of(self.name, x.ndim, attrs["axis"]), keepdims=bool(attrs["keepdims"]))

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | None:
        (x,) = inputs
        assert x is not None  # noqa: S101
        axes = axes_of(self.name, x.ndim, attrs["axis"])
        outer, size, inner = prod(x.shape[: axes[0]]), prod(x.shape[axes[0] : axes[-1] + 1]), prod(x.shape[axes[-1] + 1 :])
        longest = LONGEST_ROW if inner == 1 else LONGEST_COLUMN
        if size <= longest or (inner == 1 and outer < LANES and LongRows.of(outer, size, longest, LANES) is not None):
            return None
        kind = "sum" if self._kind == "mean" else self._kind
        parts = parts_of(reshape(x, (outer, size, inner)), longest, NEUTRAL[kind])
        rows = apply(f"bm::reduce_{kind}", parts, axis=2, keepdims=False)
        rows = apply(f"bm::reduce_{kind}", rows, axis=1, keepdims=False)
        kept = self.infer([x.spec], attrs).shape
        return reshape(rows * (1 / size) if self._kind == "mean" else rows, kept)

    def local(self, call: Call) -> LocalForm:
        x, chip = call.spec(0), call.chip
        axes = axes_of(self.name, len(x.shape), call.attrs["axis"])
        rows = Rows.of(x.shape, axes, x.dtype.itemsize, chip)
        long = LongRows.if_faster(rows.outer, rows.size, int(self._kind == "min"), 1, LONGEST_ROW, chip) if rows.along_w else None
        if long is not None:
            return self._over_lanes(long, chip)
        if _are_images(x.shape, axes, chip):
            return self._of_images(x, rows, chip)

        def tile(piece: Piece) -> None:
            for place, part in enumerate(rows.groups(piece.ins[0])):
                out = piece.out if rows.along_w else piece.out[place : place + 1]
                self._join(piece.k, out, part, rows)

        def scratch(region: Region) -> int:
            source = bytes_of(rows.source(region), x.dtype, chip)
            return source + 4 * bytes_of(region, x.dtype, chip) if rows.along_w else 2 * source

        def cycles(region: Region) -> int:
            source = rows.source(region)
            return source.size[1] // chip.lanes * rows.size + rows.size if rows.along_w else lines(source, x.dtype, chip)

        return LocalForm(
            out=rows.reduced, feeds={0: Feed(rows.full, rows.source)}, tile=tile, cut=(1, 1, 1, 1), scratch=scratch, cycles=cycles
        )

    def _of_images(self, x: TensorSpec, rows: Rows, chip: Chip) -> LocalForm:
        """Images, one channel each, as windows make them: their rows lie behind each other and are one row."""
        n, c, h, w = x.shape

        def whole(region: Region) -> Region:
            return region.along(2, 0, h).along(3, 0, w)

        def tile(piece: Piece) -> None:
            count = piece.region.size[1]
            part = seen_as(piece.k, piece.ins[0], (1, count, 1, rows.size), x.dtype)
            self._join(piece.k, piece.out, part, rows)

        return LocalForm(
            out=(n, c, 1, 1),
            feeds={0: Feed((n, c, h, w), whole, whole_rows=True)},
            tile=tile,
            cut=(1, chip.lanes, 1, 1),
            at_once=(1, 0, 0, 0),
            scratch=lambda region: bytes_of(whole(region), x.dtype, chip) + 4 * bytes_of(region, x.dtype, chip),
            cycles=lambda region: region.size[0] * (region.size[1] // chip.lanes + 1) * rows.size,
        )

    def _over_lanes(self, rows: LongRows, chip: Chip) -> LocalForm:
        """Each row over several lanes."""

        def tile(piece: Piece) -> None:
            k, x = piece.k, piece.ins[0]
            if self._kind in ("sum", "mean"):
                k.tiu.copy(piece.out, rows.reduced(k, x, "sum", 1 / (rows.lanes * rows.part) if self._kind == "mean" else 1.0))
            else:
                source = x if self._kind == "max" else _negative(k, x)
                self._put(k, piece.out, rows.reduced(k, source, "max"), source[:, :1, :, :1])

        return LocalForm(
            out=(rows.rows, 1, 1, 1),
            feeds={0: Feed(rows.full, rows.source)},
            tile=tile,
            cut=(1, 1, 1, 1),
            scratch=lambda region: bytes_of(rows.source(region), f32, chip) + rows.room(region, chip) + 2 * bytes_of(region, f32, chip),
            cycles=lambda region: region.size[0] * rows.cycles(int(self._kind == "min"), 1, chip),
        )

    def _join(self, k: Builder, out: Tile, part: Tile, rows: Rows) -> None:
        if self._kind in ("sum", "mean"):
            scale = 1 / rows.size if self._kind == "mean" else 1.0
            if rows.along_w:
                k.tiu.reduce_sum(out, part, "w", scale=scale)
                return
            pairwise(k, out, part, k.tiu.add)
            if scale != 1:
                k.tiu.mul(out, out, scale)
        elif not rows.along_w:
            pairwise(k, out, part, k.tiu.max if self._kind == "max" else k.tiu.min)
        else:
            source = part if self._kind == "max" else _negative(k, part)
            largest = k.local(cast("tuple[int, ...]", out.shape), part.dtype, name="largest")
            k.tiu.reduce_max(largest, source, "w")
            self._put(k, out, largest, source[:, :, :, :1])

    def _put(self, k: Builder, out: Tile, largest: Tile, first: Tile) -> None:
        """out = the largest elements of rows, or what they are the negatives of, given what the command found and the first elements."""
        shape = cast("tuple[int, ...]", out.shape)
        whole, exact = (k.local(shape, f32, name=name) for name in ("whole", "exact"))
        k.tiu.copy(whole, first)
        k.tiu.select_equal(exact, largest, LEAST, whole, largest)
        if self._kind == "max":
            k.tiu.copy(out, exact)
        else:
            k.tiu.neg(out, exact)


def _negative(k: Builder, x: Tile) -> Tile:
    negative = k.local(cast("tuple[int, ...]", x.shape), x.dtype, name="negative")
    k.tiu.neg(negative, x)
    return negative


def _are_images(shape: Sequence[int], axes: Sequence[int], chip: Chip) -> bool:
    """Whether channels are reduced that fill the lanes as they are."""
    return len(shape) == 4 and tuple(axes) == (2, 3) and (shape[0] == 1 or shape[1] >= chip.lanes)


for _kind, _numpy in (("sum", np.sum), ("mean", np.mean), ("max", np.max), ("min", np.min)):
    add(Reduce(_kind, _numpy), __name__)


def parts_of(x: Tensor, longest: int, neutral: float) -> Tensor:
    """x (outer, size, inner) as (outer, parts, part, inner), parts of up to `longest` elements; the last one filled up with `neutral`."""
    outer, size, inner = x.shape
    part = next((part for part in range(longest, longest // 8, -1) if size % part == 0), longest)
    if size % part:
        x = pad(x, (0, 0, 0), (0, -size % part, 0), neutral)
    return reshape(x, (outer, -1, part, inner))


def reduce_sum(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The sum over neighbouring dimensions, all by default, computed in f32."""
    return apply("bm::reduce_sum", x, axis=axis, keepdims=keepdims)


def reduce_mean(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The average over neighbouring dimensions, all by default, computed in f32."""
    return apply("bm::reduce_mean", x, axis=axis, keepdims=keepdims)


def reduce_max(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The largest element over neighbouring dimensions, all by default, computed in f32."""
    return apply("bm::reduce_max", x, axis=axis, keepdims=keepdims)


def reduce_min(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The smallest element over neighbouring dimensions, all by default, computed in f32."""
    return apply("bm::reduce_min", x, axis=axis, keepdims=keepdims)
