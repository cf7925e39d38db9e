"""Tensors of a function while it is traced, and how operators are written down.

A `@bm.function` runs once per shapes, as ordinary Python, on these; every operator adds a node to the graph that is being made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import EllipsisType
from typing import NamedTuple, NoReturn, TypeAlias, cast

import numpy as np

from bmlang.graph.dims import Dim, Recorder, Variation, is_one, recorder, recording, same_sizes, size_element
from bmlang.graph.graph import Array, Attribute, Graph, Node, unused_name
from bmlang.layers.base import HostUse, Layer
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError, OutsideFunctionError, ShapeError
from bmlang.layers.registry import layer_of
from tpukernel.dtypes import Dtype, DtypeNameError, dtype_of, f32
from tpukernel.lang.expr import Expr
from tpukernel.lang.signature import TensorSpec
from tpukernel.source import Position, assigned_name, position_of, user_frame

__all__ = ["Operand", "Span", "Tensor", "Tracer", "apply", "apply_many", "as_tensor", "here", "number_of", "span_of"]

PACKAGES = ("bmlang.layers", "bmlang.program", "bmlang.tpulang", "contextlib")
Operand: TypeAlias = "Tensor | Array | float | int | bool"
"""What an operator takes: a tensor of the function, a numpy array (which becomes a coefficient), or a number."""
Index: TypeAlias = "slice | int | EllipsisType"
"""What may stand between the brackets, per dimension."""


def here() -> Position:
    """The place in the user's source that is being executed."""
    return position_of(user_frame(PACKAGES))


@dataclass
class Tracer:
    """A graph in the making.

    Attributes:
        name: of the function.
        naming: what nodes that are added now are called; by default what their operator is called, and the variable that gets the result.
    """

    name: str
    inputs: list[str] = field(default_factory=list[str])
    specs: dict[str, TensorSpec] = field(default_factory=dict[str, TensorSpec])
    constants: dict[str, Array] = field(default_factory=dict[str, Array])
    nodes: list[Node] = field(default_factory=list[Node])
    node_names: set[str] = field(default_factory=set[str])
    naming: str | None = None
    _known: dict[int, tuple[object, str]] = field(default_factory=dict[int, tuple[object, str]])
    numbers: dict[str, Expr] = field(default_factory=dict[str, Expr])

    def input(self, name: str, spec: TensorSpec) -> Tensor:
        """A tensor that the caller gives."""
        self.inputs.append(name)
        self.specs[name] = spec
        return Tensor(self, name)

    def constant(self, value: Array, wanted: str = "constant") -> str:
        """The tensor of a value that is known; the same array is one tensor."""
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        name = unused_name(wanted, self.specs)
        self.specs[name] = TensorSpec(value.shape, dtype_of(value.dtype))
        self.constants[name] = value
        self._known[id(value)] = (value, name)
        return name

    def size(self, value: Dim, dtype: Dtype) -> str:
        """The constant of a size that varies."""
        name = self.constant(size_element(value, dtype if dtype.is_int or dtype.is_float else f32), "number")
        self.numbers[name] = value.expr
        return name

    def node(self, op: str, inputs: Sequence[str], specs: Sequence[TensorSpec], attrs: Mapping[str, Attribute]) -> list[Tensor]:
        """Add a node; its outputs are named after the variable that gets them, where there is one."""
        frame = user_frame(PACKAGES)
        name = unused_name(self.naming or op.rpartition("::")[2], self.node_names)
        self.node_names.add(name)
        wanted = self.naming or assigned_name(frame) or name
        outputs: list[str] = []
        for place, spec in enumerate(specs):
            output = unused_name(wanted if len(specs) == 1 else f"{name}_{place}", self.specs)
            self.specs[output] = spec
            outputs.append(output)
        self.nodes.append(Node(name, op, tuple(inputs), tuple(outputs), dict(attrs), position_of(frame)))
        return [Tensor(self, output) for output in outputs]

    def rename(self, tensor: Tensor, wanted: str, since: int) -> None:
        """Call a tensor otherwise, if a node from number `since` on makes it; what nodes before made keeps its name."""
        before = tensor.name
        if not any(before in node.outputs for node in self.nodes[since:]) or before == wanted:
            return
        name = unused_name(wanted, self.specs)
        self.specs[name] = self.specs.pop(before)
        for place, node in enumerate(self.nodes[since:], since):
            inputs = tuple(name if each == before else each for each in node.inputs)
            outputs = tuple(name if each == before else each for each in node.outputs)
            self.nodes[place] = replace(node, inputs=inputs, outputs=outputs)
        tensor.name = name

    def graph(self, outputs: Mapping[str, Tensor]) -> Graph:
        """The finished graph, in which the outputs have these names."""
        names = tuple(each.name for each in outputs.values())
        record = recorder()
        variation = Variation(dict(record.limits), tuple(record.guards.values()), self.numbers) if record else None
        return Graph(self.name, tuple(self.inputs), names, self.specs, self.constants, tuple(self.nodes), variation)


