"""Models from ONNX files, which `bm.compile` and `bm.function` take."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bmlang.graph.dims import Dim
from bmlang.graph.graph import Array
from bmlang.graph.text import plain_name
from bmlang.importers.onnx.elements import BOOL, ELEMENTS, Element
from bmlang.importers.onnx.errors import OnnxInputError, OnnxTypeError
from bmlang.importers.onnx.node import as_tensor
from bmlang.importers.onnx.reader import Source, read
from bmlang.importers.onnx.trace import Importer
from bmlang.importers.onnx.values import Items, Known, Live, Unknown, Value
from bmlang.layers.cast import cast
from bmlang.layers.tensor import Tensor
from tpukernel.dtypes import Dtype, u8
from tpukernel.lang.expr import Var
from tpukernel.lang.signature import TensorSpec

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

__all__ = ["OnnxModel", "load"]


class OnnxModel:
    """A model from an ONNX file. `bm.compile` takes it as it is; `bm.function(model)` is a function like any other.

    Args:
        source: the file.
        name: of the net; by default that of the file.
        shapes: of inputs, where the file leaves them open, or others than those of the file.
        values: inputs that are known: they become part of the model.

    Raises:
        OnnxInputError: an input of `shapes` or `values` does not exist.
    """

    def __init__(
        self,
        source: Source,
        name: str | None = None,
        shapes: Mapping[str, Sequence[int]] | None = None,
        values: Mapping[str, Array] | None = None,
    ) -> None:
        self.source = source
        self.name = name or source.name
        self._shapes = {key: tuple(shape) for key, shape in (shapes or {}).items()}
        self._values = {key: np.asarray(value) for key, value in (values or {}).items()}
        graph = source.model.graph
        constants = {each.name for each in graph.initializer}
        self._declared = {each.name: each for each in graph.input if each.name not in constants}
        self.inputs = tuple(name for name in self._declared if name not in self._values)
        self.outputs = tuple(each.name for each in graph.output)
        if unknown := [key for key in (*self._shapes, *self._values) if key not in self._declared]:
            raise OnnxInputError(
                f"{self.name} has no input {', '.join(map(repr, unknown))}", help=f"its inputs are {', '.join(self._declared) or 'none'}"
            )

    def __repr__(self) -> str:
        return f"<ONNX model {self.name}({', '.join(self.inputs)})>"

    @property
    def specs(self) -> dict[str, TensorSpec]:
        """Shape and data type of each input, as the file or `shapes` say; 64-bit integers are i32, booleans u8.

        Raises:
            OnnxInputError: a shape is open, or an input is no tensor.
            OnnxTypeError: the TPU has no type for an input.
        """
        return {name: TensorSpec(self._shape(self._declared[name]), _dtype_of(self._declared[name])) for name in self.inputs}

    @property
    def varying_specs(self) -> dict[str, TensorSpec]:
        """`specs` for a dynamic stage: what the file leaves open varies up to what `shapes` say, and sizes of one name are equal.

        Where the file leaves nothing open, or `shapes` says sizes with `upto`, it is `specs` as it is.

        Raises:
            OnnxInputError, OnnxTypeError: as of `specs`.
            FunctionArgumentError: a size is none.
        """
        specs = self.specs
        if any(isinstance(size, Dim) for each in specs.values() for size in each.shape):
            return specs
        return {name: TensorSpec(self._varying(self._declared[name], spec.shape), spec.dtype) for name, spec in specs.items()}

    def _varying(self, given: ValueInfoProto, sizes: tuple[int, ...]) -> tuple[int, ...]:
        declared = given.type.tensor_type.shape.dim
        if len(declared) != len(sizes):
            return sizes
        return tuple(
            size if dim.HasField("dim_value") or size == 1 else Dim(size, Var(plain_name(dim.dim_param) if dim.dim_param else ""))
            for dim, size in zip(declared, sizes, strict=True)
        )

    def _shape(self, given: ValueInfoProto) -> tuple[int, ...]:
        kind = given.type.tensor_type
        if given.name in self._shapes:
            return self._said(given, self._shapes[given.name])
        sizes = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim]
        if not kind.HasField("shape") or not all(isinstance(size, int) and size > 0 for size in sizes):
            told = f"[{', '.join(map(str, sizes))}]" if kind.HasField("shape") else "unknown"
            raise OnnxInputError(
                f"the shape of input {given.name!r} of {self.name} is {told}",
                help=f'say what it is: shapes={{"{given.name}": (1, ...)}}, on the command line --shapes [[1,...]]',
            )
        return tuple(int(size) for size in sizes)

    def _said(self, given: ValueInfoProto, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that was said, which may be of other sizes than the file has."""
        kind = given.type.tensor_type
        if kind.HasField("shape") and len(kind.shape.dim) != len(shape):
            declared = ", ".join(str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim)
            raise OnnxInputError(
                f"input {given.name!r} of {self.name} has the shape [{declared}] and not [{', '.join(map(str, shape))}]",
                help=f"give {len(kind.shape.dim)} sizes",
            )
        return shape

    def build(self, *tensors: Tensor) -> dict[str, Tensor]:
        """Write the model down in the function that these tensors belong to.

        Args:
            tensors: one for each of `inputs`.

        Returns:
            The outputs by name.

        Raises:
            UnsupportedNodesError: some nodes cannot be imported; all of them are listed.
            OnnxFileError, OnnxNodeError, OnnxTypeError, OnnxLimitError: the model is not as it must be.
        """
        if not tensors:
            raise OnnxInputError(f"{self.name} has no inputs, or all of them are known", help="what is known need not be computed by a TPU")
        tracer = tensors[0].tracer
        given: dict[str, Value] = {name: self._live(name, tensor) for name, tensor in zip(self.inputs, tensors, strict=True)}
        given |= {name: Known(value) for name, value in self._values.items()}
        made = Importer(self.source, tracer).outputs(given)
        found: dict[str, Tensor] = {}
        for name, value in zip(self.outputs, made, strict=True):
            if isinstance(value, Known) and value.sizes is not None:
                raise OnnxInputError(
                    f"output {name!r} of {self.name} has sizes that vary", help="leave it out, or compile for fixed shapes"
                )
            assert not isinstance(value, Items | Unknown)  # noqa: S101 - the importer has refused them
            if isinstance(value, Known) and not value.array.size:
                raise OnnxInputError(
                    f"output {name!r} of {self.name} has no elements", help="name the other outputs as those that you need"
                )
            found[name] = as_tensor(tracer, value.array, name) if isinstance(value, Known) else _output(value.tensor, value.element)
        return found

    def _live(self, name: str, tensor: Tensor) -> Live:
        wanted = _element(self._declared[name])
        if tensor.dtype != _dtype_of(self._declared[name]):
            raise OnnxInputError(
                f"input {name!r} of {self.name} is {wanted.name}, not {tensor.dtype.name}",
                help=f"give {_dtype_of(self._declared[name]).name}",
            )
        return Live(tensor, wanted)


