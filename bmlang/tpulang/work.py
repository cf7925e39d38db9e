"""A program on its way to a BModel: its graph, test data, references, and what is compared and written."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from bmlang.compiler.package import package
from bmlang.compiler.pipeline import compile_graph
from bmlang.graph.graph import Array, Graph
from bmlang.graph.parse import parse_graph
from bmlang.graph.text import SHOWN_ELEMENTS
from bmlang.layers.reference import run_reference
from bmlang.layers.tensor import here
from bmlang.program.compile import CompiledStage, Model
from bmlang.program.function import mode_of
from bmlang.runtime.references import open_arrays
from bmlang.tpulang.errors import CompileTensorsError, ReferenceMismatchError
from bmlang.tpulang.graph import current
from bmlang.tpulang.similarity import AS_COMPUTED, AS_WRITTEN, Comparison, compared
from bmlang.tpulang.tensor import Tensor
from tpukernel.chips.chip import Chip
from tpukernel.files import save_atomically, written_atomically

__all__ = ["References", "Work", "arrays_of", "calculated_in", "saved_arrays"]

Wide = NDArray[np.float64]
References = Mapping[str, Array]
GRAPH: Final = ".graph"
"""Ending of a program as text."""
WEIGHTS: Final = "_weights.npz"
"""End of the name of the file with its coefficients."""


@dataclass
class Work:
    """A compilation at work.

    Attributes:
        name: of the files, which may have a folder; its last part is the name of the net.
        chip: the chip.
        graph: the program.
        shown: the same with all its tensors as outputs.
        opt: level of optimisation, as of `bm.compile`.
        data: of inputs, for test runs; zeros where there are none, as in TpuLang.
        tensors: those of TpuLang that the program computes, by name, as far as they are known.
        files: what has been written.
        comparisons: what has been compared.
    """

    name: str
    chip: Chip
    graph: Graph
    shown: Graph
    opt: int = 2
    data: Mapping[str, Array] = field(default_factory=dict[str, Array])
    tensors: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    files: list[Path] = field(default_factory=list[Path])
    comparisons: list[Comparison] = field(default_factory=list[Comparison])

    @classmethod
    def of_session(cls, name: str, chip: Chip, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Work:
        """What the program in the session computes.

        Raises:
            CompileTensorsError: inputs or outputs do not belong to it.
        """
        program = current()
        graph, shown = (program.computation(Path(name).name, inputs, outputs, every=every) for every in (False, True))
        data = {each.name: each.buffer for each in inputs if each.buffer is not None and not each.is_preprocess}
        tensors = {each.name: each for each in program.tensors.values() if each.is_made}
        return cls(name, chip, graph, shown, data=data, tensors=tensors)

    @classmethod
    def of_file(cls, name: str, chip: Chip, path: Path) -> Work:
        """What a file of `save_graph` says.

        Raises:
            GraphError: the text is no graph.
            ReferenceArrayError: its coefficients cannot be read.
            OSError: a file cannot be read.
        """
        weights = path.with_name(f"{path.stem}{WEIGHTS}")
        graph = parse_graph(path.read_text(encoding="utf-8"), arrays_of(weights) if weights.exists() else {}, name=str(path))
        made = tuple(each for node in graph.nodes for each in node.outputs if each not in graph.outputs)
        named = replace(graph, name=Path(name).name)
        return cls(name, chip, named, replace(named, outputs=(*graph.outputs, *made)))

    # ------------------------------------------------------------------ data

    def test_data(self, refs: References) -> dict[str, Array]:
        """The inputs of a test run: references of their names, else their data, else zeros."""
        return {name: self._data(name, refs.get(name, self.data.get(name))) for name in self.graph.inputs}

    def _data(self, name: str, array: Array | None) -> Array:
        spec = self.graph.specs[name]
        if array is None:
            return np.zeros(spec.shape, spec.dtype.numpy)
        if array.size != np.prod(spec.shape, dtype=np.int64) or not np.can_cast(array.dtype, spec.dtype.numpy, "same_kind"):
            raise CompileTensorsError(
                f"the data of {name} are {array.dtype}{list(array.shape)}",
                position=here(),
                help=f"give {spec.dtype.name}{list(spec.shape)}",
            )
        return np.require(array.reshape(spec.shape).astype(spec.dtype.numpy), requirements="C")

    def wanted(self, refs: References) -> dict[str, Array]:
        """The references of tensors that are computed, in the shape of these.

        Raises:
            CompileTensorsError: there is no such tensor, or it has another number of elements.
        """
        found: dict[str, Array] = {}
        for name, array in refs.items():
            if name in self.graph.inputs:
                continue
            if name not in self.shown.outputs:
                known = ", ".join(self.shown.outputs)
                raise CompileTensorsError(
                    f"there is a reference for {name}, which the net does not compute", position=here(), help=f"its tensors are {known}"
                )
            shape = self.shown.specs[name].shape
            if array.size != np.prod(shape, dtype=np.int64):
                raise CompileTensorsError(
                    f"the reference of {name} has shape {list(array.shape)}", position=here(), help=f"the tensor has {list(shape)}"
                )
            found[name] = array.reshape(shape)
        return found

    def meant(self, values: Mapping[str, Array], wanted: Mapping[str, Array]) -> dict[str, Array]:
        """Tensors as their references have them: integers stand for numbers where the reference has floats."""
        found = dict(values)
        for name, reference in wanted.items():
            tensor = self.tensors.get(name)
            if tensor is not None and tensor.scale is not None and np.issubdtype(reference.dtype, np.floating):
                array = values[name].astype(np.float64)
                point = np.asarray(0 if tensor.zero_point is None else tensor.zero_point, np.float64)
                found[name] = (array - _channels(point, array)) * _channels(np.asarray(tensor.scale, np.float64), array)
        return found

    # ------------------------------------------------------------------ steps

    def numpy(self, data: Mapping[str, Array], wanted: Mapping[str, Array] | None) -> dict[str, Array]:
        """Every tensor as numpy computes it, beside the references.

        Raises:
            ReferenceMismatchError: they differ.
        """
        values = run_reference(self.shown, data)
        found = {name: values[name] for name in self.shown.outputs}
        self.save("top_outputs", found)
        if wanted:
            told = "the program in numpy and the references"
            self.check(compared(told, self.shown, self.meant(found, wanted), wanted, AS_WRITTEN))
        return found

    def simulated(self, label: str, data: Mapping[str, Array], wanted: Mapping[str, Array], what: str) -> dict[str, Array]:
        """Every tensor as a TPU computes it, beside references, which are called `what`.

        Raises:
            ReferenceMismatchError: they differ.
        """
        found = self.model(self.shown, label).run(**data)
        self.save(f"{label}_tpu_out", found)
        told = f"the {label} program on the TPU and {what}"
        self.check(compared(told, self.shown, self.meant(found, wanted), wanted, AS_COMPUTED))
        return found

    def run_model(self, model: Model, label: str, data: Mapping[str, Array], wanted: Mapping[str, Array]) -> None:
        """Run the BModel, beside what the program has given.

        Raises:
            ReferenceMismatchError: they differ.
        """
        found = model.run(**data)
        self.save(f"{label}_model_out", found)
        self.check(
            compared(f"{graph_file(self.name, label).name} and the {label} program on the TPU", self.graph, found, wanted, AS_COMPUTED)
        )

    def model(self, graph: Graph, label: str) -> Model:
        """The BModel of a graph in a mode; "int8" is that in which every tensor keeps its type."""
        done, emission = compile_graph(graph, mode_of(calculated_in(label)), self.chip, opt=self.opt)
        return Model(package([(graph.name, [(done, emission)])], self.chip), (CompiledStage(graph.name, done, emission),))

    def check(self, comparison: Comparison) -> None:
        """Keep a comparison.

        Raises:
            ReferenceMismatchError: something differs.
        """
        if comparison.tensors:
            self.comparisons.append(comparison)
        first = comparison.first
        if first is not None:
            raise ReferenceMismatchError(
                str(comparison), position=first.position, help="look at the operators named, or give cmp=False to compile all the same"
            )

    # ------------------------------------------------------------------ files

    def save_model(self, model: Model, label: str) -> None:
        """Write the BModel."""
        self.files.append(model.save(graph_file(self.name, label)))

    def save(self, suffix: str, arrays: Mapping[str, Array]) -> None:
        """Write arrays to a file of the net."""
        self.files.append(saved_arrays(Path(f"{self.name}_{suffix}.npz"), arrays))

    def save_graph(self, stem: str) -> None:
        """Write the program as text, and its coefficients beside it."""
        path = Path(f"{stem}{GRAPH}")
        save_atomically(path, [f"{self.graph}\n".encode()])
        weights = {name: array for name, array in self.graph.constants.items() if array.size > SHOWN_ELEMENTS}
        self.files += [path, saved_arrays(Path(f"{stem}{WEIGHTS}"), weights)]


def graph_file(name: str, label: str) -> Path:
    """The BModel of a program in a mode."""
    return Path(f"{name}_{label}.bmodel")


def calculated_in(label: str) -> str:
    """The mode of `bmlang` for a mode of TpuLang."""
    return "f32" if label == "int8" else label


def arrays_of(path: Path) -> dict[str, Array]:
    """The arrays of a file by name.

    Raises:
        ReferenceArrayError: the file cannot be read.
        OSError: likewise.
    """
    with open_arrays(path) as arrays:
        return {name: arrays.array(name) for name in arrays.names()}


def saved_arrays(path: Path, arrays: Mapping[str, Array]) -> Path:
    """Write arrays so that `numpy.load` reads them; the same arrays make the same bytes. bf16 is written as float32."""
    with written_atomically(path) as file:
        _write(file, arrays)
    return path


def _write(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            plain = array.astype(np.float32) if array.dtype.kind == "V" else array
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy_format.write_array(member, np.ascontiguousarray(plain), allow_pickle=False)


def _channels(numbers: Wide, like: Wide) -> Wide:
    """One number, or those of the channels, in the shape in which they are broadcast."""
    return numbers if not numbers.ndim else numbers.reshape(-1, *[1] * (like.ndim - 2))
