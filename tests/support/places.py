"""Random operands of DMA commands: anywhere in the address map, with strides for all of them or for none."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from random import Random

import numpy as np

from tests.support.differential import CHIP, Arena
from tpukernel.chips.layout import continuous_strides, strides_of
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype, f16, f32, i8
from tpukernel.isa.dma_fields import ALL_LANES
from tpukernel.sim.memory import Array

__all__ = ["DMA_DTYPES", "LOCAL", "ROUTES", "SYSTEM", "Places", "lane_masks", "line_index", "shape_of"]

LOCAL, SYSTEM = "local", "system"
ROUTES = [(LOCAL, SYSTEM), (SYSTEM, LOCAL), (LOCAL, LOCAL), (SYSTEM, SYSTEM)]
"""Where (`dst`, `src`) are."""
DMA_DTYPES = (i8, f16, f32)
"""One type of each width: a DMA command moves bits."""
LARGEST_W_STRIDE = 3


class Places(Arena):
    """Places the operands of a DMA command.

    Args:
        rng: source of the draws.
        strided: whether the operands have strides; without them local tensors are EU-aligned and system tensors have no gaps.
    """

    def __init__(self, rng: Random, *, strided: bool = False) -> None:
        super().__init__(rng)
        self.with_strides = strided
        self._system_end = {"ddr": rng.randrange(1 << 12), "l2": rng.randrange(1 << 12)}

    def operand(
        self,
        place: str,
        shape: Dim4,
        dtype: Dtype,
        *,
        lane: int | None = None,
        unit: int = 1,
        packed_w: bool = False,
        n_stride: int | None = None,
        c_stride: int | None = None,
        repeats: Sequence[int] = (),
    ) -> LocalTensor | SystemTensor:
        """A tensor in local memory or in DDR or L2.

        Args:
            place: LOCAL or SYSTEM.
            shape: its shape.
            dtype: its type.
            lane: start lane of a local one; drawn when not given.
            unit: a system tensor starts at a multiple of that many bytes, if that is more than an element.
            packed_w: the w stride is 1.
            n_stride, c_stride: these strides, where the command has none.
            repeats: dimensions of which the stride is 0 at times.
        """
        self.lane = self.rng.choice((0, 0, 1, 5, 60, 63)) if lane is None else lane
        compact = strides_of(CHIP, LocalTensor(self.lane * CHIP.lane_bytes, shape, dtype, Layout.COMPACT))
        rows = compact[0] // compact[1] if place == LOCAL else shape[1]
        strides = self._strides(shape, rows, packed_w, repeats) if self.with_strides else None
        if strides is not None:
            n, c, h, w = strides
            strides = n if n_stride is None else n_stride, c if c_stride is None else c_stride, h, w
        if place == SYSTEM:
            return self._system(shape, dtype, strides, max(unit, dtype.itemsize))
        return self.tensor(shape, dtype, Layout.EU_ALIGNED if strides is None else Layout.FREE, strides)

    def _system(self, shape: Dim4, dtype: Dtype, strides: Dim4 | None, unit: int) -> SystemTensor:
        space = "l2" if self.rng.random() < 0.2 else "ddr"
        start = self._system_end[space] + self.rng.randrange(9) * unit
        start += -start % unit
        steps = strides or continuous_strides(shape)
        elements = sum((size - 1) * step for size, step in zip(shape, steps, strict=True)) + 1
        self._system_end[space] = start + elements * dtype.itemsize
        return SystemTensor(CHIP.regions[space].base + start, shape, dtype, strides)

    def _strides(self, shape: Dim4, rows: int, packed_w: bool, repeats: Sequence[int]) -> Dim4:
        """Strides with gaps or without; `rows`: channels that lie one behind the other."""
        rng = self.rng
        gap = rng.randrange(2)
        w = 1 if packed_w else rng.randint(1, LARGEST_W_STRIDE)
        h = shape[3] * w + gap * rng.randrange(4)
        c = shape[2] * h + gap * rng.randrange(9)
        n = rows * c + gap * rng.randrange(9)
        n, c, h, w = (0 if axis in repeats and rng.random() < 0.3 else step for axis, step in enumerate((n, c, h, w)))
        return n, c, h, w


def shape_of(rng: Random, *, c: int | None = None, n: int | None = None, largest: int = 9) -> Dim4:
    """A small shape; the channels often go around the lanes."""
    channels = rng.choice((1, 2, 3, 5, 17, 63, 64, 65, 70, 130)) if c is None else c
    return n or rng.randint(1, 3), channels, rng.randint(1, 5), rng.randint(1, largest)


def lane_masks(rng: Random) -> int:
    """All lanes, or some."""
    return rng.choice((ALL_LANES, ALL_LANES, rng.getrandbits(64), 1 << rng.randrange(64), 0))


def line_index(rng: Random, shape: Dim4, rows: int) -> Array:
    """Indices of lines, some of them outside."""
    drawn = [rng.choice((rng.randrange(rows),) * 4 + (rows, rng.getrandbits(32), (1 << 32) - 1)) for _ in range(prod(shape))]
    return np.array(drawn, np.uint32).reshape(shape)
