"""An imported model becomes the folder of the official compilers: what all front-ends do behind reading their files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from bmlang.compiler.errors import CompileArgumentError
from bmlang.graph.graph import Array
from bmlang.program.compare import FunctionComparison, Others, compare_graph
from bmlang.program.compile import Model
from bmlang.program.compile import compile as compiled
from bmlang.program.function import Buildable, function, mode_of
from bmlang.runtime.references import open_arrays
from tpukernel.chips.chip import chip_of
from tpukernel.lang.signature import TensorSpec

__all__ = ["ALLOWED", "Conversion", "Evaluate", "Imported", "Settings", "StageComparison", "convert", "test_inputs"]

ALLOWED: Final[Mapping[str, float]] = {"f32": 1e-4, "f16": 2e-2, "bf16": 1e-1}
"""How far a tensor may be off from that of another implementation, as a share of its largest number, by mode. Roundings add up along a net;
what was imported wrongly is off by far more."""


class Imported(Buildable, Protocol):
    """A model that was imported, whose inputs have shapes."""

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Shape and data type of each input."""
        ...

    @property
    def varying_specs(self) -> Mapping[str, TensorSpec]:
        """The same for a dynamic stage, where sizes that vary may be said with `upto`."""
        ...


Evaluate = Callable[[Mapping[str, Array], Sequence[str]], tuple[str, Mapping[str, Array]]]
"""Another implementation: for the inputs of a stage the tensors of these names, as far as it has them, and who computed them."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """What is to be made.

    Attributes:
        chip: name of the chip.
        mode: "f32", "f16" or "bf16".
        opt: level of optimisation, 0 to 2.
        dynamic: shapes that vary up to those given.
        folder: where the files go.
        tolerance: what a tensor may be off from another implementation, as a share of its largest number; by default that of `ALLOWED`.
    """

    chip: str
    mode: str
    opt: int
    dynamic: bool
    folder: Path
    tolerance: float | None = None


@dataclass(frozen=True)
class StageComparison:
    """A stage on the simulated chip against other implementations.

    Attributes:
        stage: its number.
        against: who computed what it was compared with on the whole.
        tensors: each tensor.
    """

    stage: int
    against: str
    tensors: FunctionComparison

    def __bool__(self) -> bool:
        return bool(self.tensors)

    def __str__(self) -> str:
        first = self.tensors.first
        head = f"stage {self.stage} against {self.against}: {len(self.tensors.tensors)} tensors, "
        return head + ("none differs" if first is None else f"the first difference arises in {first.node.name}\n  {first}")


@dataclass(frozen=True)
class Conversion:
    """What was made.

    Attributes:
        model: the model.
        folder: the folder with the files.
        comparisons: one for each stage; none where nothing was compared.
        dynamic: whether shapes vary up to those given.
    """

    model: Model
    folder: Path
    comparisons: tuple[StageComparison, ...]
    dynamic: bool = False

    def __bool__(self) -> bool:
        """Whether nothing differs, as far as it was compared."""
        return all(self.comparisons)


def convert(
    stages: Sequence[Imported],
    settings: Settings,
    *,
    inputs: Sequence[Mapping[str, Array] | str | os.PathLike[str]] | None = None,
    evaluate: Callable[[Imported], Evaluate] | None = None,
    progress: Progress = lambda _: None,
) -> Conversion:
    """Compile a model, compare it, and write the folder.

    Args:
        stages: the model for each set of shapes, of one name.
        settings: what is to be made.
        inputs: for each stage the inputs of the test run by name, or an `.npz` file with them; random numbers where nothing is said.
        evaluate: another implementation to compare with; None to compare with nothing.
        progress: is told what is being done.

    Raises:
        CompileArgumentError: an option is unknown, or inputs do not fit.
        GraphError, TpuError: the model cannot be compiled.
        OSError: a file cannot be written.
    """
    if inputs is not None and len(inputs) != len(stages):
        raise CompileArgumentError(f"there are inputs for {len(inputs)} stages of {len(stages)}", help="give inputs for each stage")
    given = [test_inputs(stage, number) if inputs is None else _checked(inputs[number], stage.specs) for number, stage in enumerate(stages)]
    first = stages[0]
    progress("compiling")
    specs = [stage.varying_specs if settings.dynamic else stage.specs for stage in stages]
    model = compiled(function(first), stages=specs, chip=settings.chip, mode=settings.mode, opt=settings.opt, dynamic=settings.dynamic)
    comparisons: list[StageComparison] = []
    if evaluate is not None:
        for number, (stage, arrays) in enumerate(zip(stages, given, strict=True)):
            progress(f"comparing stage {number}")
            comparisons.append(_compared(number, stage, arrays, settings, evaluate(stage)))
    progress("running and writing")
    model.save_folder(settings.folder, {first.name: given})
    return Conversion(model, settings.folder, tuple(comparisons), settings.dynamic)


def test_inputs(stage: Imported, seed: int) -> dict[str, Array]:
    """Inputs for a test run: normal numbers; integers are 0 and 1, which indices, masks and booleans may all be."""
    random = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for name, spec in stage.specs.items():
        if spec.dtype.is_float:
            found[name] = random.standard_normal(spec.shape).astype(spec.dtype.numpy)
        else:
            found[name] = random.integers(0, 2, spec.shape).astype(spec.dtype.numpy)
    return found


def _checked(given: Mapping[str, Array] | str | os.PathLike[str], specs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """The inputs that somebody gave, in the data types of the model.

    Raises:
        CompileArgumentError: one is missing, or of another shape, or does not fit into its data type.
        ReferenceArrayError: a file is none of arrays.
        OSError: it cannot be read.
    """
    if isinstance(given, Mapping):
        return {name: _fitting(name, spec, given.get(name)) for name, spec in specs.items()}
    with open_arrays(Path(given)) as file:
        names, found = file.names(), dict[str, Array]()
        for name, spec in specs.items():
            kind = file.kind(name) if name in names else None
            if kind is not None and kind[1] != spec.shape:
                raise CompileArgumentError(f"input {name!r} is {list(kind[1])} in {given}", help=f"the net takes {list(spec.shape)}")
            found[name] = _fitting(name, spec, None if kind is None else file.array(name))
    return found


def _largest(specs: Mapping[str, TensorSpec]) -> dict[str, TensorSpec]:
    """The specs with the numbers that sizes that vary are at most."""
    return {name: TensorSpec(tuple(int.__int__(size) for size in spec.shape), spec.dtype) for name, spec in specs.items()}


def _fitting(name: str, spec: TensorSpec, array: Array | None) -> Array:
    if array is None:
        raise CompileArgumentError(f"there is no input {name!r} for the test run", help=f"give {spec.dtype.name}{list(spec.shape)}")
    converted = np.ascontiguousarray(array).astype(spec.dtype.numpy)
    exact = (spec.dtype.is_float and array.dtype.kind in "fV") or np.array_equal(converted, array)
    if array.shape != spec.shape or not exact:
        raise CompileArgumentError(
            f"input {name!r} of the test run is {array.dtype}{list(array.shape)}", help=f"the net takes {spec.dtype.name}{list(spec.shape)}"
        )
    return converted


def _compared(number: int, stage: Imported, inputs: Mapping[str, Array], settings: Settings, evaluate: Evaluate) -> StageComparison:
    """Each tensor against numpy on the inputs that its operator had, and against the other implementation on the whole."""
    graph = function(stage).traced(_largest(stage.specs))
    against, arrays = evaluate(inputs, [name for name in graph.specs if name not in graph.inputs])
    mode = mode_of(settings.mode)
    share = ALLOWED[settings.mode] if settings.tolerance is None else settings.tolerance
    compared = compare_graph(
        graph,
        inputs,
        mode,
        chip_of(settings.chip),
        opt=settings.opt,
        others=Others(arrays, share) if arrays else None,
    )
    return StageComparison(number, against, compared)
