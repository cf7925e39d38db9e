"""Nodes that compute with sizes that vary, as exporters write them: shapes taken apart, changed, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add, ge, gt, le, lt, mod, mul, sub
from typing import Final, TypeAlias, cast

import numpy as np

from bmlang.graph.dims import Dim
from bmlang.importers.onnx.elements import element_of
from bmlang.importers.onnx.node import NotSupported, OnnxNode, as_tensor
from bmlang.importers.onnx.values import Known, Live, Sizes, Value
from bmlang.layers.arrange import broadcast_to
from bmlang.layers.cumulate import cumsum

__all__ = ["computed", "known_sizes", "varying"]

Computation: TypeAlias = "Callable[[OnnxNode, Sequence[Sizes]], Sizes]"
"""The elements of the result, from those of the inputs."""


def known_sizes(sizes: Sequence[int] | Sizes) -> Known:
    """Sizes as what is known while importing."""
    elements = sizes if isinstance(sizes, np.ndarray) else _elements(sizes)
    return _known(elements, np.dtype(np.int64))


def varying(inputs: Sequence[Value | None]) -> bool:
    """Whether sizes that vary are among known inputs."""
    return any(isinstance(value, Known) and value.sizes is not None for value in inputs)


def computed(node: OnnxNode) -> Known | Live | None:
    """The result of a node that computes with sizes that vary; None where it only arranges a constant by them.

    Raises:
        NotSupported: nobody knows how sizes go through such a node.
    """
    given = [value for value in node.inputs if isinstance(value, Known)]
    op = node.proto.op_type
    if len(given) < sum(value is not None for value in node.inputs) or (op in ARRANGES and given[0].sizes is None):
        return None
    if op in TENSORS:
        return TENSORS[op](node, [_elements_of(value) for value in given])
    if op not in TABLE:
        raise NotSupported(f"{op} of sizes that vary")
    made = TABLE[op](node, [_elements_of(value) for value in given])
    return _known(made, _result_type(node, given))


def _elements(values: Sequence[object]) -> Sizes:
    """An array of Python's numbers; numpy would take the number that a size is at present."""
    found = np.empty(len(values), np.object_)
    for place, value in enumerate(values):
        found[place] = value
    return found


def _elements_of(value: Known) -> Sizes:
    if value.sizes is not None:
        return value.sizes
    return _elements(cast("list[object]", value.array.reshape(-1).tolist())).reshape(value.array.shape)


def _known(elements: Sizes, dtype: np.dtype[np.generic]) -> Known:
    flat = cast("list[int]", elements.reshape(-1).tolist())
    plain = np.array([int.__int__(each) if isinstance(each, Dim) else each for each in flat], dtype).reshape(elements.shape)
    return Known(plain, sizes=elements if any(isinstance(each, Dim) for each in flat) else None)


def _result_type(node: OnnxNode, given: Sequence[Known]) -> np.dtype[np.generic]:
    match node.proto.op_type:
        case "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Not" | "And" | "Or":
            return np.dtype(np.bool_)
        case "Cast":
            from onnx import helper

            return helper.tensor_dtype_to_np_dtype(node.integer("to"))
        case "Where":
            return given[1].array.dtype
        case _:
            return given[0].array.dtype


# ------------------------------------------------------------------ where elements go


def _axes(node: OnnxNode, arrays: Sequence[Sizes]) -> list[int] | None:
    """Dimensions that are an attribute in older opsets, and the second input in newer ones."""
    if "axes" in node.attributes:
        return node.integers("axes")
    return [int(each) for each in arrays[1].reshape(-1).tolist()] if len(arrays) > 1 else None


