"""`compile`: functions and shapes become a BModel."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np

from bmlang.bmodel import BModel
from bmlang.bmodel.schema import NetParameter
from bmlang.compiler.dynamic import DynamicProgram, dynamic_parameter, largest, layers_of
from bmlang.compiler.emit import Emission
from bmlang.compiler.errors import CompileArgumentError
from bmlang.compiler.package import package_stages, stage_of
from bmlang.compiler.pipeline import LEVELS, compile_graph
from bmlang.graph.graph import Array, Graph
from bmlang.program.folder import save_folder
from bmlang.program.function import Buildable, Function, Specs, mode_of
from bmlang.program.kernels import with_kernel_texts
from bmlang.program.report import model_facts, report_page
from bmlang.program.varying import traced_varying, varies
from bmlang.runtime import Runtime
from tpukernel.chips.chip import Chip, chip_of
from tpukernel.cost import Timeline
from tpukernel.dtypes import Dtype
from tpukernel.files import save_atomically

__all__ = ["CompiledStage", "Model", "compile"]

Stages = Sequence[Specs] | Mapping[str, Sequence[Specs]]
"""The stages of the only function, or those of each by its name."""


@dataclass(frozen=True)
class CompiledStage:
    """A function for one set of shapes.

    Attributes:
        net: name of the function.
        graph: what is computed, after all passes; of a dynamic stage for its largest shapes, each part on its own.
        emission: the program, and where everything lies.
    """

    net: str
    graph: Graph
    emission: Emission

    def timeline(self) -> Timeline:
        """When each command runs, as the official compiler counts cycles."""
        return self.emission.program.timeline()


@dataclass(frozen=True)
class Model:
    """What `compile` makes.

    Attributes:
        bmodel: the file.
        stages: what it holds.
    """

    bmodel: BModel
    stages: tuple[CompiledStage, ...]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the BModel; an older file of the name is replaced only when the new one is complete.

        Raises:
            OSError: the file cannot be written.
        """
        target = Path(path)
        self.bmodel.save(target)
        return target

    def save_folder(self, path: str | os.PathLike[str], inputs: Mapping[str, Sequence[Mapping[str, Array]]] | None = None) -> Path:
        """Write a folder as the official compilers do: the model, and for `bmrt_test` inputs and the outputs that a chip has for them.

        Args:
            path: the folder; it is made where it is missing.
            inputs: for each net the inputs of each of its stages by name; random numbers where nothing is said.

        Raises:
            CompileArgumentError: there is no such net, or it has another number of stages.
            RuntimeModelError: the inputs do not fit.
            OSError: a file cannot be written.
        """
        return save_folder(self.bmodel, self.runtime, Path(path), inputs or {})

    def report(self, path: str | os.PathLike[str] | None = None) -> str:
        """What the model holds and how long it takes, as one page of HTML: nets, stages, layers, memory, timeline.

        Args:
            path: where the page is written to, too.

        Raises:
            OSError: the file cannot be written.
        """
        page = report_page(model_facts(self.bmodel, ", ".join(net.name for net in self.bmodel.model.net)))
        if path is not None:
            save_atomically(Path(path), [page.encode()])
        return page

    @cached_property
    def runtime(self) -> Runtime:
        """The model on a simulated TPU."""
        return Runtime(self.bmodel)

    def run(self, net: str | None = None, /, **inputs: Array) -> dict[str, Array]:
        """The outputs of a net by name; the only net where none is named. Inputs and errors are those of `Runtime`."""
        names = list(self.runtime.nets)
        if not isinstance(cast("object", net), str | None):
            raise CompileArgumentError("an input was given without its name", help="give inputs by name: model.run(x=array)")
        if net is None and len(names) != 1:
            raise CompileArgumentError(f"the model has the nets {', '.join(names)}", help="name the one to run")
        return dict(self.runtime[net or names[0]].run({name: np.ascontiguousarray(array) for name, array in inputs.items()}))


def compile(
    functions: Function | Buildable | Sequence[Function | Buildable],
    *,
    stages: Stages,
    attrs: Mapping[str, object] | None = None,
    chip: Chip | str = "BM1684X",
    mode: str = "f32",
    dynamic: bool | Collection[str] = False,
    opt: int = 2,
    dump_dir: str | os.PathLike[str] | None = None,
) -> Model:
    """Compile functions to a BModel.

    Args:
        functions: one or several, or models that were imported; each becomes a net of its name.
        stages: for each set of shapes the inputs by name: a shape, meaning f32, or `spec(shape, dtype)`. With several functions, a mapping
            from their names to such lists.
        attrs: keywords for the functions that have them.
        chip: the chip or its name.
        mode: what f32 is computed in: "f32", "f16" or "bf16". Inputs and outputs stay f32.
        dynamic: whether sizes vary, of all functions or of those named: the shapes given are the largest ones. Sizes said with `upto` vary;
            where a stage has none, all but those of the second dimension. The file holds such a function as text, and a runtime compiles it
            when it knows the shapes.
        opt: level of optimisation: 0 each operator by itself, 1 neighbours together, 2 also what may change last bits, as factors of
            channels that become a part of weights.
        dump_dir: a folder for the graph after each pass, as text.

    Raises:
        CompileArgumentError: a function has no stages, or an option is unknown.
        GraphError, TpuError: a function cannot be compiled; the message names the user's line.
    """
    if opt not in LEVELS:
        raise CompileArgumentError(f"there is no level {opt!r} of optimisation", help=f"choose from {LEVELS}")
    several = functions if isinstance(functions, Sequence) else [functions]
    given = [each if isinstance(each, Function) else Function(each) for each in several]
    _check_names(given, stages)
    chosen = _dynamic_names(given, dynamic)
    job = _Job(mode_of(mode), chip_of(chip), opt, None if dump_dir is None else Path(dump_dir))
    nets: dict[str, list[_Stage]] = {}
    for function in given:
        some = stages.get(function.name, ()) if isinstance(stages, Mapping) else stages
        if not some:
            raise CompileArgumentError(f"function {function.name} has no stages", help="give a mapping from input to shape for each stage")
        values = {name: value for name, value in (attrs or {}).items() if name in function.signature.defaults}
        compiled = job.dynamic if function.name in chosen else job.static
        nets[function.name] = [compiled(function, specs, values, number if len(some) > 1 else None) for number, specs in enumerate(some)]
    _check_attrs(given, attrs or {})
    for name, made in nets.items():
        _check_stages(name, [stage.graph for stage in made])
    bmodel = package_stages([(name, [stage.parameter for stage in made]) for name, made in nets.items()], job.chip)
    return Model(bmodel, tuple(part for made in nets.values() for stage in made for part in stage.parts))


