"""Shape operators."""

from __future__ import annotations

from collections.abc import Sequence

import bmlang as bm
from bmlang.tpulang.operator import check, known, made, operator, value
from bmlang.tpulang.tensor import Tensor

__all__ = ["reshape", "shape_fetch", "squeeze", "unsqueeze"]


@operator
def squeeze(tensor_i: Tensor, axis: Sequence[int], out_name: str | None = None) -> Tensor:
    """The tensor without these dimensions of size 1; without all of them where none is named."""
    found = bm.squeeze(value(tensor_i), list(axis) or None)
    return made(found, out_name, tensor_i.scale, tensor_i.zero_point)


@operator
def unsqueeze(input: Tensor, axes: Sequence[int] = (1, 2), out_name: str | None = None) -> Tensor:
    """The tensor with dimensions of size 1 more, at these places of the result."""
    return made(bm.unsqueeze(value(input), axes), out_name, input.scale, input.zero_point)


@operator
def reshape(tensor: Tensor, new_shape: Sequence[int] | Tensor, out_name: str | None = None) -> Tensor:
    """The elements in the same order in another shape.

    Args:
        tensor: the tensor.
        new_shape: sizes, as numbers or as a coefficient; one may be -1, and 0 is the size that the dimension has.
        out_name: name of the result.
    """
    sizes = [int(each) for each in known(new_shape, "new_shape").reshape(-1)] if isinstance(new_shape, Tensor) else list(new_shape)
    check(
        all(size or axis < len(tensor.shape) for axis, size in enumerate(sizes)),
        f"new_shape is {sizes}",
        "0 stands for a size of the input",
    )
    shape = [size or tensor.shape[axis] for axis, size in enumerate(sizes)]
    return made(bm.reshape(value(tensor), shape), out_name, tensor.scale, tensor.zero_point)


@operator
def shape_fetch(
    tensor_i: Tensor, begin_axis: int | None = None, end_axis: int | None = None, step: int = 1, out_name: str | None = None
) -> Tensor:
    """Sizes of the tensor from dimension `begin_axis` to `end_axis`, without the last, in steps; int32."""
    return made(bm.shape_fetch(value(tensor_i), begin_axis or 0, end_axis, step), out_name)