def _output(tensor: Tensor, element: Element) -> Tensor:
    """An output in the type that stands for that of ONNX."""
    return cast(tensor, u8) if element is BOOL and tensor.dtype != u8 else tensor


def _element(given: ValueInfoProto) -> Element:
    number = int(given.type.tensor_type.elem_type)
    if not given.type.HasField("tensor_type") or number not in ELEMENTS:
        raise OnnxInputError(f"input {given.name!r} is no tensor", help="a model for a TPU has tensors as inputs")
    return ELEMENTS[number]


def _dtype_of(given: ValueInfoProto) -> Dtype:
    element = _element(given)
    if element.dtype is None:
        raise OnnxTypeError(f"input {given.name!r} is {element.name}, which no TPU has", help="export the model with 32-bit floats")
    return element.dtype


def load(
    source: str | os.PathLike[str] | bytes | ModelProto,
    shapes: Mapping[str, Sequence[int]] | None = None,
    *,
    name: str | None = None,
    values: Mapping[str, Array] | None = None,
) -> OnnxModel:
    """A model from an ONNX file.

    Args:
        source: the path of a file, its bytes, or a `ModelProto`. Only a model that is given by its path may have data beside it.
        shapes: of inputs, where the file leaves them open, or others than those of the file.
        name: of the net; by default that of the file.
        values: inputs whose numbers are known when the model is compiled: they become part of it.

    Raises:
        OnnxMissingError: the package `onnx` is not installed.
        OnnxFileError: it is no ONNX model.
        OnnxLimitError: it is too large.
        OnnxInputError: an input of `shapes` or `values` does not exist.
        OSError: the file cannot be read.
    """
    return OnnxModel(read(source), name, shapes, values)
