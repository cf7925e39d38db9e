"""Layers made of a kernel or of other layers, and operators that stand for layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import numpy as np

from bmlang.graph.dims import has_dims
from bmlang.graph.graph import Array, Attribute, Graph
from bmlang.host import HostLayer, HostLayerError
from bmlang.host.layers import LAYER
from bmlang.layers.base import Bounds, Call, HostCall, HostUse, Layer
from bmlang.layers.errors import LayerDefinitionError, OperatorArgumentError, ShapeError
from bmlang.layers.reference import rounded, run_reference
from bmlang.layers.system import System
from bmlang.layers.tensor import Operand, Tensor, apply_many, here
from tpukernel.dtypes import DTYPES, Dtype
from tpukernel.errors import TpuError
from tpukernel.lang.builder import Builder
from tpukernel.lang.definition import FunctionDefinition
from tpukernel.lang.expr import Var, evaluate, variables
from tpukernel.lang.ir import Param
from tpukernel.lang.kernel import Kernel
from tpukernel.lang.signature import TensorSpec

__all__ = ["FunctionLayer", "GraphLayer", "KernelLayer", "OnHost", "Operator", "Reference", "TextKernelLayer", "defaults_of"]

Reference: TypeAlias = Callable[..., object]
"""From arrays (floats as float64) and the other arguments to an array, or to a sequence of them."""
Infer: TypeAlias = Callable[..., TensorSpec | Sequence[TensorSpec]]
"""From the specs of the inputs and the other arguments to those of the outputs."""
PLAIN = (bool, int, float, str, Dtype, type(None))


@dataclass(frozen=True, kw_only=True)
class _Custom(Layer):
    """What layers of users have in common.

    Attributes:
        name, inputs, defaults, dtypes: as of `Layer`.
        numpy: what it computes.
        specs: the outputs, where the layer does not know them itself.
    """

    name: str
    inputs: tuple[str, ...]
    defaults: Mapping[str, object] = field()
    dtypes: tuple[Dtype, ...] = tuple(DTYPES.values())
    numpy: Reference | None = None
    specs: Infer | None = None

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array | Sequence[Array]:
        assert self.numpy is not None  # noqa: S101
        found = self.numpy(*(None if array is None else _wide(array) for array in inputs), **attrs)
        return [np.asarray(each) for each in cast("Sequence[object]", found)] if isinstance(found, tuple | list) else np.asarray(found)


def _wide(array: Array) -> Array:
    return array if np.issubdtype(array.dtype, np.integer) or array.dtype == np.bool_ else array.astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class FunctionLayer(_Custom):
    """A layer that a numpy function of the process computes, on the host.

    Attributes:
        bounds: for each output the dimensions whose sizes depend on data.
    """

    bounds: tuple[Bounds, ...] = ()

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec | Sequence[TensorSpec]:
        assert self.specs is not None  # noqa: S101
        return self.specs(*(spec for spec in inputs if spec is not None), **attrs)

    def host(self, use: HostUse) -> HostCall:
        return named_call(self.name, use)

    def bounded(self, use: HostUse) -> Sequence[Bounds]:
        return [*self.bounds, *[()] * (len(use.outputs) - len(self.bounds))]


def named_call(name: str, use: HostUse) -> HostCall:
    """The operator of the host that a layer of a user is."""
    return HostCall(LAYER, HostLayer(name, tuple(spec.dtype for spec in use.outputs), use.attrs).data())


@dataclass(frozen=True)
class OnHost:
    """What the host does for a layer of a user: its reference, rounded to the data types of the outputs."""

    layer: Layer

    def __call__(self, wanted: HostLayer, inputs: Sequence[Array]) -> Sequence[Array]:
        with np.errstate(all="ignore"):
            made = self.layer.reference([array.copy() for array in inputs], wanted.attrs)
        arrays = [made] if isinstance(made, np.ndarray | np.generic) else list(made)
        if len(arrays) != len(wanted.outputs):
            raise HostLayerError(f"host layer {wanted.name} gives {len(arrays)} outputs, the model has {len(wanted.outputs)}")
        return [rounded(np.asarray(array), dtype) for array, dtype in zip(arrays, wanted.outputs, strict=True)]


@dataclass(frozen=True, kw_only=True)
class KernelLayer(_Custom):
    """A layer that is a kernel on tensors in system memory.

    Attributes:
        kernel: in Python or as text.
        cpu: the host computes what has other data types than `dtypes`.
    """

    kernel: Kernel
    cpu: bool = False
    own_lines = True

    def host(self, use: HostUse) -> HostCall | None:
        known = all(spec is None or spec.dtype in self.dtypes for spec in use.inputs)
        return named_call(self.name, use) if self.cpu and not known else None

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec | Sequence[TensorSpec]:
        given = {name: spec for name, spec in zip(self.kernel.signature.inputs, inputs, strict=True) if spec is not None}
        if self.specs is not None:
            return self.specs(*given.values(), **attrs)
        definition = self.kernel.definition
        try:
            found = definition.specs(
                {name: spec.shape for name, spec in given.items()},
                {name: spec.dtype for name, spec in given.items()},
                definition.keywords(attrs),
            )
        except TpuError as error:
            raise ShapeError(f"{self.name}: {error.message}", position=here(), help=error.help) from error
        outputs = [found[name] for name in self.kernel.signature.outputs]
        return _said(self.kernel, given, outputs, attrs) if any(has_dims(spec.shape) for spec in given.values()) else outputs

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        tensors = {"in": iter(ins), "out": iter(outs)}
        given = [cast("System", next(tensors[direction])).tensor for direction in self.kernel.signature.tensors.values()]
        self.kernel.emit(k, *given, **call.attrs)


def _said(
    kernel: Kernel, given: Mapping[str, TensorSpec], outputs: Sequence[TensorSpec], attrs: Mapping[str, Attribute]
) -> Sequence[TensorSpec]:
    """The outputs of a kernel for sizes that vary: what its text says about them."""
    definition = kernel.definition
    if isinstance(definition, FunctionDefinition):
        return outputs
    params = {param.name: param for param in definition.open_params(str, 4, None, definition.keywords(attrs))}
    sizes: dict[str, int] = {}
    for name, spec in given.items():
        sizes.update((size.name, number) for size, number in zip(params[name].shape, spec.shape, strict=True) if isinstance(size, Var))
    first = next(iter(given.values())).shape
    found: list[TensorSpec] = []
    for name, spec in zip(kernel.signature.outputs, outputs, strict=True):
        known = {each for size in params[name].shape for each in variables(size)} <= sizes.keys()
        found.append(TensorSpec(tuple(evaluate(size, sizes) for size in params[name].shape) if known else first, spec.dtype))
    return found


@dataclass(frozen=True, kw_only=True)
class TextKernelLayer(KernelLayer):
    """A layer of a dynamic model: a kernel as text, for given data types and arguments."""

    @classmethod
    def of(cls, name: str, kernel: Kernel) -> TextKernelLayer:
        """The layer of a kernel.

        Raises:
            CallError: the kernel takes something else than tensors.
        """
        types = tuple(dict.fromkeys(spec.dtype for spec in _open(kernel)))
        return cls(name=name, inputs=tuple(kernel.signature.inputs), defaults={}, dtypes=types, kernel=kernel)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> Sequence[TensorSpec]:
        """The shapes that the kernel says. Data types are those of the graph, of which the kernel may compute some in others."""
        given = {name: spec for name, spec in zip(self.kernel.signature.inputs, inputs, strict=True) if spec is not None}
        try:
            found = self.kernel.definition.specs(
                {name: spec.shape for name, spec in given.items()}, None, self.kernel.definition.keywords({})
            )
        except TpuError as error:
            raise ShapeError(f"{self.name}: {error.message}", position=here(), help=error.help) from error
        told = {found[name].dtype: spec.dtype for name, spec in given.items()}
        outputs = (found[name] for name in self.kernel.signature.outputs)
        return [TensorSpec(spec.shape, told.get(spec.dtype, spec.dtype)) for spec in outputs]

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Sequence[Array]:
        """What the kernel computes: a file has no numpy function."""
        arrays = [rounded(array, param.dtype) for array, param in zip(inputs, _open(self.kernel), strict=False) if array is not None]
        return list(self.kernel.run(*arrays, check=False).values())


def _open(kernel: Kernel) -> Sequence[Param]:
    """The tensors of a kernel that is a text, inputs first."""
    definition = kernel.definition
    params = definition.open_params(str, 4, None, definition.keywords({}))
    return sorted(params, key=lambda param: param.direction == "out")


@dataclass(frozen=True, kw_only=True)
class GraphLayer(_Custom):
    """A layer that is a graph of other layers.

    Attributes:
        trace: the graph for specs of the inputs by name and the other arguments.
    """

    trace: Callable[[Mapping[str, TensorSpec], Mapping[str, Attribute]], Graph]

    def expand(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> Graph:
        given = {name: spec for name, spec in zip(self.inputs, inputs, strict=True) if spec is not None}
        return self.trace(given, attrs)

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> Sequence[TensorSpec]:
        graph = self.expand(inputs, attrs)
        return [graph.specs[name] for name in graph.outputs]

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array | Sequence[Array]:
        if self.numpy is not None:
            return super().reference(inputs, attrs)
        arrays = {name: array for name, array in zip(self.inputs, inputs, strict=True) if array is not None}
        specs = [TensorSpec(array.shape, _dtype(array)) for array in arrays.values()]
        graph = self.expand(specs, attrs)
        values = run_reference(graph, arrays)
        return [values[name] for name in graph.outputs]


def _dtype(array: Array) -> Dtype:
    return next(dtype for dtype in DTYPES.values() if dtype.numpy == array.dtype)


def defaults_of(name: str, given: Mapping[str, object]) -> dict[str, object]:
    """The keywords of a layer from those of a function: `...` where there is no default.

    Raises:
        LayerDefinitionError: a default is no plain value.
    """
    for key, value in given.items():
        if value is not inspect.Parameter.empty and not isinstance(value, (*PLAIN, tuple)):
            raise LayerDefinitionError(
                f"{key} of layer {name} is {value!r} by default",
                help="arguments of layers are numbers, strings, data types, or tuples of them",
            )
    return {key: ... if value is inspect.Parameter.empty else value for key, value in given.items()}


class Operator:
    """A layer as a function on tensors of a `@bm.function`.

    Attributes:
        layer: what it stands for.
    """

    def __init__(self, layer: Layer, doc: str | None = None) -> None:
        self.layer = layer
        self.__name__ = layer.name.rpartition("::")[2]
        self.__doc__ = doc

    def __repr__(self) -> str:
        return f"<operator {self.layer.name}({', '.join([*self.layer.inputs, *self.layer.defaults])})>"

    def __call__(self, *tensors: Operand | None, **arguments: object) -> Tensor:
        """Add the layer to the function that its tensors belong to.

        Args:
            tensors: its inputs in order.
            arguments: inputs by name, and its other arguments.

        Returns:
            The output; a tuple of tensors where the layer has several.

        Raises:
            OutsideFunctionError: there is no tensor of a function among the inputs.
            ShapeError, OperatorDtypeError, OperatorArgumentError: they do not fit.
        """
        names = [name.rstrip("?*") for name in self.layer.inputs]
        if twice := [name for name in names[: len(tensors)] if name in arguments]:
            raise OperatorArgumentError(f"{self.layer.name} got {', '.join(twice)} twice", position=here(), help="give it once")
        placed = [*tensors, *(arguments.get(name) for name in names[len(tensors) :])]
        attrs = {name: value for name, value in arguments.items() if name not in names}
        found = apply_many(self.layer.name, *cast("list[Operand | None]", placed), **attrs)
        return found[0] if len(found) == 1 else cast("Tensor", tuple(found))