class Tensor:
    """A tensor of a function. Python's operators, comparisons and slices are the operators of the same meaning.

    Attributes:
        name: in the graph.
    """

    __slots__ = ("_tracer", "name")
    __array_ufunc__ = None  # numpy arrays leave the operators to us

    def __init__(self, tracer: Tracer, name: str) -> None:
        self._tracer = tracer
        self.name = name

    @property
    def tracer(self) -> Tracer:
        """The graph that it belongs to."""
        return self._tracer

    @property
    def spec(self) -> TensorSpec:
        """Shape and data type."""
        return self._tracer.specs[self.name]

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.spec.shape

    @property
    def dtype(self) -> Dtype:
        """Element type."""
        return self.spec.dtype

    @property
    def known(self) -> Array | None:
        """The value of a constant; None for every other tensor."""
        return self._tracer.constants.get(self.name)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])  # of a size that varies, Python's len() would forget that

    def __repr__(self) -> str:
        return f"{self.name} {self.dtype.name}{list(self.shape)}"

    def __bool__(self) -> NoReturn:
        raise OperatorArgumentError(
            f"the elements of {self!r} are not known while the function is traced",
            position=here(),
            help="choose elements with bm.where(condition, a, b)",
        )

    def __add__(self, other: Operand) -> Tensor:
        return apply("bm::add", self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return apply("bm::add", other, self)

    def __sub__(self, other: Operand) -> Tensor:
        return apply("bm::sub", self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return apply("bm::sub", other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return apply("bm::mul", self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return apply("bm::mul", other, self)

    def __truediv__(self, other: Operand) -> Tensor:
        return apply("bm::div", self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return apply("bm::div", other, self)

    def __neg__(self) -> Tensor:
        return apply("bm::neg", self)

    def __getitem__(self, index: Index | tuple[Index, ...]) -> Tensor:
        """A box, as in numpy: `x[:, 2:5, 0]`, `x[..., ::-2]`; a number drops its dimension."""
        return _box(self, index if isinstance(index, tuple) else (index,))

    def __abs__(self) -> Tensor:
        return apply("bm::abs", self)

    def __matmul__(self, other: Operand) -> Tensor:
        return apply("bm::matmul", self, other)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return apply("bm::matmul", other, self)

    def __pow__(self, other: Operand) -> Tensor:
        return apply("bm::pow", self, other)

    def __rpow__(self, other: Operand) -> Tensor:
        return apply("bm::pow", other, self)

    def __and__(self, other: Operand) -> Tensor:
        return apply("bm::bit_and", self, other)

    def __rand__(self, other: Operand) -> Tensor:
        return apply("bm::bit_and", other, self)

    def __or__(self, other: Operand) -> Tensor:
        return apply("bm::bit_or", self, other)

    def __ror__(self, other: Operand) -> Tensor:
        return apply("bm::bit_or", other, self)

    def __xor__(self, other: Operand) -> Tensor:
        return apply("bm::bit_xor", self, other)

    def __rxor__(self, other: Operand) -> Tensor:
        return apply("bm::bit_xor", other, self)

    def __invert__(self) -> Tensor:
        return apply("bm::bit_not", self)

    def __gt__(self, other: Operand) -> Tensor:
        return apply("bm::gt", self, other)

    def __ge__(self, other: Operand) -> Tensor:
        return apply("bm::ge", self, other)

    def __lt__(self, other: Operand) -> Tensor:
        return apply("bm::lt", self, other)

    def __le__(self, other: Operand) -> Tensor:
        return apply("bm::le", self, other)


class Span(NamedTuple):
    """Elements along a dimension: the first one, how many, and how far they are from each other; negative: backwards."""

    first: int
    size: int
    step: int


def _box(x: Tensor, index: tuple[Index, ...]) -> Tensor:
    dots = [place for place, each in enumerate(index) if each is Ellipsis]
    given = len(index) - len(dots)
    if given > x.ndim or len(dots) > 1:
        raise ShapeError(f"{given} indices for {x!r}, which has {x.ndim} dimensions", position=here(), help="leave out what is too much")
    missing = (slice(None),) * (x.ndim - given)
    full = (*index[: dots[0]], *missing, *index[dots[0] + 1 :]) if dots else (*index, *missing)
    spans = [span_of(x, axis, each) for axis, each in enumerate(full) if each is not Ellipsis]
    size = [span.size for span in spans]
    if any(span.step != 1 for span in spans):
        from bmlang.layers.rearrange import strided

        found = strided(x, spans)
    else:
        found = x if same_sizes(size, x.shape) else apply("bm::slice", x, start=[span.first for span in spans], size=size)
    kept = [count for count, each in zip(size, full, strict=True) if isinstance(each, slice)]
    return found if len(kept) == x.ndim else apply("bm::reshape", found, shape=kept or [1])


def span_of(x: Tensor, axis: int, index: Index) -> Span:
    """The elements along a dimension that an index takes.

    Raises:
        ShapeError: there are none.
    """
    size = x.shape[axis]
    if isinstance(index, slice):
        first, last, step = _limits(index, size) if isinstance(size, Dim) else index.indices(size)
        count = (last - first + step - 1) // step if step > 0 else (first - last - step - 1) // -step
        if last <= first if step > 0 else first <= last:
            raise ShapeError(f"an empty slice of dimension {axis} of {x!r}", position=here(), help="take one element or more")
        return Span(first, count, 1 if is_one(count) else step)
    if not isinstance(index, int) or not -size <= index < size:
        raise ShapeError(f"index {index!r} of dimension {axis} of {x!r}", position=here(), help=f"give a number below {size}, or a slice")
    return Span(index % size, 1, 1)


def _limits(index: slice, size: Dim) -> tuple[int, int, int]:
    """What `slice.indices` gives, of a size that varies."""
    step = cast("int", 1 if index.step is None else index.step)
    if step < 0:
        return index.indices(size)  # for this size only
    found: list[int] = []
    for value, default in ((cast("int | None", index.start), 0), (cast("int | None", index.stop), size)):
        place = default if value is None else value + size if value < 0 else value
        found.append(max(min(place, size), 0))
    return found[0], found[1], step


def apply(op: str, *inputs: Operand | None, **attrs: object) -> Tensor:
    """Add an operator with one output to the function that its tensors belong to; see `apply_many`."""
    (found,) = apply_many(op, *inputs, **attrs)
    return found


def apply_many(op: str, *inputs: Operand | None, **attrs: object) -> list[Tensor]:
    """Add an operator to the function that its tensors belong to.

    Args:
        op: name of the layer.
        inputs: its tensors in order; arrays and numbers become constants, numbers of the data type of the first tensor.
        attrs: its other arguments.

    Raises:
        OutsideFunctionError: there is no tensor of a function among the inputs.
        ShapeError, OperatorDtypeError, OperatorArgumentError: they do not fit.
    """
    layer = layer_of(op, here())
    tracer = next((each.tracer for each in inputs if isinstance(each, Tensor)), None)
    if tracer is None:
        raise OutsideFunctionError(f"{op} was called without a tensor of a function", position=here(), help="call it inside a @bm.function")
    values = attributes(layer, attrs)
    numbers = next(each.dtype for each in inputs if isinstance(each, Tensor))
    names = [
        name_of(tracer, each, numbers)
        for each in (*inputs, *(None,) * (sum(not name.endswith("*") for name in layer.inputs) - len(inputs)))
    ]
    specs = [tracer.specs[name] if name else None for name in names]
    check_inputs(layer, specs)
    with recording(None):  # what a layer decides by sizes it decides again for the real ones
        made = layer.infer(specs, values)
    outputs = [made] if isinstance(made, TensorSpec) else list(made)
    record = recorder()
    if record is not None:
        outputs = _found(record, layer, HostUse(tuple(specs), tuple(outputs), values, ((),) * len(specs)))
    return tracer.node(op, names, outputs, values)


def _found(record: Recorder, layer: Layer, use: HostUse) -> list[TensorSpec]:
    """The outputs of a layer, where sizes that depend on the data are variables."""
    outputs: list[TensorSpec] = []
    for spec, axes in zip(use.outputs, layer.bounded(use) or ((),) * len(use.outputs), strict=True):
        shape = list(spec.shape)
        for axis in axes:
            shape[axis] = record.variable(unused_name(f"{layer.name.rpartition('::')[2]}_found", record.limits), shape[axis])
        outputs.append(TensorSpec(tuple(shape), spec.dtype))
    return outputs


def attributes(layer: Layer, given: Mapping[str, object]) -> dict[str, Attribute]:
    """All arguments of a layer that are no tensors, lists as tuples.

    Raises:
        OperatorArgumentError: one is missing or unknown.
    """
    unknown = given.keys() - layer.defaults.keys()
    missing = [name for name, default in layer.defaults.items() if default is ... and name not in given]
    if unknown or missing:
        what = f"has no argument {', '.join(sorted(unknown))}" if unknown else f"needs {', '.join(missing)}"
        raise OperatorArgumentError(
            f"{layer.name} {what}", position=here(), help=f"its arguments are {', '.join(layer.defaults) or 'none'}"
        )
    return {name: _plain(given.get(name, default)) for name, default in layer.defaults.items()}


def _plain(value: object) -> Attribute:
    if isinstance(value, list | tuple):
        return tuple(_plain(each) for each in cast("Sequence[object]", value))
    return cast("Attribute", value.item()) if isinstance(value, np.generic) else cast("Attribute", value)


def check_inputs(layer: Layer, specs: Sequence[TensorSpec | None]) -> None:
    """There are as many inputs as the layer takes.

    Raises:
        OperatorArgumentError: otherwise.
    """
    variadic = bool(layer.inputs) and layer.inputs[-1].endswith("*")
    if not variadic and len(specs) > len(layer.inputs):
        raise OperatorArgumentError(f"{layer.name} takes {len(layer.inputs)} tensors, not {len(specs)}", position=here())
    for name, spec in zip(layer.inputs, specs, strict=False):
        if spec is None and not name.endswith(("?", "*")):
            raise OperatorArgumentError(f"{layer.name} needs {name}", position=here(), help=f"its tensors are {', '.join(layer.inputs)}")


def as_tensor(value: Operand, beside: Tensor) -> Tensor:
    """An operand as a tensor of the function that another one belongs to; numbers get its data type."""
    return value if isinstance(value, Tensor) else Tensor(beside.tracer, name_of(beside.tracer, value, beside.dtype))


def name_of(tracer: Tracer, value: Operand | None, numbers: Dtype) -> str:
    """The tensor that an operand is, made where it is a value."""
    if value is None:
        return ""
    if isinstance(value, Tensor):
        if value.tracer is not tracer:
            raise OperatorArgumentError(f"{value!r} belongs to another function", position=here(), help="give it as an argument")
        return value.name
    if isinstance(value, Dim):
        return tracer.size(value, numbers)
    if isinstance(value, bool | int | float):
        return tracer.constant(number_of(value, numbers), "number")
    array = np.asarray(value)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype == np.int64:
        array = _narrowed(array)
    try:
        dtype_of(array.dtype)
    except DtypeNameError:
        raise OperatorDtypeError(
            f"an array of {array.dtype}, which no TPU has", position=here(), help="convert it to a type like f32 or i32"
        ) from None
    return tracer.constant(array)


def _narrowed(array: Array) -> Array:
    narrow = array.astype(np.int32)
    if not np.array_equal(narrow, array):
        raise OperatorDtypeError("an array of int64 with numbers that i32 does not have", position=here(), help="use i32 or f32")
    return narrow


def number_of(value: float, dtype: Dtype) -> Array:
    """A number as a constant of a data type.

    Raises:
        OperatorDtypeError: integers of the type do not have it.
    """
    if dtype.is_int and (not float(value).is_integer() or not dtype.limits[0] <= value <= dtype.limits[1]):
        raise OperatorDtypeError(f"{value!r} is no {dtype.name}", position=here(), help="convert the tensor with bm.cast first")
    return np.asarray(value, (dtype if dtype.is_int or dtype.is_float else f32).numpy)
