"""Sums, maxima and the like along dimensions, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np

from bmlang.importers.onnx.elements import INT64
from bmlang.importers.onnx.families.shapes import cut
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.layers.activations import exp, log, sqrt
from bmlang.layers.arrange import concat, pad
from bmlang.layers.cast import cast
from bmlang.layers.compare import eq, ge, where
from bmlang.layers.cumulate import cumsum
from bmlang.layers.elementwise import abs, add, div, max, min, mul, square, sub
from bmlang.layers.rearrange import flip
from bmlang.layers.reduce import reduce_max, reduce_mean, reduce_min, reduce_sum
from bmlang.layers.shape import reshape
from bmlang.layers.softmax import softmax
from bmlang.layers.tensor import Operand, Tensor
from tpukernel.dtypes import f32, i32

__all__ = ["TABLE", "axes_of_node", "reduced"]

Reduction: TypeAlias = Callable[[Tensor, "Sequence[int]"], Tensor]
"""A tensor and neighbouring dimensions; these become 1."""
FLOATS: Final[Mapping[str, Reduction]] = {
    "max": lambda x, axes: reduce_max(x, axes, True),
    "mean": lambda x, axes: reduce_mean(x, axes, True),
    "min": lambda x, axes: reduce_min(x, axes, True),
    "sum": lambda x, axes: reduce_sum(x, axes, True),
}
PAIRS: Final[Mapping[str, Callable[[Operand, Operand], Tensor]]] = {"max": max, "min": min, "prod": mul, "sum": add}
"""What joins two elements, for those that the tensor unit has no reduction for."""


def axes_of_node(node: OnnxNode) -> list[int]:
    """The dimensions that a node reduces, counted from the front, in order; all of them where it names none."""
    rank = len(node.shape(0))
    given = node.listed("axes", 1)
    if not given:
        return [] if node.integer("noop_with_empty_axes", 0) else list(range(rank))
    if any(not -rank <= axis < rank for axis in given):
        node.wrong(f"axes {given} of a tensor of {rank} dimensions")
    return sorted({axis % rank for axis in given})


def reduced(x: Tensor, axes: Sequence[int], kind: str) -> Tensor:
    """A tensor with the elements along dimensions joined; the dimensions stay, with a size of 1."""
    for run in _runs(axes):
        if x.dtype.is_float and kind in FLOATS:
            x = FLOATS[kind](x, run)
            continue
        for axis in run:
            x = _in_pairs(x, axis, PAIRS[kind])
    return x


def _runs(axes: Sequence[int]) -> list[list[int]]:
    """Neighbouring dimensions together."""
    found: list[list[int]] = []
    for axis in axes:
        if found and axis == found[-1][-1] + 1:
            found[-1].append(axis)
        else:
            found.append([axis])
    return found


def _in_pairs(x: Tensor, axis: int, join: Callable[[Operand, Operand], Tensor]) -> Tensor:
    """One half of the elements with the other, again and again."""
    while (size := x.shape[axis]) > 1:
        half = size // 2
        made = join(cut(x, axis, 0, half), cut(x, axis, half, half))
        if size % 2:
            first = join(cut(made, axis, 0, 1), cut(x, axis, size - 1, 1))
            if half == 1:
                return first
            made = concat([first, cut(made, axis, 1, half - 1)], axis)
        x = made
    return x


def _without(x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    return x if keep else reshape(x, [size for axis, size in enumerate(x.shape) if axis not in axes])


def _reduction(kind: str, before: Callable[[Tensor], Tensor] | None = None, after: Callable[[Tensor], Tensor] | None = None) -> Handler:
    def handler(node: OnnxNode) -> Result:
        x, axes = node.tensor(0), axes_of_node(node)
        given = x.dtype
        if x.dtype.is_int and (before or kind not in PAIRS or x.dtype.bits < 32):
            x = _for_reduction(node, x, kind, exact=before is None and kind in PAIRS)
        x = x if before is None else before(x)
        made = reduced(x, axes, kind)
        made = made if after is None else after(made)
        found = _without(made, axes, bool(node.integer("keepdims", 1)))
        return found if found.dtype == given else cast(found, given, "towards_zero" if given.is_int else "half_to_even")

    return handler


def _for_reduction(node: OnnxNode, x: Tensor, kind: str, *, exact: bool) -> Tensor:
    """Integers in a type in which they can be joined without a loss."""
    if kind in ("max", "min") and x.dtype.bits < 32:
        return cast(x, f32)
    if exact:
        return cast(x, i32)
    raise NotSupported(f"integers of type {node.element(0).name}: the result would be rounded otherwise")


def _endless(x: Tensor, sign: float) -> Tensor:
    """A maximum or minimum of infinities: the tensor unit begins with the largest finite number."""
    if not x.dtype.is_float:
        return x
    size = mul(x, sign)
    largest = float(np.finfo(np.float32).max)
    return where(ge(size if size.dtype == f32 else cast(size, f32), largest), sign * float("inf"), x)


def _log_sum_exp(node: OnnxNode) -> Result:
    x, axes = node.floats(0, _float(node)), axes_of_node(node)
    top = max(reduced(x, axes, "max"), float(np.finfo(np.float32).min))
    made = add(log(reduced(exp(sub(x, top)), axes, "sum")), top)
    return _without(made, axes, bool(node.integer("keepdims", 1)))


def _float(node: OnnxNode):
    dtype = node.tensor(0).dtype
    if not dtype.is_float:
        raise NotSupported(f"integers of type {node.element(0).name}")
    return dtype


def _flat(x: Tensor, axis: int) -> Tensor:
    """Before version 13 everything from the axis on counts as one dimension."""
    rows = int(np.prod(x.shape[:axis]))
    return reshape(x, (rows, -1))


def _softmaxes(function: Callable[[Tensor, int], Tensor]) -> Handler:
    def handler(node: OnnxNode) -> Result:
        x = node.tensor(0)
        if node.opset >= 13:
            return function(x, node.axis(-1))
        return reshape(function(_flat(x, node.axis(1)), 1), x.shape)

    return handler


def _log_softmax(x: Tensor, axis: int) -> Tensor:
    low = sub(x, reduce_max(x, axis, True))
    return sub(low, log(reduce_sum(exp(low), axis, True)))


def _places(x: Tensor, axis: int) -> Tensor:
    """The number of each element along a dimension, to be broadcast; exact in f32."""
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    numbers = np.arange(x.shape[axis], dtype=np.float32).reshape(shape)
    return Tensor(x.tracer, x.tracer.constant(numbers, "places"))


def first_place(x: Tensor, axis: int, *, largest: bool = True, last: bool = False) -> Tensor:
    """The number of the largest (or smallest) element along a dimension, the first (or last) of several: f32, with a size of 1 there."""
    best = reduced(x, [axis], "max" if largest else "min")
    places = _places(x, axis)
    found = ge(x, best) if largest else ge(best, x)
    return (
        reduce_max(where(found, places, -1.0), axis, True) if last else reduce_min(where(found, places, float(x.shape[axis])), axis, True)
    )


def _arg(largest: bool) -> Handler:
    def handler(node: OnnxNode) -> Result:
        x, axis = node.tensor(0), node.axis(0)
        if x.dtype.is_int and x.dtype.bits == 32:
            raise NotSupported(f"numbers of type {node.element(0).name}")
        wide = x if x.dtype == f32 else cast(x, f32)
        made = first_place(wide, axis, largest=largest, last=bool(node.integer("select_last_index", 0)))
        return node.typed(_without(made, [axis], bool(node.integer("keepdims", 1))), INT64)

    return handler


def _hardmax(x: Tensor, axis: int) -> Tensor:
    found = eq(_places(x, axis), first_place(x if x.dtype == f32 else cast(x, f32), axis))
    return found if x.dtype == f32 else cast(found, x.dtype)


def _running(join: Callable[[Operand, Operand], Tensor], neutral: float) -> Handler:
    def handler(node: OnnxNode) -> Result:
        x = node.tensor(0)
        axis = int(node.known(1).reshape(-1)[0]) % x.ndim
        backwards, exclusive = bool(node.integer("reverse", 0)), bool(node.integer("exclusive", 0))
        x = flip(x, axis) if backwards else x
        made = cumsum(x, axis) if neutral == 0 and x.dtype.is_float else _steps(x, axis, join, neutral)
        made = _shifted(made, axis, 1, neutral) if exclusive else made
        return flip(made, axis) if backwards else made

    return handler


def _steps(x: Tensor, axis: int, join: Callable[[Operand, Operand], Tensor], neutral: float) -> Tensor:
    """Every element with the one 1, 2, 4, ... places before it."""
    distance = 1
    while distance < x.shape[axis]:
        x = join(x, _shifted(x, axis, distance, neutral))
        distance *= 2
    return x


def _shifted(x: Tensor, axis: int, distance: int, fill: float) -> Tensor:
    """Elements further behind along a dimension; those at the end drop out."""
    kept = cut(x, axis, 0, x.shape[axis] - distance) if distance < x.shape[axis] else None
    before = [distance if place == axis else 0 for place in range(x.ndim)]
    if kept is None:
        return pad(mul(x, 0), [0] * x.ndim, [0] * x.ndim, fill)
    return pad(kept, before, [0] * x.ndim, fill)


def _lp_normalization(node: OnnxNode) -> Result:
    x, axis, power = node.tensor(0), node.axis(-1), node.integer("p", 2)
    size = sqrt(reduce_sum(square(x), axis, True)) if power == 2 else reduce_sum(abs(x), axis, True)
    none = eq(size, 0.0)
    return div(x, where(none, 1.0, size))


TABLE: Final[Mapping[str, Handler]] = {
    "ArgMax": _arg(True),
    "ArgMin": _arg(False),
    "CumProd": _running(mul, 1.0),
    "CumSum": _running(add, 0.0),
    "Hardmax": _softmaxes(_hardmax),
    "LogSoftmax": _softmaxes(_log_softmax),
    "LpNormalization": _lp_normalization,
    "ReduceL1": _reduction("sum", before=abs),
    "ReduceL2": _reduction("sum", before=square, after=sqrt),
    "ReduceLogSum": _reduction("sum", after=log),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": _reduction("max", after=lambda x: _endless(x, -1.0)),
    "ReduceMean": _reduction("mean"),
    "ReduceMin": _reduction("min", after=lambda x: _endless(x, 1.0)),
    "ReduceProd": _reduction("prod"),
    "ReduceSum": _reduction("sum"),
    "ReduceSumSquare": _reduction("sum", before=lambda x: mul(x, x)),
    "Softmax": _softmaxes(softmax),
}
