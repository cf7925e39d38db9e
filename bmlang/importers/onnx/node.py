"""A node of an ONNX graph as those who import it see it: its values, and its attributes with their types checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from bmlang.graph.graph import Array
from bmlang.importers.onnx.elements import BOOL, Element, element_of_dtype, narrowed
from bmlang.importers.onnx.errors import OnnxNodeError
from bmlang.importers.onnx.values import Items, Known, Live, Quantised, Unknown, Value, shape_of
from bmlang.layers.cast import cast
from bmlang.layers.shape import reshape
from bmlang.layers.tensor import Tensor, Tracer, here
from tpukernel.dtypes import Dtype, f32

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, NodeProto

__all__ = ["Handler", "NeedsValue", "NotSupported", "OnnxNode", "Result", "as_tensor"]

Result: TypeAlias = "Tensor | Array | Value | Sequence[Tensor | Array | Value | None] | None"
"""What a node makes: one output, or several. A tensor has the type of the first input where both are of one data type."""
Handler: TypeAlias = "Callable[[OnnxNode], Result]"
"""Writes a node down in the function that is being traced."""


class NotSupported(Exception):  # noqa: N818 - it is no error: it is collected, and all of them make one
    """A node cannot be imported; the argument says why."""


def as_tensor(tracer: Tracer, array: Array, name: str) -> Tensor:
    """A constant that is called like this.

    Raises:
        OnnxTypeError: the TPU has no type for it.
        NotSupported: it has no elements.
    """
    if array.size == 0:
        raise NotSupported(f"{name!r} has no elements")
    return Tensor(tracer, tracer.constant(narrowed(array, repr(name)), name or "constant"))


class NeedsValue(NotSupported):
    """A node needs the numbers of a tensor when the model is compiled.

    Args:
        name: what the node calls it.
        tensor: the tensor.
    """

    def __init__(self, name: str, tensor: Tensor) -> None:
        super().__init__(f"input {name!r} has to be known when the model is compiled")
        self.tensor = tensor


@dataclass(frozen=True)
class OnnxNode:
    """A node at work.

    Attributes:
        proto: as it is in the file.
        opset: version of the operators of its domain.
        inputs: its values, None for those that are absent.
        tracer: the function that is being traced.
        attributes: by name.
        run: imports a graph inside of the node, with these values for its inputs, and gives its outputs.
    """

    proto: NodeProto
    opset: int
    inputs: tuple[Value | None, ...]
    tracer: Tracer
    attributes: Mapping[str, AttributeProto]
    run: Callable[[GraphProto, Sequence[Value | None]], list[Value]]

    # ------------------------------------------------------------------ inputs

    def has(self, index: int) -> bool:
        """Whether there is such an input."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> Known | Live | Quantised:
        """An input that is a tensor.

        Raises:
            OnnxNodeError: it is absent, or no tensor.
        """
        found = self.inputs[index] if self.has(index) else None
        if found is None or isinstance(found, Items | Unknown):
            self.wrong(f"input {index} is {'missing' if found is None else 'no tensor'}")
        return found

    def tensor(self, index: int) -> Tensor:
        """An input as a tensor of the function."""
        found = self.value(index)
        if not isinstance(found, Known):
            return found.tensor
        return as_tensor(self.tracer, found.array, self.proto.input[index]) if found.sizes is None else self._size_tensor(found)

    def _size_tensor(self, found: Known) -> Tensor:
        """A size that varies as a constant."""
        dtype = found.element.dtype
        if found.array.size != 1 or dtype is None or found.sizes is None:
            raise NotSupported("several sizes that vary as a tensor")
        number = Tensor(self.tracer, self.tracer.size(found.sizes.reshape(-1)[0], dtype))
        return reshape(number, (1,) * found.array.ndim) if found.array.ndim else number

    def optional(self, index: int) -> Tensor | None:
        """An input as a tensor; None where it is absent."""
        return self.tensor(index) if self.has(index) else None

    def floats(self, index: int, dtype: Dtype = f32) -> Tensor:
        """An input as a tensor of a data type, whatever integers or booleans it was."""
        found = self.tensor(index)
        return found if found.dtype == dtype else cast(found, dtype)

    def known(self, index: int) -> Array:
        """An input whose numbers have to be known.

        Raises:
            NotSupported: they are not.
        """
        found = self.value(index)
        if not isinstance(found, Known):
            raise NeedsValue(self.proto.input[index], found.tensor)
        if found.sizes is not None:
            raise NotSupported(f"input {self.proto.input[index]!r} is a size that varies")
        return found.array

    def optional_known(self, index: int) -> Array | None:
        """An input whose numbers have to be known; None where it is absent."""
        return self.known(index) if self.has(index) else None

    def shape(self, index: int) -> tuple[int, ...]:
        """The shape of an input."""
        return shape_of(self.value(index))

    def element(self, index: int) -> Element:
        """The element type of an input."""
        return self.value(index).element

    def is_bool(self, index: int) -> bool:
        """Whether an input holds booleans."""
        return self.element(index) is BOOL

    @property
    def outputs(self) -> int:
        """How many outputs are used, up to the last one that is."""
        return max((place for place, name in enumerate(self.proto.output, 1) if name), default=0)

    def wants(self, index: int) -> bool:
        """Whether an output is used."""
        return index < len(self.proto.output) and bool(self.proto.output[index])

    # ------------------------------------------------------------------ attributes

    def integer(self, name: str, default: int | None = None) -> int:
        """An attribute that is an integer."""
        found = self._attribute(name, 2, default is not None)
        return int(found.i) if found is not None else default or 0

    def number(self, name: str, default: float | None = None) -> float:
        """An attribute that is a number."""
        found = self._attribute(name, 1, default is not None)
        return float(found.f) if found is not None else default or 0.0

    def text(self, name: str, default: str | None = None) -> str:
        """An attribute that is a string."""
        found = self._attribute(name, 3, default is not None)
        return found.s.decode(errors="replace") if found is not None else default or ""

    def integers(self, name: str, default: Sequence[int] | None = None) -> list[int]:
        """An attribute that is a list of integers."""
        found = self._attribute(name, 7, default is not None)
        return list(found.ints) if found is not None else list(default or ())

    def numbers(self, name: str, default: Sequence[float] | None = None) -> list[float]:
        """An attribute that is a list of numbers."""
        found = self._attribute(name, 6, default is not None)
        return list(found.floats) if found is not None else list(default or ())

    def texts(self, name: str, default: Sequence[str] | None = None) -> list[str]:
        """An attribute that is a list of strings."""
        found = self._attribute(name, 8, default is not None)
        return [each.decode(errors="replace") for each in found.strings] if found is not None else list(default or ())

    def graph(self, name: str) -> GraphProto:
        """An attribute that is a graph."""
        found = self._attribute(name, 5, optional=False)
        assert found is not None  # noqa: S101
        return found.g

    def listed(self, name: str, index: int) -> list[int] | None:
        """Integers that are an attribute in older opsets and an input in newer ones; None where they are neither."""
        if name in self.attributes:
            return self.integers(name)
        return self.sizes(index) if self.has(index) else None

    def sizes(self, index: int) -> list[int]:
        """Integers of an input that have to be known; those that are sizes may vary."""
        found = self.value(index)
        if isinstance(found, Known) and found.sizes is not None:
            return list(found.sizes.reshape(-1))
        return [int(each) for each in self.known(index).reshape(-1)]

    def axis(self, default: int | None = None, name: str = "axis", rank: int | None = None) -> int:
        """An attribute that is a dimension of the first input, counted from the front."""
        size = len(self.shape(0)) if rank is None else rank
        found = self.integer(name, default)
        if not -size <= found < max(size, 1):
            self.wrong(f"{name} {found} of a tensor of {size} dimensions")
        return found % max(size, 1)

    def _attribute(self, name: str, kind: int, optional: bool) -> AttributeProto | None:
        found = self.attributes.get(name)
        if found is None and not optional:
            self.wrong(f"attribute {name} is missing")
        if found is not None and found.type != kind:
            self.wrong(f"attribute {name} is of another type than the operator demands")
        return found

    # ------------------------------------------------------------------ results

    def boolean(self, tensor: Tensor) -> Live:
        """A tensor of 0 and 1 as booleans."""
        return Live(tensor, BOOL)

    def typed(self, tensor: Tensor, element: Element) -> Live:
        """A tensor as one of an element type, converted where the TPU has another type for that."""
        assert element.dtype is not None  # noqa: S101
        return Live(tensor if tensor.dtype == element.dtype else cast(tensor, element.dtype), element)

    def values_of(self, made: Result) -> list[Value]:
        """What a handler made as one value for each output."""
        return [self._value(each) for each in made] if isinstance(made, Sequence) else [self._value(made)]

    def _value(self, made: Tensor | Array | Value | None) -> Value:
        if made is None:
            return Unknown()
        if isinstance(made, Tensor):
            return Live(made, self._element(made))
        return made if isinstance(made, Known | Live | Quantised | Items | Unknown) else Known(made)

    def _element(self, made: Tensor) -> Element:
        first = self.inputs[0] if self.inputs else None
        if isinstance(first, Live) and first.tensor.dtype == made.dtype:
            return first.element
        if isinstance(first, Known) and first.element.dtype == made.dtype:
            return first.element
        return element_of_dtype(made.dtype)

    def wrong(self, what: str) -> NoReturn:
        """The node is not what its operator demands.

        Raises:
            OnnxNodeError: always.
        """
        raise OnnxNodeError(f"{self.proto.op_type}: {what}", position=here())
