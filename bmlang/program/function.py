"""`@function`: a Python function on tensors becomes a program for the TPU."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index
from typing import Final, Literal, NoReturn, Protocol, cast, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bmlang.compiler.errors import CompileArgumentError
from bmlang.compiler.package import package
from bmlang.compiler.pipeline import compile_graph
from bmlang.graph.dims import Dim
from bmlang.graph.graph import Array, Graph, unused_name
from bmlang.layers.errors import OperatorArgumentError
from bmlang.layers.reference import run_reference
from bmlang.layers.tensor import Tensor, Tracer
from bmlang.program.compare import FunctionComparison, compare_graph
from bmlang.program.errors import FunctionArgumentError, FunctionResultError
from bmlang.program.outputs import with_output_names
from bmlang.program.signature import Signature, value_key
from bmlang.runtime import Runtime
from tpukernel.chips.chip import Chip, chip_of
from tpukernel.dtypes import Dtype, DtypeNameError, dtype_of, f32
from tpukernel.lang.signature import TensorSpec
from tpukernel.source import Position

__all__ = ["Buildable", "Function", "Result", "Specs", "function", "spec"]

Result = NDArray[np.number]
"""An output. (Type checkers take bf16, too, for a number.)"""
Specs = Mapping[str, "TensorSpec | Sequence[int]"]
"""By input: its shape, meaning f32, or a spec."""
MODES: Final[Mapping[str, Dtype]] = {"f32": f32, "f16": dtype_of("f16"), "bf16": dtype_of("bf16")}
DEFAULT_CHIP: Final = "BM1684X"
CACHED: Final = 32
"""Compiled shapes that a function keeps."""


LARGEST_RANK: Final = 8
"""Dimensions that a BModel can tell of a tensor."""


def spec(shape: Sequence[int], dtype: Dtype | str = f32) -> TensorSpec:
    """Shape and data type of an input.

    Args:
        shape: up to eight sizes, each 1 or more; none at all for a single number. `upto` says sizes that vary.
        dtype: the data type or its name.

    Raises:
        FunctionArgumentError: the shape is none that a TPU has.
        DtypeNameError: the data type neither.
    """
    sizes = tuple(size if isinstance(size, Dim) else index(size) for size in shape)
    if len(sizes) > LARGEST_RANK or any(size < 1 for size in sizes):
        raise FunctionArgumentError(f"a tensor of shape {list(sizes)}", help=f"give up to {LARGEST_RANK} sizes of 1 or more")
    return TensorSpec(sizes, dtype_of(dtype))


Returns = Literal["one", "several", "named"]
"""What a function returns: a tensor, a tuple, or a dict."""


@dataclass(frozen=True)
class _Compiled:
    """A function for one set of shapes, types and keywords, on a simulated chip."""

    returns: Returns
    runtime: Runtime


@runtime_checkable
class Buildable(Protocol):
    """What writes itself down in a function: a model that was imported from a file."""

    @property
    def name(self) -> str:
        """Of the net that it becomes."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of its inputs."""
        ...

    def build(self, *tensors: Tensor) -> dict[str, Tensor]:
        """Its outputs by name, for one tensor for each input."""
        ...


