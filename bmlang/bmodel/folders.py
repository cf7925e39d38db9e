"""Combining folders as the official compiler writes them: a model with the inputs and outputs of a test run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from bmlang.bmodel.combine import Combined, Source, combine
from bmlang.bmodel.container import load
from bmlang.bmodel.errors import ReferenceDataError
from bmlang.bmodel.schema import NetParameter, Tensor, data_type_bits

__all__ = ["INPUTS", "MODEL", "OUTPUTS", "Folder", "combine_folders"]

MODEL, INPUTS, OUTPUTS = "compilation.bmodel", "input_ref_data.dat", "output_ref_data.dat"
"""Files of such a folder: the model, the inputs of all its stages one after the other, their outputs."""


@dataclass(frozen=True)
class Folder:
    """The contents of a combined folder: the model, and the data of all stages in the order of nets and stages."""

    combined: Combined
    inputs: bytes
    outputs: bytes


def combine_folders(paths: Sequence[Path], combiner: Callable[[Sequence[Source]], Combined] = combine) -> Folder:
    """Combines the models of folders, and puts their reference data into the order of the new model.

    Args:
        paths: the folders.
        combiner: how the models are combined, `combine` or `combine_coeff`.

    Raises:
        ReferenceDataError: a file with reference data has not the size that the tensors of the model take.
        OSError: a file is missing or cannot be read.
        BModelError: a model is damaged, or they cannot be combined (see `combine`).
    """
    sources = [Source(str(path / MODEL), load(path / MODEL)) for path in paths]
    combined = combiner(sources)
    pieces: dict[tuple[int, int], tuple[bytes, bytes]] = {}
    for path, source, places in zip(paths, sources, combined.places, strict=True):
        stages = [stage for net in source.model.net for stage in net.stages]
        inputs = _cut(path / INPUTS, stages, lambda stage: stage.input_tensor)
        outputs = _cut(path / OUTPUTS, stages, lambda stage: stage.output_tensor)
        pieces |= dict(zip(places, zip(inputs, outputs, strict=True), strict=True))
    ordered = [pieces[place] for place in sorted(pieces)]
    return Folder(combined, b"".join(piece for piece, _ in ordered), b"".join(piece for _, piece in ordered))


def _cut(path: Path, stages: Sequence[NetParameter], tensors: Callable[[NetParameter], Sequence[Tensor]]) -> list[bytes]:
    """The bytes of each stage."""
    sizes = [sum(_bytes(tensor, path) for tensor in tensors(stage)) for stage in stages]
    if path.stat().st_size != sum(sizes):
        raise ReferenceDataError(
            f"{path} has {path.stat().st_size} bytes, but the tensors of its model take {sum(sizes)}",
            help="give the folder that the compiler wrote, with all its files of one run",
        )
    data = path.read_bytes()
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    return [data[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _bytes(tensor: Tensor, path: Path) -> int:
    bits = data_type_bits(tensor.data_type)
    if bits is None:
        raise ReferenceDataError(f"{path}: nobody knows the size of data type {tensor.data_type} of tensor {tensor.name!r}")
    dims = (tensor.shape[0].dim or ()) if tensor.shape else ()
    return -(-prod(dims) * bits // 8)
