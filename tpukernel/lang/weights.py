"""Weights of convolutions in the order in which the lanes hold them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.chip import Chip, chip_of
from tpukernel.dtypes import dtype_of
from tpukernel.lang.errors import ShapeMismatchError, UnsupportedDtypeError

__all__ = ["packed_row", "packed_weights"]

_T = TypeVar("_T", bound=np.generic)


def packed_row(group: int, ic: int, taps: int) -> int:
    """Elements of one output channel: `[ceil(ic / group)][taps][group]`."""
    return -(-ic // group) * taps * group


def packed_weights(weight: NDArray[_T], chip: Chip | str = "BM1684X") -> NDArray[_T]:
    """Weights (oc, ic, kh, kw) as (oc, row): the record of each output channel as a lane holds it, `[ceil(ic / P)][kh * kw][P]`.

    `k.dma.load` copies such an array into a buffer of layout WEIGHT in long runs. Weights in the usual order need a command for each group
    of P input channels, which moves single elements: cheap for f32 (P is 1), slow for f16, bf16 (32) and 8 bits (64).

    Raises:
        ShapeMismatchError: not four dimensions.
        UnsupportedDtypeError: the chip has no weights of this type.
    """
    group = chip_of(chip).weight_pack.get(dtype_of(weight.dtype))
    if weight.ndim != 4:
        raise ShapeMismatchError(f"weights of shape {weight.shape}", help="give (oc, ic, kh, kw)")
    if group is None:
        raise UnsupportedDtypeError(f"no convolution has weights of {weight.dtype}", help="convert them")
    oc, ic, kh, kw = weight.shape
    groups = -(-ic // group)
    found = np.zeros((oc, groups * group, kh * kw), weight.dtype)
    found[:, :ic] = weight.reshape(oc, ic, kh * kw)
    return np.ascontiguousarray(found.reshape(oc, groups, group, kh * kw).transpose(0, 1, 3, 2)).reshape(oc, -1)
