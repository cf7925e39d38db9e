"""Files with ONNX models. They come from anywhere: sizes are limited, and data beside the file stays inside its folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from bmlang.graph.graph import Array
from bmlang.importers.onnx.elements import ELEMENTS
from bmlang.importers.onnx.errors import OnnxFileError, OnnxLimitError, OnnxMissingError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

__all__ = ["LARGEST_FILE", "LARGEST_TENSOR", "OLDEST_OPSET", "Source", "read", "sorted_nodes"]

OLDEST_OPSET: Final = 7
LARGEST_FILE: Final = 2 << 30
"""Bytes of a file: protobuf has no larger messages."""
LARGEST_TENSOR: Final = 4 << 30
"""Bytes of one tensor."""


@dataclass(frozen=True)
class Source:
    """A model, and where it comes from.

    Attributes:
        model: what the file holds.
        name: of the file without its ending, or of the graph.
        folder: where data beside the file may be; None for none.
    """

    model: ModelProto
    name: str
    folder: Path | None

    @property
    def opsets(self) -> dict[str, int]:
        """Version of the operators of each domain."""
        return {_domain(each.domain): int(each.version) for each in self.model.opset_import}

    def array(self, tensor: TensorProto) -> Array:
        """The numbers of a tensor.

        Raises:
            OnnxFileError: they are not there, or not as many as its shape says.
            OnnxLimitError: they are too many.
        """
        from onnx import numpy_helper
        from onnx.external_data_helper import uses_external_data

        _check_size(tensor)
        try:
            if uses_external_data(tensor):
                return np.asarray(numpy_helper.to_array(self._with_data(tensor)))
            return np.asarray(numpy_helper.to_array(tensor))
        except (ValueError, TypeError, KeyError) as error:
            raise OnnxFileError(f"tensor {tensor.name!r} of {self.name}: {error}") from error

    def _with_data(self, tensor: TensorProto) -> TensorProto:
        """The tensor with its data inside."""
        from onnx import TensorProto
        from onnx.external_data_helper import ExternalDataInfo

        info = ExternalDataInfo(tensor)
        path = self._beside(tensor.name, str(info.location))
        offset, length = int(info.offset or 0), int(info.length or 0)
        size = path.stat().st_size
        length = length or size - offset
        if offset < 0 or length < 0 or offset + length > size:
            raise OnnxFileError(f"tensor {tensor.name!r} takes bytes {offset} to {offset + length} of {path.name}, which has {size}")
        if length > LARGEST_TENSOR:
            raise OnnxLimitError(
                f"tensor {tensor.name!r} takes {length:,} bytes of {path.name}", help=f"up to {LARGEST_TENSOR:,} are allowed"
            )
        with path.open("rb") as file:
            file.seek(offset)
            return TensorProto(name=tensor.name, dims=list(tensor.dims), data_type=tensor.data_type, raw_data=file.read(length))

    def _beside(self, name: str, location: str) -> Path:
        """A file beside the model, and nowhere else."""
        if self.folder is None:
            raise OnnxFileError(f"tensor {name!r} lies in {location!r}, beside a file", help="load the model by the path of its file")
        folder = self.folder.resolve()
        path = (folder / location).resolve()
        if Path(location).is_absolute() or not path.is_relative_to(folder):
            raise OnnxFileError(
                f"tensor {name!r} lies in {location!r}, outside of the model's folder", help="move the data beside the model"
            )
        if not path.is_file():
            raise OnnxFileError(f"tensor {name!r} lies in {location!r}, and there is no such file beside the model")
        return path


def _check_size(tensor: TensorProto) -> None:
    if any(size < 0 for size in tensor.dims) or tensor.data_type not in ELEMENTS:
        raise OnnxFileError(f"tensor {tensor.name!r} has the shape {list(tensor.dims)} and the data type {tensor.data_type}")
    if prod(tensor.dims) * 4 > LARGEST_TENSOR:
        raise OnnxLimitError(
            f"tensor {tensor.name!r} has the shape {list(tensor.dims)}", help=f"up to {LARGEST_TENSOR:,} bytes are allowed"
        )


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def read(source: str | os.PathLike[str] | bytes | ModelProto) -> Source:
    """A model from a file, from the bytes of one, or as it is.

    Raises:
        OnnxMissingError: the package `onnx` is not installed.
        OnnxFileError: it is no ONNX model.
        OnnxLimitError: it is too large.
        OSError: the file cannot be read.
    """
    try:
        from google.protobuf.message import DecodeError
        from onnx import ModelProto
    except ImportError:
        raise OnnxMissingError("the package onnx is not installed", help="pip install onnx") from None
    if isinstance(source, ModelProto):
        found = Source(source, source.graph.name or "model", None)
    else:
        path = None if isinstance(source, bytes) else Path(source)
        model, told = ModelProto(), "the bytes" if path is None else path.name
        try:
            model.ParseFromString(_bytes(path) if path is not None else cast("bytes", source))
        except (DecodeError, RecursionError) as error:
            raise OnnxFileError(f"{told} cannot be read: {error}", help="give a file that holds an ONNX model") from None
        found = Source(model, path.stem if path is not None else model.graph.name or "model", path.parent if path is not None else None)
    _check(found)
    return found


def _bytes(path: Path) -> bytes:
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise OnnxLimitError(
            f"{path.name} has {size:,} bytes", help=f"up to {LARGEST_FILE:,} are allowed; weights may lie beside the model"
        )
    return path.read_bytes()


def _check(source: Source) -> None:
    from onnx import defs

    version, newest = source.opsets.get(""), int(defs.onnx_opset_version())
    if not source.model.HasField("graph") or not source.model.opset_import:
        raise OnnxFileError(f"{source.name} has no graph, or says no version of its operators", help="give a file that holds an ONNX model")
    if version is not None and not OLDEST_OPSET <= version <= newest:
        raise OnnxFileError(
            f"{source.name} has operators of version {version}",
            help=f"versions {OLDEST_OPSET} to {newest} are known"
            + (" to the installed package onnx: update it" if version > newest else ": convert it with onnx.version_converter"),
        )


def sorted_nodes(graph: str, nodes: Sequence[NodeProto], known: Collection[str]) -> list[NodeProto]:
    """The nodes of a graph or function, each behind those whose results it takes.

    Args:
        graph: its name.
        nodes: as they are in the file.
        known: inputs, constants, and what the graph may take from around it.

    Raises:
        OnnxFileError: nodes wait for each other, a name has no maker, or two.
    """
    makers: dict[str, int] = {}
    for place, node in enumerate(nodes):
        for name in filter(None, node.output):
            if name in makers:
                raise OnnxFileError(f"{name!r} is made twice in graph {graph!r}")
            makers[name] = place
    waits: list[set[int]] = []
    for node in nodes:
        names = taken(node)
        if missing := sorted(name for name in names if name not in makers and name not in known):
            raise OnnxFileError(f"{missing[0]!r}, which {node.op_type} {node.name!r} takes, is made by nothing")
        waits.append({makers[name] for name in names if name in makers})
    if all(max(others, default=-1) < place for place, others in enumerate(waits)):
        return list(nodes)
    order = _ordered(waits)
    if len(order) < len(nodes):
        node = next(node for place, node in enumerate(nodes) if place not in set(order))
        raise OnnxFileError(f"nodes of graph {graph!r} wait for each other in a circle, {node.op_type} {node.name!r} among them")
    return [nodes[place] for place in order]


def _ordered(waits: Sequence[set[int]]) -> list[int]:
    """Numbers in an order in which each comes behind those that it waits for; those in a circle are missing."""
    users: dict[int, list[int]] = {}
    for place, others in enumerate(waits):
        for other in others:
            users.setdefault(other, []).append(place)
    left = [len(others) for others in waits]
    order = [place for place, count in enumerate(left) if not count]
    for place in order:  # grows while it is walked through
        for user in users.get(place, ()):
            left[user] -= 1
            if not left[user]:
                order.append(user)
    return order


def taken(node: NodeProto) -> set[str]:
    """The names that a node takes, also in graphs inside of it."""
    return {name for name in node.input if name} | {name for graph in inner_graphs(node) for name in _free(graph)}


def inner_graphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs among the attributes of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _free(graph: GraphProto) -> set[str]:
    """The names that a graph takes from around it."""
    made = {each.name for each in (*graph.input, *graph.initializer)} | {name for node in graph.node for name in node.output}
    used = {name for node in graph.node for name in taken(node)} | {each.name for each in graph.output if each.name}
    return used - made
