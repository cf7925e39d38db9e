"""Windows of pooling, with the sizes that TpuLang leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bmlang.tpulang.operator import check, lists
from bmlang.tpulang.tensor import Tensor

__all__ = ["Windows"]


@dataclass(frozen=True)
class Windows:
    """Windows over the last dimensions of a tensor.

    Attributes:
        kernel, stride: of each dimension.
        pad: before each dimension, then behind each, so that all windows are whole.
        overhang: what of the padding behind each dimension `ceil_mode` has added.
    """

    kernel: list[int]
    stride: list[int]
    pad: list[int]
    overhang: list[int]

    @classmethod
    def of(
        cls,
        rank: int,
        input: Tensor,
        kernel: Sequence[int] | int | None,
        stride: Sequence[int] | int | None,
        pad: Sequence[int] | int | None,
        ceil_mode: bool,
    ) -> Windows:
        """The windows for the arguments of an operator.

        Raises:
            OperatorArgumentError: they do not fit.
        """
        names = "(n, c, h, w)" if rank == 2 else "(n, c, d, h, w)"
        check(len(input.shape) == rank + 2, f"{input.name} has shape {input.shape}", f"give a tensor {names}")
        sizes = input.shape[2:]
        window = lists(kernel or None, sizes, "kernel")
        step = lists(stride, [1] * rank, "stride")
        around = lists(pad, [0] * 2 * rank, "pad")
        check(
            min(window) > 0 and min(step) > 0 and min(around) >= 0, f"kernel {window}, stride {step}, pad {around}", "give positive numbers"
        )
        overhang = [0] * rank
        if ceil_mode:
            for axis, size in enumerate(sizes):
                room = size + around[axis] + around[rank + axis] - window[axis]
                missing = -room % step[axis]
                begin = room + missing  # of a last window that is partly outside
                overhang[axis] = missing if begin < size + around[axis] else 0
        behind = [given + more for given, more in zip(around[rank:], overhang, strict=True)]
        return cls(window, step, around[:rank] + behind, overhang)
