"""ONNX models to BModels, as the front-end of that name does it::

    from bmlang import bmneto

    made = bmneto.compile("blazeface.onnx", shapes=[[1, 3, 128, 128]], outdir="blazeface", quantize="F16")
    assert made, made.comparisons[0]        # every tensor is what onnxruntime has

The folder has what the official compilers write: `compilation.bmodel`, `input_ref_data.dat`, `output_ref_data.dat`, `io_info.dat`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from bmlang.compiler.errors import CompileArgumentError
from bmlang.graph.dims import Dim
from bmlang.graph.graph import Array
from bmlang.importers.onnx import OnnxModel
from bmlang.importers.onnx.evaluate import OnnxruntimeAbsent, evaluate
from bmlang.importers.onnx.part import part_of
from bmlang.importers.onnx.reader import read
from bmlang.program.convert import Conversion, Evaluate, Imported, Settings, convert

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["MODES", "NET_NAME", "OUTDIR", "PRECISIONS", "TARGET", "Shapes", "compile"]

Shapes: TypeAlias = "Mapping[str, Sequence[int]] | Sequence[int] | Sequence[Sequence[int]] | Sequence[Sequence[Sequence[int]]]"
"""Shapes of the inputs: by name, or in the order of the inputs; that of the only input; or a list of one such list for each stage."""
NET_NAME: Final = "network"
OUTDIR: Final = "compilation"
TARGET: Final = "BM1684X"
PRECISIONS: Final[Mapping[str, str]] = {"F32": "f32", "F16": "f16", "BF16": "bf16"}
"""Names of the modes on the command line."""
MODES: Final = ("compile", "GenUmodel")
"""What the official front-ends make. The second is a model for their quantiser."""


def compile(
    model: str | os.PathLike[str] | bytes | ModelProto,
    *,
    shapes: Shapes | None = None,
    net_name: str = NET_NAME,
    target: str = TARGET,
    outdir: str | os.PathLike[str] = OUTDIR,
    opt: int = 2,
    dyn: bool = False,
    cmp: bool = True,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    mode: str = "compile",
    quantize: str = "F32",
    test_inputs: Sequence[Mapping[str, Array] | str | os.PathLike[str]] | None = None,
    tolerance: float | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Conversion:
    """Compile an ONNX model, compare it, and write the folder of the official compilers.

    Args:
        model: a file, its bytes, or a `ModelProto`.
        shapes: of the inputs; see `Shapes`. By default those of the file.
        net_name: what the net is called in the BModel.
        target: the chip.
        outdir: the folder; it is made where it is missing.
        opt: level of optimisation, 0 to 2, as of `bm.compile`.
        dyn: sizes vary up to those given: those that the file leaves open, as `batch`, and sizes of one name are equal. Where it leaves
            none open, all but those of the second dimension; where `shapes` says sizes with `bm.upto`, these.
        cmp: compare each tensor with onnxruntime, or with numpy where that is not installed, and say where the first difference arises.
        input_names: tensors that are given; what makes them is left out. By default the inputs of the model.
        output_names: tensors that are wanted. By default the outputs of the model.
        mode: "compile".
        quantize: "F32", "F16" or "BF16": what f32 is computed in. Inputs and outputs stay f32.
        test_inputs: for each stage the inputs of the test run by name, or an `.npz` file with them; random numbers where nothing is said.
        tolerance: what a tensor may be off from onnxruntime, as a share of its largest number; by default 1e-4, 2e-2 (F16), 1e-1 (BF16).
        progress: is told what is being done.

    Returns:
        The model, the folder and the comparisons; it is true where nothing differs.

    Raises:
        CompileArgumentError: an option is unknown or not possible.
        GraphError: the model cannot be imported or compiled; the message names the node.
        OSError: a file cannot be read or written.
    """
    _check(mode, quantize)
    progress("reading")
    source = part_of(read(model), input_names, output_names)
    declared = OnnxModel(source, net_name).inputs
    stages = [OnnxModel(source, net_name, each) for each in _stages(shapes, declared)]
    settings = Settings(target, PRECISIONS[quantize.upper()], opt, dyn, Path(outdir), tolerance)
    return convert(stages, settings, inputs=test_inputs, evaluate=_evaluate if cmp else None, progress=progress)


def _check(mode: str, quantize: str) -> None:
    if mode != "compile":
        known = mode in MODES
        raise CompileArgumentError(
            f"the mode {mode} makes models for a quantiser, which there is not yet" if known else f"there is no mode {mode!r}",
            help="use the mode compile",
        )
    if quantize.upper() not in PRECISIONS:
        what = "INT8 needs ranges of all tensors, which nobody measures yet" if quantize.upper() == "INT8" else f"no precision {quantize!r}"
        raise CompileArgumentError(what, help=f"choose from {', '.join(PRECISIONS)}")


def _evaluate(stage: Imported) -> Evaluate:
    def run(inputs: Mapping[str, Array], names: Sequence[str]) -> tuple[str, Mapping[str, Array]]:
        try:
            return evaluate(cast("OnnxModel", stage).source, inputs, names)
        except OnnxruntimeAbsent as reason:
            return f"numpy ({reason})", {}

    return run


def _stages(shapes: Shapes | None, inputs: Sequence[str]) -> list[Mapping[str, Sequence[int]]]:
    """The shapes of each stage by input."""
    if shapes is None:
        return [{}]
    if isinstance(shapes, Mapping):
        return [shapes]
    depth, inner = 0, cast("object", shapes)
    while isinstance(inner, Sequence) and not isinstance(inner, str) and inner:
        depth, inner = depth + 1, cast("Sequence[object]", inner)[0]
    stages = {1: [[shapes]], 2: [shapes], 3: list(shapes)}.get(depth)
    if stages is None:
        raise CompileArgumentError(f"the shapes are {shapes!r}", help="give a shape for each input: [[1, 3, 224, 224], [1, 10]]")
    return [_named(cast("Sequence[Sequence[int]]", stage), inputs) for stage in stages]


def _named(shapes: Sequence[Sequence[int]], inputs: Sequence[str]) -> Mapping[str, Sequence[int]]:
    if len(shapes) != len(inputs):
        raise CompileArgumentError(
            f"there are shapes for {len(shapes)} inputs of {len(inputs)}", help=f"the inputs are {', '.join(inputs) or 'none'}"
        )
    try:
        return {
            name: [size if isinstance(size, Dim) else index(size) for size in shape] for name, shape in zip(inputs, shapes, strict=True)
        }
    except TypeError:
        raise CompileArgumentError(f"the shapes are {shapes!r}", help="give a shape for each input: [[1, 3, 224, 224], [1, 10]]") from None
