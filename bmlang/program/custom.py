"""`layer`: functions and kernels of users become operators, which are used and compiled as the built-in ones."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bmlang.graph.graph import Attribute, Graph
from bmlang.host import host_layer
from bmlang.layers.base import Layer
from bmlang.layers.custom import FunctionLayer, GraphLayer, Infer, KernelLayer, OnHost, Operator, Reference, defaults_of
from bmlang.layers.errors import LayerDefinitionError
from bmlang.layers.registry import add
from bmlang.program.function import Function
from bmlang.program.signature import Signature
from tpukernel.dtypes import DTYPES, Dtype, dtype_of
from tpukernel.lang.kernel import Kernel
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.text.reading import load
from tpukernel.source import user_frame

__all__ = ["layer"]


def layer(
    name: str,
    *,
    inputs: Sequence[str] | None = None,
    infer: Infer | None = None,
    reference: Reference | None = None,
    kernel: Kernel | str | os.PathLike[str] | None = None,
    dtypes: Sequence[Dtype | str] | None = None,
    cpu: bool = False,
    bounded: Sequence[Sequence[int]] = (),
) -> Callable[[Function | Kernel | Callable[..., object]], Operator]:
    """Decorator: what it stands before becomes a layer, and the name an operator for functions. It may stand before

    * a `@bm.function`: the layer is made of other layers. `reference` may be left out.
    * a `@tpukernel.kernel`, or a kernel that was loaded from text: the kernel computes the layer; `reference` says what that is in numpy.
    * with `kernel`: an ordinary Python function, which is the reference.
    * with `cpu`: an ordinary Python function, which is the reference and what the host computes, between commands of the TPU.

    What the host computes is not in a BModel: the file names the layer, and a process that runs it has to import what registers it.

    Args:
        name: `domain::name`; the domain is yours.
        inputs: names of the tensors, by default those of the function or kernel.
        infer: from the specs of the inputs and the arguments to those of the outputs; by default what the kernel says.
        reference: from arrays (floats as float64) and those of the arguments that it has to an array, or to one for each output, as
            exactly as numpy has it.
        kernel: the kernel, or the file (`.tpuk`) that holds it alone.
        dtypes: data types that the layer is computed in, all by default. Floats of other types are computed as f32, also in the modes
            "f16" and "bf16": a kernel with functions of f32 says `dtypes=["f32"]`.
        cpu: the host computes the layer with its reference; where there is a kernel, only for inputs of other data types than `dtypes`.
        bounded: for each output of a layer without a kernel the dimensions whose sizes depend on data; `infer` gives the largest.

    Raises:
        LayerDefinitionError: something is missing, or does not fit together.
        LayerNameError: the name has no domain, or belongs to another module.
        KernelError, OSError: a file has no kernel, or cannot be read.
    """

    def decorate(given: Function | Kernel | Callable[..., object]) -> Operator:
        known = tuple(DTYPES.values()) if dtypes is None else tuple(map(dtype_of, dtypes))
        if bounded and (not cpu or kernel is not None or isinstance(given, Function | Kernel)):
            raise LayerDefinitionError(f"the TPU computes layer {name}, but its sizes depend on data", help="only the host can: cpu=True")
        if isinstance(given, Function):
            if cpu:
                raise LayerDefinitionError(f"layer {name} is made of other layers, which say where they run", help="leave cpu= out")
            made = _graph_layer(name, given, inputs, reference, known)
            if kernel is not None or infer is not None:
                raise LayerDefinitionError(f"layer {name} is a function and has a kernel or infer", help="a function says both itself")
        elif isinstance(given, Kernel):
            if kernel is not None:
                raise LayerDefinitionError(f"layer {name} has two kernels", help="leave kernel= out")
            made = _kernel_layer(name, given, inputs, infer, reference, known, cpu)
        elif cpu and kernel is None:
            made = _function_layer(name, given, inputs, infer, reference, known, bounded)
        else:
            if kernel is None or reference is not None:
                raise LayerDefinitionError(
                    f"layer {name} is a Python function, which is its reference, and needs a kernel alone",
                    help="give kernel= or cpu=, or put @bm.function or @tpukernel.kernel between",
                )
            computed = kernel if isinstance(kernel, Kernel) else load(Path(kernel))
            made = _kernel_layer(name, computed, inputs, infer, given, known, cpu)
        if cpu:
            host_layer(name, OnHost(made))
        add(made, str(user_frame(("bmlang",)).f_globals.get("__name__", "")))
        return Operator(made, getattr(given, "__doc__", None))

    return decorate


@dataclass(frozen=True)
class _Traced:
    """The graph of a function for specs and keywords."""

    function: Function

    def __call__(self, specs: Mapping[str, TensorSpec], attrs: Mapping[str, Attribute]) -> Graph:
        return self.function.traced(specs, **attrs)


def _graph_layer(
    name: str, function: Function, inputs: Sequence[str] | None, reference: Reference | None, dtypes: tuple[Dtype, ...]
) -> Layer:
    signature = function.signature
    if inputs is not None and tuple(inputs) != signature.inputs:
        raise LayerDefinitionError(f"layer {name} has the inputs {', '.join(signature.inputs)}", help="leave inputs= out")
    defaults = defaults_of(name, signature.defaults)
    return GraphLayer(name=name, inputs=signature.inputs, defaults=defaults, dtypes=dtypes, numpy=reference, trace=_Traced(function))


def _kernel_layer(
    name: str,
    kernel: Kernel,
    inputs: Sequence[str] | None,
    infer: Infer | None,
    reference: Reference | None,
    dtypes: tuple[Dtype, ...],
    cpu: bool,
) -> Layer:
    signature = kernel.signature
    if reference is None:
        raise LayerDefinitionError(
            f"layer {name} has no reference", help="give reference=, a numpy function: it says what the kernel computes"
        )
    if changed := [tensor for tensor, direction in signature.tensors.items() if direction == "inout"]:
        raise LayerDefinitionError(
            f"the kernel of layer {name} changes {', '.join(changed)}", help="layers have inputs and outputs: In, Out"
        )
    if not signature.inputs or not signature.outputs:
        raise LayerDefinitionError(f"the kernel of layer {name} has no {'output' if signature.inputs else 'input'}", help="add one")
    names = tuple(inputs or signature.inputs)
    if len(names) != len(signature.inputs):
        raise LayerDefinitionError(
            f"layer {name} has {len(names)} inputs, its kernel {len(signature.inputs)}", help="give a name for each In"
        )
    defaults = defaults_of(name, signature.defaults)
    numpy = _chosen(name, reference, names, defaults)
    return KernelLayer(name=name, inputs=names, defaults=defaults, dtypes=dtypes, numpy=numpy, specs=infer, kernel=kernel, cpu=cpu)


def _function_layer(
    name: str,
    function: Reference,
    inputs: Sequence[str] | None,
    infer: Infer | None,
    reference: Reference | None,
    dtypes: tuple[Dtype, ...],
    bounded: Sequence[Sequence[int]],
) -> Layer:
    """A Python function for the host: `def name(x, y, *, keyword=1.0)`, arrays in, arrays out."""
    if infer is None or reference is not None:
        raise LayerDefinitionError(
            f"layer {name} runs on the host and {'has another reference' if reference else 'does not say what it makes'}",
            help="the function itself is the reference" if reference else "give infer=: from specs of inputs to those of outputs",
        )
    signature = Signature.of(function)
    names = tuple(inputs or signature.inputs)
    if len(names) != len(signature.inputs):
        raise LayerDefinitionError(f"layer {name} has {len(names)} inputs, its function {len(signature.inputs)}", help="name each one")
    defaults = defaults_of(name, signature.defaults)
    bounds = tuple(tuple(axes) for axes in bounded)
    return FunctionLayer(name=name, inputs=names, defaults=defaults, dtypes=dtypes, numpy=function, specs=infer, bounds=bounds)


@dataclass(frozen=True)
class _Chosen:
    """A function that gets those of some keywords that it has: how a kernel cuts its work does not matter to the reference."""

    function: Reference
    keywords: frozenset[str]

    def __call__(self, *arrays: object, **keywords: object) -> object:
        return self.function(*arrays, **{key: value for key, value in keywords.items() if key in self.keywords})


def _chosen(name: str, reference: Reference, inputs: Sequence[str], defaults: Mapping[str, object]) -> Reference:
    """The reference, called with the keywords of the kernel."""
    try:
        signature = inspect.signature(reference)
    except ValueError:  # a built-in function, whose parameters nobody knows
        return _Chosen(reference, frozenset())
    parameters = signature.parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return reference
    taken = frozenset(parameter.name for parameter in parameters) & defaults.keys()
    try:
        signature.bind(*inputs, **dict.fromkeys(taken))
    except TypeError as error:
        raise LayerDefinitionError(
            f"the reference of layer {name} cannot be called with {', '.join([*inputs, *defaults])}: {error}",
            help="it takes an array for each input, then keywords of the kernel",
        ) from None
    return _Chosen(reference, taken)
