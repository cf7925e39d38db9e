"""Layers of a package of its own."""

from __future__ import annotations

import bmlang as bm


@bm.layer("acme::shrink")
@bm.function
def shrink(x: bm.Tensor, *, threshold: float = 0.5) -> bm.Tensor:
    """x moved towards 0 by the threshold, and 0 where it is nearer."""
    return bm.relu(x - threshold) - bm.relu(-x - threshold)
