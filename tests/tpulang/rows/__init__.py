"""Each operator of TpuLang with calls and what they give in numpy: one file for each kind."""

from __future__ import annotations

from tests.tpulang.rows import activations, arranging, elementwise, vision, windows
from tests.tpulang.rows.base import Row

ROWS: list[Row] = [*activations.ROWS, *arranging.ROWS, *elementwise.ROWS, *vision.ROWS, *windows.ROWS]
"""All of them."""
BLOCKS = {"deformable_attention", "multi_scale_deformable_attention", "qwen2_block", "qwen2_block_cache"}
"""Operators that are whole blocks of models, and not there."""
