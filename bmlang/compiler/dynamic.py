"""Dynamic stages: a graph whose sizes vary goes into the file as text, and becomes programs when the shapes are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bmlang.bmodel.dynamic_code import ConstantPlace, DynamicCode, dynamic_code_of
from bmlang.bmodel.schema import NetParameter, Tensor
from bmlang.bmodel.section import align
from bmlang.bmodel.stages import coefficients, dynamic_stage, io_tensor
from bmlang.compiler.concrete import check_guards, concrete, sizes_of
from bmlang.compiler.emit import Emission
from bmlang.compiler.package import stage_of
from bmlang.compiler.pipeline import BEST, LEVELS, compile_graph
from bmlang.compiler.places import bytes_of
from bmlang.compiler.segments import found_sizes, segments
from bmlang.graph.errors import GraphError, GraphSizeError
from bmlang.graph.graph import Graph
from bmlang.graph.parse import parse_graph
from bmlang.graph.text import SHOWN_ELEMENTS
from bmlang.layers.base import Layer
from bmlang.layers.custom import TextKernelLayer
from bmlang.layers.registry import with_layers
from tpukernel.chips.chip import Chip
from tpukernel.dtypes import DTYPES, Dtype, dtype_of
from tpukernel.lang.text.reading import parse

__all__ = ["DynamicProgram", "dynamic_parameter", "largest", "layers_of"]


@dataclass(frozen=True)
class DynamicProgram:
    """A function for any shapes up to the largest ones.

    Attributes:
        graph: with sizes that vary.
        mode: what f32 is computed in.
        opt: level of optimisation.
        layers: those that came with the graph, by name.
    """

    graph: Graph
    mode: Dtype
    opt: int = BEST
    layers: Mapping[str, Layer] = field(default_factory=dict[str, Layer])

    @classmethod
    def read(cls, stage: NetParameter) -> DynamicProgram:
        """What a stage of a file holds.

        Raises:
            DynamicCodeError: it is damaged, or of another version.
            GraphError: the text in it is no graph.
            KernelError: the text of a kernel is none.
        """
        code, constants = dynamic_code_of(stage)
        if code.mode not in DTYPES or code.opt not in LEVELS:
            raise GraphError(f"a dynamic stage computes in {code.mode!r}, optimised by {code.opt!r}", help="compile the model again")
        return cls(parse_graph(code.graph, constants), DTYPES[code.mode], code.opt, layers_of(code.kernels))

    @cached_property
    def segments(self) -> tuple[Graph, ...]:
        """The parts that run one after the other."""
        return segments(self.graph)

    @cached_property
    def found(self) -> Mapping[str, tuple[str, int]]:
        """The sizes that are known only when a part has run: the tensor and its dimension."""
        return found_sizes(self.graph)

    def refusal(self, shapes: Mapping[str, Sequence[int]]) -> GraphSizeError | None:
        """Why the function does not take inputs of these shapes; None where their sizes say nothing against it."""
        try:
            check_guards(self.graph, sizes_of(self.graph, shapes))
        except GraphSizeError as error:
            return error
        return None

    def with_layers(self) -> AbstractContextManager[None]:
        """Inside, the layers that came with the graph are known."""
        return with_layers(self.layers)

    def compiled(self, segment: int, sizes: Mapping[str, int], chip: Chip, dump: Path | None = None) -> tuple[Graph, Emission]:
        """A part for the sizes that are known when it runs.

        Raises:
            GraphSizeError: the function was not made for them.
            GraphError, TpuError: the part cannot be compiled for them.
        """
        with self.with_layers():
            return compile_graph(concrete(self.segments[segment], sizes), self.mode, chip, dump, self.opt)

    def parameter(self, segment: int, sizes: Mapping[str, int], chip: Chip) -> NetParameter:
        """A part as a static stage; arguments and errors as of `compiled`."""
        return stage_of(*self.compiled(segment, sizes, chip), chip)


def layers_of(kernels: Mapping[str, str]) -> dict[str, Layer]:
    """The layers of kernels that are texts.

    Raises:
        KernelError: a text is no kernel.
    """
    return {name: TextKernelLayer.of(name, parse(text, name=f"<kernel {name}>")) for name, text in kernels.items()}


def largest(program: DynamicProgram, chip: Chip, dump: Path | None = None) -> list[tuple[Graph, Emission]]:
    """All parts for their largest sizes, with a folder for the graph after each pass; raises as `DynamicProgram.compiled`."""
    assert program.graph.variation is not None  # noqa: S101
    sizes = program.graph.variation.largest()
    return [program.compiled(number, sizes, chip, dump) for number in range(len(program.segments))]


def dynamic_parameter(program: DynamicProgram, kernels: Mapping[str, str], parts: list[tuple[Graph, Emission]], chip: Chip) -> NetParameter:
    """The stage of a file.

    Args:
        program: the function.
        kernels: the texts of the kernels of its layers, by name of the layer.
        parts: what `largest` gives: how much memory it takes.
        chip: the chip.
    """
    graph = program.graph
    numbers = () if graph.variation is None else graph.variation.numbers.keys()
    beside = {name: value for name, value in graph.constants.items() if value.size > SHOWN_ELEMENTS and name not in numbers}
    coeff = coefficients(chip, beside)
    offsets = [place.offset for place in coeff.location or ()]
    places = {
        name: ConstantPlace(dtype_of(value.dtype), value.shape, offset)
        for (name, value), offset in zip(beside.items(), offsets, strict=True)
    }
    code = DynamicCode(program.mode.name, program.opt, str(graph), kernels, places)
    start = end = coeff.address + (coeff.binary_coeff.size if coeff.binary_coeff else 0)
    tensors: dict[str, Tensor] = {}
    for name in (*graph.inputs, *graph.outputs):
        tensors[name] = io_tensor(name, graph.specs[name].dtype, _plain(graph.specs[name].shape), end)
        end += align(bytes_of(graph.specs[name]))
    return dynamic_stage(
        code.data(),
        inputs=[tensors[name] for name in graph.inputs],
        outputs=[tensors[name] for name in graph.outputs],
        ctx_addr=start,
        ctx_size=end - start + max(emission.memory.size for _, emission in parts),
        coeff=coeff if beside else None,
    )


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(size) for size in shape)