class Function:
    """A function on tensors. Call it with numpy arrays, call it in another function, or compile it.

    Args:
        python: `def name(x, y, *, keyword=1.0)`: tensors, then plain values as keywords. It returns a tensor, several, or a dict of them.
            Or a model that was imported, see `bmlang.importers`.
    """

    def __init__(self, python: Callable[..., object] | Buildable) -> None:
        if isinstance(python, Buildable):
            self.python = cast("Callable[..., object]", python.build)
            self.signature = Signature(python.name, python.inputs, {}, Position(f"<{python.name}>"))
        else:
            self.python, self.signature = python, Signature.of(python)
        self.name = self.signature.name
        self.__name__, self.__doc__, self.__module__ = self.name, python.__doc__, python.__module__
        self.__wrapped__ = python
        self._compiled: dict[object, _Compiled] = {}

    def __repr__(self) -> str:
        return f"<function {self.name}({', '.join(self.signature.inputs)})>"

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
        given, attrs = self.signature.bound(args, keywords)
        if any(isinstance(each, Tensor) for each in given.values()):
            return self.python(*given.values(), **attrs)
        compiled, found = self._run(self._arrays(given), "f32", DEFAULT_CHIP, attrs)
        outputs = tuple(found.values())
        return {"one": outputs[0], "several": outputs, "named": found}[compiled.returns]

    def run(self, arrays: Mapping[str, Array], *, mode: str = "f32", chip: Chip | str = DEFAULT_CHIP, **attrs: object) -> dict[str, Result]:
        """The outputs by name.

        Args:
            arrays: the inputs by name.
            mode: what f32 is computed in: "f32", "f16" or "bf16".
            chip: the chip or its name.
            attrs: the keywords of the function.

        Raises:
            FunctionArgumentError, GraphError, TpuError: as of a call.
        """
        given, values = self.signature.bound((), {**arrays, **attrs})
        return self._run(self._arrays(given), mode, chip, values)[1]

    def _run(
        self, arrays: Mapping[str, Array], mode: str, chip: Chip | str, attrs: Mapping[str, object]
    ) -> tuple[_Compiled, dict[str, Result]]:
        specs = {name: spec(array.shape, dtype_of(array.dtype)) for name, array in arrays.items()}
        key = (chip_of(chip).name, mode, tuple(specs.items()), value_key(attrs))
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compile(specs, mode, chip_of(chip), attrs)
            while len(self._compiled) >= CACHED:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[key] = compiled
        return compiled, cast("dict[str, Result]", compiled.runtime[self.name].run(arrays))

    def _compile(self, specs: Specs, mode: str, chip: Chip, attrs: Mapping[str, object]) -> _Compiled:
        returns, graph = self._traced(specs, attrs)
        return _Compiled(returns, Runtime(package([(self.name, [compile_graph(graph, mode_of(mode), chip)])], chip)))

    def reference(self, *args: Array, **keywords: object) -> dict[str, Result]:
        """The outputs by name as numpy computes them, as exactly as the layers say it; nothing of a TPU is simulated."""
        given, attrs = self.signature.bound(args, keywords)
        arrays = self._arrays(given)
        traced = self.traced({name: spec(array.shape, dtype_of(array.dtype)) for name, array in arrays.items()}, **attrs)
        values = run_reference(traced, arrays)
        return {name: cast("Result", values[name]) for name in traced.outputs}

    def compare(
        self,
        *args: Array,
        mode: str = "f32",
        chip: Chip | str = DEFAULT_CHIP,
        tolerance: float | None = None,
        **keywords: object,
    ) -> FunctionComparison:
        """Run the function on a simulated TPU and in numpy, and say tensor by tensor how far both are apart and where that begins.

        Args:
            args: the inputs, in order or by name.
            mode: what f32 is computed in: "f32", "f16" or "bf16".
            chip: the chip or its name.
            tolerance: what an operator may be off, as a share of the largest number that it makes; by default 16 roundings of its type.
            keywords: inputs by name, and the keywords of the function.

        Returns:
            Every tensor, and the first one that is off; it is true where none is.

        Raises:
            FunctionArgumentError, GraphError, TpuError: as of a call.
        """
        given, attrs = self.signature.bound(args, keywords)
        arrays = self._arrays(given)
        specs = {name: spec(array.shape, dtype_of(array.dtype)) for name, array in arrays.items()}
        return compare_graph(self._traced(specs, attrs)[1], arrays, mode_of(mode), chip_of(chip), tolerance)

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
        return self._traced(specs, self.signature.keywords(attrs))[1]

    def _traced(self, specs: Specs, attrs: Mapping[str, object]) -> tuple[Returns, Graph]:
        inputs = self.signature.inputs
        if not isinstance(cast("object", specs), Mapping):
            raise FunctionArgumentError(
                f"the shapes of function {self.name} are {specs!r}", help=f'give them by name: {{"{next(iter(inputs), "x")}": (1, 64)}}'
            )
        if set(specs) != set(inputs):
            raise FunctionArgumentError(
                f"function {self.name} takes {', '.join(inputs) or 'no tensors'}, not {', '.join(specs) or 'nothing'}",
                help="give a shape for each input",
            )
        tracer = Tracer(self.name)
        tensors = [tracer.input(name, _spec(name, specs[name])) for name in inputs]
        with _advised():
            made = self.python(*tensors, **attrs)
        returns, outputs = self._outputs(tracer, made)
        return returns, with_output_names(tracer.graph(outputs), list(outputs))

    def _outputs(self, tracer: Tracer, result: object) -> tuple[Returns, dict[str, Tensor]]:
        """What the Python function returned, by the names that the outputs get."""
        taken = dict.fromkeys(self.signature.inputs)
        returns: Returns = "one"
        values: dict[str, object] = {unused_name("output", taken): result}
        if isinstance(result, Mapping):
            returns, values = "named", {str(name): value for name, value in cast("Mapping[object, object]", result).items()}
        elif isinstance(result, tuple | list):
            places = enumerate(cast("Sequence[object]", result))
            returns, values = "several", {unused_name(f"output_{place}", taken): value for place, value in places}
        outputs = {name: value for name, value in values.items() if isinstance(value, Tensor) and value.tracer is tracer}
        if len(outputs) < len(values) or not outputs:
            wrong = next((value for name, value in values.items() if name not in outputs), None)
            advice = "tensors are compared with bm.eq and bm.ne" if isinstance(wrong, bool) else "return tensors computed from its inputs"
            told = repr(wrong) if values else "nothing"
            self._wrong_result(f"returns {told}, which is no tensor of it", advice)
        if both := [name for name in outputs if name in taken]:
            self._wrong_result(f"has an input and an output {both[0]}", "give the output another name")
        return returns, outputs

    def _wrong_result(self, what: str, advice: str) -> NoReturn:
        raise FunctionResultError(f"function {self.name} {what}", position=self.signature.position, help=advice)

    # ------------------------------------------------------------------ arguments

    def _arrays(self, given: Mapping[str, object]) -> dict[str, Array]:
        """The inputs as arrays of the types that a TPU has."""
        return {name: self._array(name, value) for name, value in given.items()}

    def _array(self, name: str, value: object) -> Array:
        array = np.asarray(value)
        try:
            dtype_of(array.dtype)
        except DtypeNameError:
            raise FunctionArgumentError(
                f"{name} of function {self.name} is an array of {array.dtype}, which no TPU has",
                help=f"convert it, for example {name}.astype(np.{'int32' if array.dtype.kind in 'iu' else 'float32'})",
            ) from None
        return np.require(array, requirements="C")


