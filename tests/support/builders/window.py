"""What the builders of convolutions and pooling share: windows, and numbers per channel."""

from __future__ import annotations

from typing import cast

from tests.support.builders.common import Params, dims, tensor
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype

WINDOW = ("kernel", "padding", "stride", "dilation", "insert")
"""Parameters that are attributes of the same name."""


def window(params: Params) -> dict[str, tuple[int, ...]]:
    """The attributes of a window that a call gives."""
    renamed = {**params, "insert": params["ins"]} if "ins" in params else params
    return {name: tuple(cast("list[int]", renamed[name])) for name in WINDOW if name in renamed}


def window_result(params: Params, channels: int) -> Dim4:
    """The shape of the result of a window on ``input_shape``."""
    n, _, *sizes = dims(params, "input_shape")
    given = window(params)
    none, once = (0, 0), (1, 1)
    kernel, padding = given["kernel"], given["padding"]
    stride, dilation, insert = given.get("stride", once), given.get("dilation", once), given.get("insert", none)
    steps: list[int] = []
    for axis, size in enumerate(sizes):
        spread = (size - 1) * (insert[axis] + 1) + 1 + padding[2 * axis] + padding[2 * axis + 1]
        steps.append((spread - (kernel[axis] - 1) * dilation[axis] - 1) // stride[axis] + 1)
    return n, channels, steps[0], steps[1]


def per_channel(params: Params, name: str, channels: int, kind: Dtype, *, count: int = 1) -> LocalTensor:
    """Numbers per channel."""
    return tensor(params, name, (1, channels, 1, count), kind, Layout.COMPACT)


def signed_like(kind: Dtype, signed: Dtype, unsigned: Dtype) -> Dtype:
    """The type of the same sign: what the command holds of a type whose width is fixed."""
    return signed if kind.is_signed else unsigned