@dataclass(frozen=True)
class _Stage:
    """A stage as the file has it, and what it was made of."""

    parameter: NetParameter
    graph: Graph
    parts: tuple[CompiledStage, ...]


@dataclass(frozen=True)
class _Job:
    """How functions are compiled."""

    mode: Dtype
    chip: Chip
    opt: int
    dump: Path | None

    def static(self, function: Function, specs: Specs, attrs: Mapping[str, object], number: int | None) -> _Stage:
        """A stage for these shapes."""
        if isinstance(cast("object", specs), Mapping) and varies(specs):
            raise CompileArgumentError(
                f"a stage of {function.name} says sizes with upto", help="compile with dynamic=True, or give plain sizes"
            )
        folder = self.dump if self.dump is None or number is None else self.dump / f"stage{number}"
        graph, emission = compile_graph(function.traced(specs, **attrs), self.mode, self.chip, folder, self.opt)
        return _Stage(stage_of(graph, emission, self.chip), graph, (CompiledStage(function.name, graph, emission),))

    def dynamic(self, function: Function, specs: Specs, attrs: Mapping[str, object], number: int | None) -> _Stage:
        """A stage for any shapes up to these."""
        graph = traced_varying(function, specs, attrs)
        graph, kernels = with_kernel_texts(graph, self.mode, self.chip)
        program = DynamicProgram(graph, self.mode, self.opt, layers_of(kernels))
        folder = self.dump if self.dump is None or number is None else self.dump / f"stage{number}"
        parts = largest(program, self.chip, folder)
        compiled = tuple(CompiledStage(function.name, *part) for part in parts)
        return _Stage(dynamic_parameter(program, kernels, parts, self.chip), graph, compiled)


def _dynamic_names(functions: Sequence[Function], dynamic: bool | Collection[str]) -> set[str]:
    """The functions whose sizes vary."""
    names = {function.name for function in functions}
    if isinstance(dynamic, bool):
        return names if dynamic else set()
    chosen = {dynamic} if isinstance(dynamic, str) else set(dynamic)
    if unknown := chosen - names:
        raise CompileArgumentError(f"{', '.join(sorted(unknown))} shall be dynamic", help=f"the functions are {', '.join(sorted(names))}")
    return chosen


def _check_names(functions: Sequence[Function], stages: Stages) -> None:
    names = [function.name for function in functions]
    if not names or len(set(names)) < len(names):
        raise CompileArgumentError(
            f"there are several functions {max(names, key=names.count)}" if names else "there is no function to compile",
            help="give functions of different names: each becomes a net",
        )
    unknown = set(stages) - set(names) if isinstance(stages, Mapping) else set[str]()
    if unknown:
        raise CompileArgumentError(
            f"there are stages for {', '.join(map(str, sorted(unknown)))}, which is no function",
            help=f"give a list with the shapes of each stage by input, or such a list for each of {', '.join(names)}",
        )


def _check_stages(net: str, graphs: Sequence[Graph]) -> None:
    """A runtime chooses a stage by the shapes of the inputs, and everything else is the same in all of them."""
    shapes = [tuple(graph.specs[name].shape for name in graph.inputs) for graph in graphs]
    for number, shape in enumerate(shapes):
        if shape in shapes[:number]:
            raise CompileArgumentError(f"stages {shapes.index(shape)} and {number} of {net} are for the same shapes", help="leave one out")
    first, *others = [[(name, graph.specs[name].dtype) for name in (*graph.inputs, *graph.outputs)] for graph in graphs]
    for number, other in enumerate(others, 1):
        if other != first:
            one, two = (", ".join(f"{name} {dtype.name}" for name, dtype in each) for each in (first, other))
            raise CompileArgumentError(
                f"stage {number} of {net} has inputs and outputs {two}, stage 0 has {one}",
                help="only shapes differ between the stages of a net",
            )


def _check_attrs(functions: Sequence[Function], attrs: Mapping[str, object]) -> None:
    known = {name for function in functions for name in function.signature.defaults}
    if unknown := attrs.keys() - known:
        raise CompileArgumentError(
            f"no function has a keyword {', '.join(sorted(unknown))}", help=f"there are {', '.join(sorted(known)) or 'none'}"
        )