@contextmanager
def _advised() -> Generator[None]:
    """What numpy says where its functions are called with tensors becomes an error with advice."""
    try:
        yield
    except TypeError as error:
        if "__array_ufunc__" not in str(error):
            raise
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        position = None if place is None else Position(place.tb_frame.f_code.co_filename, place.tb_lineno)
        raise OperatorArgumentError(
            "a function of numpy was called with a tensor", position=position, help="use that of bmlang, bm.exp(x) and not np.exp(x)"
        ) from error


def _spec(name: str, given: TensorSpec | Sequence[int]) -> TensorSpec:
    try:
        return spec(given.shape, given.dtype) if isinstance(given, TensorSpec) else spec(given)
    except TypeError:
        raise FunctionArgumentError(f"the shape of {name} is {given!r}", help="give integers, or bm.spec(shape, dtype)") from None


def mode_of(mode: str) -> Dtype:
    """The data type of a mode.

    Raises:
        CompileArgumentError: there is no such mode.
    """
    if mode not in MODES:
        raise CompileArgumentError(f"there is no mode {mode!r}", help=f"choose from {', '.join(MODES)}")
    return MODES[mode]


def function(python: Callable[..., object] | Buildable, /) -> Function:
    """Decorator: the Python function is a function of BMLang. A model that was imported becomes one, too.

    Raises:
        FunctionSignatureError: it cannot be one.
    """
    return Function(python)