def _gather(node: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    made = cast("Sizes | int", np.take(arrays[0], arrays[1].astype(np.int64), node.integer("axis", 0)))
    return made if isinstance(made, np.ndarray) else _elements([made]).reshape(())


def _slice(node: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    x = arrays[0]
    starts, ends = (node.listed(name, place) or [] for name, place in (("starts", 1), ("ends", 2)))
    axes, steps = node.listed("axes", 3) or range(len(starts)), node.listed("steps", 4) or [1] * len(starts)
    chosen = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        chosen[axis] = slice(start, end, step)
    return x[tuple(chosen)]


def _concat(node: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    return np.concatenate(list(arrays), node.integer("axis"))


def _unsqueeze(node: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    return np.expand_dims(arrays[0], tuple(_axes(node, arrays) or ()))


def _squeeze(node: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    axes = _axes(node, arrays)
    return np.squeeze(arrays[0], None if axes is None else tuple(axes))


def _reshape(_: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    return arrays[0].reshape([int(each) for each in arrays[1].tolist()])


def _expand(_: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    wanted = [int(each) for each in arrays[1].tolist()]
    return np.broadcast_to(arrays[0], np.broadcast_shapes(arrays[0].shape, tuple(wanted)))


def _where(_: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    return np.where(arrays[0].astype(np.bool_), arrays[1], arrays[2])


def _same(_: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    return arrays[0]


def _converted(node: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    from onnx import helper

    kind = np.dtype(helper.tensor_dtype_to_np_dtype(node.integer("to"))).kind
    if kind not in "iuf":
        raise NotSupported("sizes that vary as booleans or strings")
    return arrays[0]  # sizes are integers, and stay so in floats until they are integers again


# ------------------------------------------------------------------ arithmetic


def _whole(value: object) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise NotSupported("sizes that vary times a number that is not whole")
    return value if isinstance(value, Dim) else int(cast("int", value))


def _elementwise(function: Callable[[int, int], object]) -> Computation:
    def compute(_: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
        pairs = np.broadcast(*arrays)
        made = [function(*map(_whole, cast("tuple[object, object]", pair))) for pair in pairs]
        return _elements(made).reshape(pairs.shape)

    return compute


def _times(_: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    """A half or a quarter of a size is a size, where no rest is left."""
    pairs = np.broadcast(*arrays)
    made = [_product(*cast("tuple[object, object]", pair)) for pair in pairs]
    return _elements(made).reshape(pairs.shape)


def _product(one: object, other: object) -> int:
    for size, factor in ((one, other), (other, one)):
        if isinstance(factor, float) and 0 < factor < 1 and (1 / factor).is_integer():
            return _quotient(_whole(size), int(1 / factor), exact=True)
    return _whole(one) * _whole(other)


def _quotient(one: int, other: int, *, exact: bool = False) -> int:
    """Integers are divided towards zero in ONNX, and floats have a rest, which a size has not."""
    if other <= 0 or one < 0 or (exact and one % other != 0):
        raise NotSupported(f"sizes that vary divided by {other}" + (", with a rest" if exact else ""))
    return one // other


def _divided(node: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    exact = any(isinstance(value, Known) and value.array.dtype.kind == "f" for value in node.inputs)
    return _elementwise(lambda one, other: _quotient(one, other, exact=exact))(node, arrays)


def _all_times(node: OnnxNode, arrays: Sequence[Sizes]) -> Sizes:
    if arrays[0].ndim != 1:
        raise NotSupported("a product of sizes that vary along several dimensions")
    made = reduce(mul, map(_whole, arrays[0].tolist()), 1)
    return _elements([made]).reshape((1,) if node.integer("keepdims", 1) else ())


# ------------------------------------------------------------------ tensors of such sizes


def _filled(node: OnnxNode, arrays: Sequence[Sizes]) -> Live:
    """A constant of a size that varies."""
    attribute = node.attributes.get("value")
    from onnx import numpy_helper

    value = np.zeros(1, np.float32) if attribute is None else numpy_helper.to_array(attribute.t)
    constant = as_tensor(node.tracer, value.reshape((1,) * arrays[0].size), "filled")
    return Live(broadcast_to(constant, arrays[0].tolist()), element_of(value))


def _counted(node: OnnxNode, arrays: Sequence[Sizes]) -> Live:
    """Start, start + delta, ... up to a limit that varies: sums of ones, which f32 has exactly up to 2**24."""
    start, limit, delta = (_whole(each.item()) for each in arrays)
    if isinstance(start, Dim) or isinstance(delta, Dim) or delta < 1:
        raise NotSupported(f"Range from {start} in steps of {delta} to a size that varies")
    count = (limit - start + delta - 1) // delta
    if count < 1 or start + delta * count > EXACT:
        raise NotSupported(f"Range up to {int.__int__(limit)}")
    ones = broadcast_to(as_tensor(node.tracer, np.ones(1, np.float32), "one"), [count])
    return node.typed(cumsum(ones, 0, exclusive=True) * float(delta) + float(start), node.element(0))


EXACT: Final = 1 << 24
"""Up to here f32 has every integer."""
TENSORS: Final[Mapping[str, Callable[[OnnxNode, Sequence[Sizes]], Live]]] = {"ConstantOfShape": _filled, "Range": _counted}
"""These make tensors of sizes that vary."""
ARRANGES: Final = frozenset({"Expand", "Reshape", "Slice", "Tile"})
"""Where only inputs behind the first one are sizes, these make a tensor."""
TABLE: Final[Mapping[str, Computation]] = {
    "Add": _elementwise(add),
    "Cast": _converted,
    "Ceil": _same,
    "Concat": _concat,
    "Div": _divided,
    "Equal": _elementwise(lambda one, other: one == other),
    "Expand": _expand,
    "Floor": _same,
    "Gather": _gather,
    "Greater": _elementwise(gt),
    "GreaterOrEqual": _elementwise(ge),
    "Less": _elementwise(lt),
    "LessOrEqual": _elementwise(le),
    "Max": _elementwise(max),
    "Min": _elementwise(min),
    "Mod": _elementwise(mod),
    "Mul": _times,
    "ReduceProd": _all_times,
    "Reshape": _reshape,
    "Round": _same,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _elementwise(sub),
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
"""How sizes go through a node. What is not here is refused where a size that varies comes to it."""
