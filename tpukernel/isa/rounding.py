"""Rounding modes, by the numbers that commands and the TPUKernel functions use (`rounding_mode_t`)."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Rounding"]


class Rounding(IntEnum):
    """How a result between two representable numbers is rounded."""

    HALF_EVEN = 0
    HALF_AWAY = 1
    TOWARD_ZERO = 2
    DOWN = 3
    UP = 4
    HALF_UP = 5
    HALF_DOWN = 6
