"""The order of the sums: which products meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tpukernel.sim.interpreter.numerics.accumulate import GROUP
from tpukernel.sim.jit.products.product import Offsets

__all__ = ["Order", "grouped_depth", "packed_depth", "plain_depth"]


@dataclass(frozen=True, eq=False)
class Order:
    """The k of the products in the order in which they are added up.

    Attributes:
        numbers: by place, the k (of (input channel, tap)); in places that are not used any one.
        counts: of groups, how many places from the first one are used.
    """

    numbers: Offsets
    counts: tuple[int, ...] = ()


def plain_depth(depth: int) -> Order:
    """One after the other."""
    return Order(np.arange(depth))


def packed_depth(channels: int, taps: int, pack: int) -> Order:
    """As convolution weights lie, for sums of which the order does not matter: (group of `pack` channels, tap, channel)."""
    groups = [range(first, min(first + pack, channels)) for first in range(0, channels, pack)]
    numbers = [np.add.outer(np.arange(taps), np.array(group) * taps).reshape(-1) for group in groups]
    return Order(np.concatenate(numbers))


def grouped_depth(channels: int, taps: int) -> Order:
    """Groups of 32 channels for each tap: (group of channels, tap, channel)."""
    groups = -(-channels // GROUP)
    channel = np.minimum(np.arange(groups * GROUP), channels - 1).reshape(groups, 1, GROUP)
    numbers = channel * taps + np.arange(taps).reshape(1, taps, 1)
    counts = [min(GROUP, channels - GROUP * group) for group in range(groups) for _ in range(taps)]
    return Order(numbers.reshape(-1), tuple(counts))
