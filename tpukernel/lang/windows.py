"""What operations that slide a window over a tensor share: sizes of the window, and the attributes that say where it goes."""

from __future__ import annotations

from tpukernel.lang.errors import ShapeMismatchError
from tpukernel.lang.expr import Expr
from tpukernel.lang.ir import Attribute
from tpukernel.lang.symbols import Size, expr_of, here
from tpukernel.lang.tensors import Tensor

__all__ = ["ONCE", "NONE", "UNPADDED", "Padding", "Pair", "sizes", "taps", "window"]

Pair = tuple[Size, Size]
"""Rows and columns."""
Padding = tuple[Size, Size, Size, Size]
"""Top, bottom, left, right; 0 to 15 each."""

ONCE: Pair = (1, 1)
NONE: Pair = (0, 0)
UNPADDED: Padding = (0, 0, 0, 0)


def sizes(values: tuple[Size, ...]) -> tuple[Expr, ...]:
    """The expressions of sizes."""
    return tuple(expr_of(value) for value in values)


def taps(weight: Tensor) -> Pair:
    """Rows and columns of a kernel (oc, ic, kh, kw) or (1, c, kh, kw).

    Raises:
        ShapeMismatchError: not four dimensions.
    """
    if len(weight.view.shape) != 4:
        raise ShapeMismatchError(f"the kernel is {weight!r}", position=here(), help="make it with k.local((oc, ic, kh, kw), ...)")
    return weight.shape[2], weight.shape[3]


def window(
    kernel: Pair, padding: Padding, dilation: Pair, *, stride: Pair | None = None, insert: Pair | None = None, insert_name: str = "insert"
) -> dict[str, Attribute]:
    """The attributes of a window; functions have a stride, an insertion, or both (then called `ins`)."""
    found: dict[str, Attribute] = {"kernel": sizes(kernel), "padding": sizes(padding), "dilation": sizes(dilation)}
    if stride is not None:
        found["stride"] = sizes(stride)
    if insert is not None:
        found[insert_name] = sizes(insert)
    return found
