"""The state of a draw, and the start lanes that the official BM1684X library demands of operands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random
from typing import cast

from tests.support.draw_memory import START_LANES, Dims
from tests.support.oracle import Value

F32, I16, U16, I32, U32 = 5, 7, 6, 9, 8
ITEM_BYTES = {1: 1, 0: 1, 3: 2, 7: 2, 6: 2, 11: 2, 5: 4, 9: 4, 8: 4}
"""Bytes per element by ``data_type_t`` code."""

SFU_TABLE = r"fp_taylor|fp32_(exp|log|sin|cos|tan|cot|arc|sigmoid|silu|selu|elu|erf|gelu|mish|pow|C_pow|swish|softplus)"
LANES_OF: tuple[tuple[str, str, tuple[int, ...] | None], ...] = (
    (r"cpy_cross_npu|_npu_bcast$|_L2L|gdma_mask_select|gdma_h_", r".*", START_LANES),
    (SFU_TABLE, r".*coeff", (0,)),
    (r"load_.*_coeff|distribute|sequence|static|table_lookup|zp_mm|fp_mm", r".*", (0,)),
    (r"fp_conv2d", r"input", None),
    (r"_conv2d", r"input|pad|pad_insert", (0,)),
    (r"roi", r"roi", (0,)),
    (r"bdc_h?w_(gather|scatter)", r"index", (0,)),
    (r"bdc_cw_trans", r"src", (0,)),
    (r"bdc_wc_trans", r"dst", (0,)),
    (r"bdc_(cw|wc)_trans", r".*", START_LANES),
)
"""Start lanes of operands that need not start where the others do: (function, operand, lanes), first match; None: see ``Context.lane``."""


@dataclass
class Context:
    """A draw in progress: what has been decided so far."""

    rng: Random
    function: str
    names: tuple[str, ...]
    values: dict[str, Value]
    low_ddr: bool = False
    default_strides: bool = False
    lanes: dict[str, int] = field(default_factory=dict[str, int])

    def lane(self, operand: str) -> int:
        """Start lane of an operand: that of all operands, or one that ``LANES_OF`` names. f32 convolutions read from any lane."""
        if operand not in self.lanes:
            rules = (lanes for functions, names, lanes in LANES_OF if re.search(functions, self.function) and re.fullmatch(names, operand))
            options = next(rules, ())
            if options is None:
                options = START_LANES if self.number("input_dtype") == F32 else (0,)
            self.lanes[operand] = self.rng.choice(options) if options else self.lanes.setdefault("", self.rng.choice(START_LANES))
        return self.lanes[operand]

    def number(self, name: str) -> int:
        value = self.values[name]
        if not isinstance(value, int):
            raise TypeError(f"{self.function}: {name} is not an integer")
        return value

    def dims(self, name: str) -> Dims:
        return cast(Dims, self.values[name])

    def item(self, *names: str) -> int:
        """Bytes per element of the first of these data type parameters that the function has; 4 without one."""
        known = [self.number(name) for name in (*names, "dtype", "data_dtype", "src_dtype") if name in self.values]
        return ITEM_BYTES[known[0]] if known else 4
