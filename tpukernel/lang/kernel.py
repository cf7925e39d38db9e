"""`@kernel`: a Python function becomes an operator that runs on numpy arrays and elaborates to programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Final, cast, overload

import numpy as np

from tpukernel.api.recording import recorded_by
from tpukernel.chips.chip import Chip, chip_of
from tpukernel.cost import Mode, Timeline
from tpukernel.dtypes import DtypeNameError, dtype_of
from tpukernel.isa.program import Program
from tpukernel.lang.bench import Bench, bench
from tpukernel.lang.builder import Builder
from tpukernel.lang.definition import Definition, FunctionDefinition
from tpukernel.lang.elaborate import Elaborated, elaborate
from tpukernel.lang.errors import CallError, LocalMemoryError
from tpukernel.lang.execute import Array, Result, execute
from tpukernel.lang.expr import variables
from tpukernel.lang.fitting import MOST_COMMANDS, Attempt, changes_that_fit
from tpukernel.lang.ir import KernelIr, Param
from tpukernel.lang.signature import Dtypes, Infer, Shapes, TensorSpec
from tpukernel.lang.tensors import Tensor, parameter
from tpukernel.lang.text.words import literal
from tpukernel.lang.trace import Tracer, TraceRecorder
from tpukernel.lang.tuning import Tuning
from tpukernel.lang.views.memory_map import MemoryMap
from tpukernel.lang.views.pages import kernel_page
from tpukernel.sim.choice import Numerics
from tpukernel.sim.machine import ExecutionEngine

__all__ = ["Array", "Kernel", "kernel"]

DEFAULT_CHIP: Final = "BM1684X"
CACHED: Final = 128
"""Elaborations that a kernel keeps."""


class Kernel:
    """A kernel: call it with numpy arrays, or ask for its program.

    Args:
        definition: what the kernel is; it is traced for the shapes at hand when it is needed. `@kernel` makes one of a Python function,
            `load` and `parse` of text.

    Attributes:
        definition: what the kernel is.
        signature: what it takes.
        limit: how many steps it may unroll to (see `elaborate`); None: any number, which is the default for Python. Kernels of texts, which
            may come from anybody, have `tpukernel.lang.limits.TEXT_LIMIT`; `with_limit` changes it.
    """

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.signature = definition.signature
        self.limit = definition.limit
        self._tuning: Tuning | None = None
        self._cache: dict[object, Elaborated] = {}
        self.__name__, self.__doc__ = self.signature.name, definition.doc
        if isinstance(definition, FunctionDefinition):
            self.__wrapped__, self.__module__ = definition.function, definition.function.__module__

    def __repr__(self) -> str:
        tensors = ", ".join(f"{name}: {direction}" for name, direction in self.signature.tensors.items())
        tuning = f", {self._tuning}" if self._tuning is not None else ""
        return f"<kernel {self.signature.name}({tensors}){tuning}>"

    def _repr_html_(self) -> str:
        return kernel_page(self.signature, self.__doc__, list(self._cache.values()), str(self._tuning or ""))

    # ------------------------------------------------------------------ running

    def __call__(self, *arrays: Array, **keywords: object) -> Result:
        """Run the kernel on a simulated BM1684X.

        Args:
            arrays: one for each `In` and `InOut`, in order.
            keywords: those of the function.

        Returns:
            The output. A kernel with several outputs returns a tuple of them; `run` gives them by name.

        Raises:
            CallError: the arrays do not fit.
            KernelError: the kernel has a mistake.
            CheckError: its program has: a race, a read of something that nobody wrote, ...
        """
        found = tuple(self._run(arrays, chip_of(DEFAULT_CHIP), "interpreter", True, "exact", keywords).values())
        return found[0] if len(found) == 1 else cast("Result", found)

    def run(
        self,
        *arrays: Array,
        chip: Chip | str = DEFAULT_CHIP,
        engine: ExecutionEngine = "interpreter",
        check: bool = True,
        numerics: Numerics = "exact",
        **keywords: object,
    ) -> dict[str, Result]:
        """The outputs by name. `engine` and `check` are those of `Machine.run`, `numerics` is that of `Machine`; raises as a call does."""
        return self._run(arrays, chip_of(chip), engine, check, numerics, keywords)

    def _run(
        self,
        arrays: tuple[Array, ...],
        chip: Chip,
        engine: ExecutionEngine,
        check: bool,
        numerics: Numerics,
        keywords: Mapping[str, object],
    ) -> dict[str, Result]:
        names = self.signature.inputs
        if len(arrays) != len(names):
            raise CallError(
                f"kernel {self.signature.name} takes {len(names)} arrays, not {len(arrays)}", help=f"give {', '.join(names) or 'none'}"
            )
        given = {name: np.ascontiguousarray(array) for name, array in zip(names, arrays, strict=True)}
        shapes = {name: array.shape for name, array in given.items()}
        dtypes = {name: self._dtype_of(name, array) for name, array in given.items()}
        found = self.elaborate(shapes, dtypes, chip, **keywords)
        return execute(found, given, engine, check=check, numerics=numerics, position=self.signature.position)

    def _dtype_of(self, name: str, array: Array) -> str:
        try:
            return dtype_of(array.dtype).name
        except DtypeNameError:
            raise CallError(
                f"{name} of kernel {self.signature.name} is an array of {array.dtype}, which no TPU has",
                help=f"convert it, for example {name}.astype(np.{'int32' if array.dtype.kind in 'iu' else 'float32'})",
            ) from None

    # ------------------------------------------------------------------ elaborating

    def elaborate(self, shapes: Shapes, dtypes: Dtypes = None, chip: Chip | str = DEFAULT_CHIP, **keywords: object) -> Elaborated:
        """The kernel for concrete shapes, with everything that is known about its program; kept for the next time.

        Args:
            shapes: shapes of the inputs by name; those of outputs, too, or they are inferred.
            dtypes: data types by name, or one for all; f32 by default.
            chip: the chip or its name.
            keywords: those of the function.

        Raises:
            CallError: the shapes or keywords do not fit.
            UnrollLimitError: it unrolls to more than its limit.
            KernelError, TpuError: the kernel has a mistake, or the chip cannot do it.
        """
        values = self.definition.keywords(self.tuned(shapes, dtypes, chip, **keywords))
        specs = self.definition.specs(shapes, dtypes, values)
        key = (chip_of(chip).name, tuple(specs.items()), tuple((name, type(value), value) for name, value in values.items()))
        found = self._cache.get(key)
        if found is None:
            ir = self._trace(self._closed(specs), Tracer(chip_of(chip)), values)
            try:
                found = elaborate(ir, _shapes(specs), chip_of(chip), limit=self.limit)
            except LocalMemoryError as error:
                error.changes = self._changes(error, ir, specs, chip_of(chip), values)
                raise
            while len(self._cache) >= CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = found
        return found

    def program(self, shapes: Shapes, dtypes: Dtypes = None, chip: Chip | str = DEFAULT_CHIP, **keywords: object) -> Program:
        """The program for concrete shapes; arguments and errors as of `elaborate`. The same program comes back each time."""
        return self.elaborate(shapes, dtypes, chip, **keywords).program

    def listing(self, shapes: Shapes, dtypes: Dtypes = None, chip: Chip | str = DEFAULT_CHIP, **keywords: object) -> str:
        """The program as text; arguments and errors as of `elaborate`."""
        return self.program(shapes, dtypes, chip, **keywords).listing()

    def timeline(
        self, shapes: Shapes, dtypes: Dtypes = None, chip: Chip | str = DEFAULT_CHIP, *, mode: Mode = "peer", **keywords: object
    ) -> Timeline:
        """When each command runs, with the line that it comes from; arguments and errors as of `elaborate` and `Program.timeline`."""
        return self.elaborate(shapes, dtypes, chip, **keywords).timeline(mode)

    def bench(
        self,
        shapes: Shapes,
        dtypes: Dtypes = None,
        chip: Chip | str = DEFAULT_CHIP,
        *,
        mode: Mode = "peer",
        simulate: int = 3,
        **keywords: object,
    ) -> Bench:
        """What the kernel takes: modelled cycles, share of the roofline, local memory, time on the simulator.

        Args:
            shapes, dtypes, chip, keywords: as of `elaborate`.
            mode: mode of the cost model.
            simulate: runs on the simulator, on random inputs, of which the best time counts; 0 for none. One more run before them checks
                the program and makes its machine code.

        Raises:
            CallError, KernelError, TpuError: as `elaborate`.
            CheckError: the checks of the simulator found a mistake.
        """
        return bench(self, shapes, dtypes, chip, mode=mode, simulate=simulate, **keywords)

    def tuned(self, shapes: Shapes, dtypes: Dtypes = None, chip: Chip | str = DEFAULT_CHIP, **keywords: object) -> Mapping[str, object]:
        """The keywords for these shapes: those that are given, and what `autotune` chooses; arguments as of `elaborate`.

        Raises:
            TuningError: no choice fits the shapes.
            CallError, KernelError, TpuError: as `elaborate`.
        """
        if self._tuning is None:
            return keywords
        return self._tuning.chosen(self.with_tuning(None), shapes, dtypes, chip_of(chip), keywords)

    def with_tuning(self, tuning: Tuning | None) -> Kernel:
        """The same kernel whose keywords are chosen in another way, or not at all."""
        made = copy(self)
        made._tuning = tuning  # noqa: SLF001 - it is one of us
        return made

    def with_limit(self, limit: int | None) -> Kernel:
        """The same kernel that may unroll to so many steps, commands and turns of loops; None: to any number.

        Where a kernel is a part of another one (`emit`), the limit of that one counts.
        """
        made = copy(self)
        made.limit, made._cache = limit, {}  # noqa: SLF001 - it is one of us
        return made

    def memory_map(self, shapes: Shapes, dtypes: Dtypes = None, chip: Chip | str = DEFAULT_CHIP, **keywords: object) -> MemoryMap:
        """What lies where in local memory, and when; arguments and errors as of `elaborate`."""
        return MemoryMap.of(self.elaborate(shapes, dtypes, chip, **keywords))

    def ir(
        self,
        shapes: Shapes | None = None,
        dtypes: Dtypes = None,
        chip: Chip | str = DEFAULT_CHIP,
        *,
        rank: Mapping[str, int] | int = 4,
        **keywords: object,
    ) -> KernelIr:
        """The intermediate representation.

        Without shapes the dimensions of the tensors stay variables, and what comes back fits any shape (`tpukernel.lang.elaborate`); a
        kernel that uses Python's own control flow on a dimension cannot be traced so, and says where.

        Args:
            shapes: shapes of the inputs (and outputs) by name, or None.
            dtypes: data types by name, or one for all.
            chip: the chip or its name.
            rank: without shapes: how many dimensions the tensors have, by name or for all.
            keywords: those of the function.

        Raises:
            SymbolicValueError: Python asked for the number of a symbolic size.
            KernelError: the kernel has another mistake.
        """
        values = self.definition.keywords(keywords if shapes is None else self.tuned(shapes, dtypes, chip, **keywords))
        tracer = Tracer(chip_of(chip))
        if shapes is not None:
            return self._trace(self._closed(self.definition.specs(shapes, dtypes, values)), tracer, values)
        return self._trace(self.definition.open_params(tracer.unique, rank, dtypes, values), tracer, values)

    def ir_of(self, params: Sequence[Param], chip: Chip | str = DEFAULT_CHIP, **keywords: object) -> KernelIr:
        """The intermediate representation for tensors of which some dimensions are numbers and others are not.

        Args:
            params: the tensors in order. Dimensions are numbers, variables (each stands alone in some dimension), or expressions of those.
            chip: the chip or its name.
            keywords: those of the function.

        Raises:
            SymbolicValueError: Python asked for the number of a size that is none.
            KernelError: the kernel has another mistake.
        """
        tracer = Tracer(chip_of(chip))
        for name in dict.fromkeys(name for param in params for size in param.shape for name in variables(size)):
            tracer.unique(name)
        return self._trace(params, tracer, self.definition.keywords(keywords))

    def emit(self, k: Builder, *tensors: Tensor, **keywords: object) -> None:
        """Use this kernel as a part of another one: what it does is written down there, on the tensors given."""
        self.definition.write(k, tensors, self.definition.keywords(keywords))

    def _changes(
        self, error: LocalMemoryError, ir: KernelIr, specs: Mapping[str, TensorSpec], chip: Chip, values: Mapping[str, object]
    ) -> Callable[[], Sequence[str]] | None:
        """Finds changes of the kernel that make it fit; None where that takes too long."""
        if error.commands > MOST_COMMANDS:
            return None

        def retrace(inputs: Mapping[str, TensorSpec], keywords: Mapping[str, object]) -> tuple[KernelIr, Mapping[str, tuple[int, ...]]]:
            shapes, dtypes = _shapes(inputs), {name: spec.dtype for name, spec in inputs.items()}
            found = self.definition.specs(shapes, dtypes, keywords)
            return self._trace(self._closed(found), Tracer(chip), keywords), _shapes(found)

        inputs = {name: spec for name, spec in specs.items() if name in self.signature.inputs}
        attempt = Attempt(
            ir, _shapes(specs), chip, lambda other, shapes: elaborate(other, shapes, chip, limit=self.limit), inputs, values, retrace
        )
        return lambda: changes_that_fit(attempt)

    def _closed(self, specs: Mapping[str, TensorSpec]) -> Sequence[Param]:
        """The tensors with numbers for their dimensions."""
        return [Param(name, self.signature.tensors[name], spec.shape, spec.dtype) for name, spec in specs.items()]

    def _trace(self, params: Sequence[Param], tracer: Tracer, values: Mapping[str, object]) -> KernelIr:
        for param in params:
            tracer.unique(param.name)
            tracer.shapes[param.name] = param.shape
        with recorded_by(TraceRecorder(tracer)):
            self.definition.write(Builder(tracer), [parameter(param) for param in params], values)
        told = tuple((name, literal(value)) for name, value in values.items())
        return KernelIr(self.signature.name, tuple(params), told, tracer.finish())


def _shapes(specs: Mapping[str, TensorSpec]) -> dict[str, tuple[int, ...]]:
    return {name: spec.shape for name, spec in specs.items()}


@overload
def kernel(function: Callable[..., object], /) -> Kernel: ...
@overload
def kernel(*, infer: Infer | None = None) -> Callable[[Callable[..., object]], Kernel]: ...
def kernel(
    function: Callable[..., object] | None = None, /, *, infer: Infer | None = None
) -> Kernel | Callable[[Callable[..., object]], Kernel]:
    """Decorator: the function is a kernel. `@kernel`, or `@kernel(infer=...)`.

    Raises:
        SignatureError: the function cannot be one.
    """
    if function is not None:
        return Kernel(FunctionDefinition(function, infer))
    return lambda function: Kernel(FunctionDefinition(function, infer))
