"""`@function`: a Python function on tensors becomes a program for the TPU."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast, overload

import numpy as np
from numpy.typing import NDArray

from bmlang.bmodel import BModel
from bmlang.compiler.pipeline import compile_graph
from bmlang.graph.graph import Array, Graph, Node, unused_name
from bmlang.layers.reference import run_reference
from bmlang.layers.tensor import Tensor, Tracer, here
from bmlang.program.errors import FunctionArgumentError, FunctionResultError, FunctionSignatureError
from bmlang.program.package import package
from bmlang.runtime import Runtime
from tpukernel.chips.chip import Chip, chip_of
from tpukernel.dtypes import Dtype, DtypeNameError, dtype_of, f32
from tpukernel.lang.signature import TensorSpec
from tpukernel.source import Position

__all__ = ["Function", "Result", "Specs", "function", "spec"]

Result = NDArray[np.number]
"""An output. (Type checkers take bf16, too, for a number.)"""
Specs = Mapping[str, "TensorSpec | Sequence[int]"]
"""By input: its shape, meaning f32, or a spec."""
MODES: Final[Mapping[str, Dtype]] = {"f32": f32, "f16": dtype_of("f16"), "bf16": dtype_of("bf16")}
DEFAULT_CHIP: Final = "BM1684X"
CACHED: Final = 32
"""Compiled shapes that a function keeps."""


def spec(shape: Sequence[int], dtype: Dtype | str = f32) -> TensorSpec:
    """Shape and data type of an input."""
    return TensorSpec(tuple(int(size) for size in shape), dtype_of(dtype))


class Function:
    """A function on tensors. Call it with numpy arrays, call it in another function, or compile it.

    Args:
        python: `def name(x, y, *, keyword=1.0)`: tensors, then plain values as keywords. It returns a tensor, several, or a dict of them.
    """

    def __init__(self, python: Callable[..., object]) -> None:
        self.python = python
        self.name = python.__name__
        self.__name__, self.__doc__, self.__module__ = python.__name__, python.__doc__, python.__module__
        self.__wrapped__ = python
        self.position = Position(python.__code__.co_filename, python.__code__.co_firstlineno)
        self.inputs: list[str] = []
        self.defaults: dict[str, object] = {}
        for parameter in inspect.signature(python).parameters.values():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                self.defaults[parameter.name] = parameter.default
            elif parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                raise FunctionSignatureError(
                    f"function {self.name} takes any number of arguments ({parameter})", position=self.position, help="name its tensors"
                )
            else:
                self.inputs.append(parameter.name)
        self._runtimes: dict[object, Runtime] = {}
        self._returns_dict = False

    def __repr__(self) -> str:
        return f"<function {self.name}({', '.join(self.inputs)})>"

    # ------------------------------------------------------------------ running

    @overload
    def __call__(self, *args: Tensor, **keywords: object) -> Tensor: ...
    @overload
    def __call__(self, *args: Array, **keywords: object) -> Result: ...
    def __call__(self, *args: object, **keywords: object) -> object:
        """Run the function on a simulated TPU, or, inside of another function, write it down there.

        Args:
            args: numpy arrays (or tensors of the function around), one for each input, in order or by name.
            keywords: inputs by name, and the keywords of the function.

        Returns:
            The output; a tuple of them where the function returns several, a dict where it returns one.

        Raises:
            FunctionArgumentError: the arguments do not fit.
            GraphError, TpuError: the function has a mistake, or the TPU cannot do it.
        """
        given, attrs = self._bound(args, keywords)
        if any(isinstance(each, Tensor) for each in given.values()):
            return self.python(**given, **attrs)
        arrays = {name: self._array(name, value) for name, value in given.items()}
        found = self._run(arrays, "f32", DEFAULT_CHIP, attrs)
        outputs = tuple(found.values())
        return found if self._returns_dict else outputs[0] if len(outputs) == 1 else outputs

    def run(self, arrays: Mapping[str, Array], *, mode: str = "f32", chip: Chip | str = DEFAULT_CHIP, **attrs: object) -> dict[str, Result]:
        """The outputs by name; see `__call__`."""
        return self._run(arrays, mode, chip, attrs)

    def _run(self, arrays: Mapping[str, Array], mode: str, chip: Chip | str, attrs: Mapping[str, object]) -> dict[str, Result]:
        specs = {name: TensorSpec(array.shape, dtype_of(array.dtype)) for name, array in arrays.items()}
        key = (chip_of(chip).name, mode, tuple(specs.items()), tuple((name, repr(value)) for name, value in attrs.items()))
        if key not in self._runtimes:
            while len(self._runtimes) >= CACHED:
                del self._runtimes[next(iter(self._runtimes))]
            self._runtimes[key] = Runtime(self._model(specs, mode, chip, attrs))
        return cast("dict[str, Result]", dict(self._runtimes[key][self.name].run(arrays)))

    def reference(self, *args: Array, **keywords: object) -> dict[str, Result]:
        """The outputs by name as numpy computes them, as exactly as the layers say it; nothing of a TPU is simulated."""
        given, attrs = self._bound(args, keywords)
        arrays = {name: self._array(name, value) for name, value in given.items()}
        traced = self.traced({name: TensorSpec(array.shape, dtype_of(array.dtype)) for name, array in arrays.items()}, **attrs)
        values = run_reference(traced, arrays)
        return {name: cast("Result", values[name]) for name in traced.outputs}

    def _model(self, specs: Mapping[str, TensorSpec], mode: str, chip: Chip | str, attrs: Mapping[str, object]) -> BModel:
        compiled = compile_graph(self.traced(specs, **attrs), mode_of(mode), chip_of(chip))
        return package([(self.name, [compiled])], chip_of(chip))

    # ------------------------------------------------------------------ tracing

    def traced(self, specs: Specs, **attrs: object) -> Graph:
        """The graph for these inputs.

        Args:
            specs: shape (f32) or spec of each input by name.
            attrs: the keywords of the function.

        Raises:
            FunctionArgumentError: an input or keyword is missing or unknown.
            FunctionResultError: the function returns something else than tensors.
            GraphError: an operator does not fit.
        """
        _, values = self._bound((), {**dict.fromkeys(self.inputs), **attrs})
        if set(specs) != set(self.inputs):
            raise FunctionArgumentError(
                f"function {self.name} takes {', '.join(self.inputs)}, not {', '.join(specs) or 'nothing'}",
                help="give a shape for each input",
            )
        tracer = Tracer(self.name)
        given = {name: specs[name] for name in self.inputs}
        tensors = {name: tracer.input(name, each if isinstance(each, TensorSpec) else spec(each)) for name, each in given.items()}
        return self._finished(tracer, self.python(**tensors, **values))

    def _finished(self, tracer: Tracer, result: object) -> Graph:
        self._returns_dict = isinstance(result, Mapping)
        if isinstance(result, Mapping):
            values = {str(name): value for name, value in cast("Mapping[object, object]", result).items()}
        elif isinstance(result, tuple | list):
            values = {f"output_{place}": value for place, value in enumerate(cast("Sequence[object]", result))}
        else:
            values = {"output": result}
        outputs: dict[str, Tensor] = {}
        for name, value in values.items():
            if not isinstance(value, Tensor) or value.tracer is not tracer:
                raise FunctionResultError(
                    f"function {self.name} returns {value!r}, which is no tensor of it",
                    position=self.position,
                    help="return tensors computed from its inputs",
                )
            outputs[name] = value
        return _with_output_names(tracer.graph(outputs), list(outputs))

    # ------------------------------------------------------------------ arguments

    def _bound(self, args: Sequence[object], keywords: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
        """Tensors and keywords by name."""
        if len(args) > len(self.inputs):
            raise FunctionArgumentError(
                f"function {self.name} takes {len(self.inputs)} tensors, not {len(args)}", help=f"give {', '.join(self.inputs)}"
            )
        given = dict(zip(self.inputs, args, strict=False)) | {name: value for name, value in keywords.items() if name in self.inputs}
        attrs = {name: keywords.get(name, default) for name, default in self.defaults.items()}
        unknown = keywords.keys() - set(self.inputs) - attrs.keys()
        missing = [name for name in self.inputs if name not in given]
        missing += [name for name, value in attrs.items() if value is inspect.Parameter.empty]
        if unknown or missing:
            what = f"has no argument {', '.join(sorted(unknown))}" if unknown else f"needs {', '.join(missing)}"
            raise FunctionArgumentError(
                f"function {self.name} {what}", help=f"its arguments are {', '.join([*self.inputs, *self.defaults])}"
            )
        return given, attrs

    def _array(self, name: str, value: object) -> Array:
        array = np.asarray(value)
        try:
            dtype_of(array.dtype)
        except DtypeNameError:
            raise FunctionArgumentError(
                f"{name} of function {self.name} is an array of {array.dtype}, which no TPU has",
                help=f"convert it, for example {name}.astype(np.float32)",
            ) from None
        return np.ascontiguousarray(array)


def mode_of(mode: str) -> Dtype:
    """The data type of a mode.

    Raises:
        FunctionArgumentError: there is no such mode.
    """
    if mode not in MODES:
        raise FunctionArgumentError(f"there is no mode {mode!r}", help=f"choose from {', '.join(MODES)}")
    return MODES[mode]


def _with_output_names(graph: Graph, names: Sequence[str]) -> Graph:
    """The graph whose outputs have these names; an output that is an input, a constant or another output is a copy of it."""
    nodes = list(graph.nodes)
    specs = dict(graph.specs)
    taken = set(specs)
    renames: dict[str, str] = {}
    fixed = {*graph.inputs, *graph.constants}
    for name, source in zip(names, graph.outputs, strict=True):
        if name in taken and name != source:
            moved = unused_name(f"{name}_inner", taken)
            nodes = [_renamed(node, {name: moved}) for node in nodes]
            specs[moved] = specs.pop(name)
            taken.add(moved)
            source = moved if source == name else source
            renames = {old: moved if new == name else new for old, new in renames.items()}
        if source in fixed or source in renames:
            nodes.append(
                Node(
                    unused_name(f"copy_{name}", {node.name for node in nodes}),
                    "bm::copy",
                    (renames.get(source, source),),
                    (name,),
                    {},
                    here(),
                )
            )
            specs[name] = specs.get(source) or specs[renames[source]]
        elif name != source:
            nodes = [_renamed(node, {source: name}) for node in nodes]
            specs[name] = specs.pop(source)
            renames[source] = name
        else:
            renames[source] = name
        taken.add(name)
    return replace(graph, nodes=tuple(nodes), specs=specs, outputs=tuple(names))


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    return replace(
        node, inputs=tuple(names.get(each, each) for each in node.inputs), outputs=tuple(names.get(each, each) for each in node.outputs)
    )


def function(python: Callable[..., object], /) -> Function:
    """Decorator: the Python function is a function of BMLang.

    Raises:
        FunctionSignatureError: it cannot be one.
    """
    return Function(python)
