"""The folder that the official compilers write: a model with the inputs and outputs of a test run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bmlang.bmodel import BModel
from bmlang.bmodel.folders import INPUTS, MODEL, OUTPUTS
from bmlang.compiler.errors import CompileArgumentError
from bmlang.graph.graph import Array
from bmlang.runtime import Network, Runtime
from tpukernel.dtypes import dtype_of
from tpukernel.files import save_atomically
from tpukernel.testing.values import random

__all__ = ["IO_INFO", "save_folder"]

IO_INFO: Final = "io_info.dat"
"""What lies where in the two files, as text. (The official compilers have a file of this name; nobody says what is in it, and no tool reads
it.)"""


def save_folder(bmodel: BModel, runtime: Runtime, folder: Path, inputs: Mapping[str, Sequence[Mapping[str, Array]]]) -> Path:
    """Write model, inputs, outputs and what lies where in these; see `Model.save_folder`."""
    nets = list(runtime.nets.values())
    if unknown := inputs.keys() - {net.name for net in nets}:
        raise CompileArgumentError(f"there are inputs for {', '.join(sorted(unknown))}", help=f"the nets are {', '.join(runtime.nets)}")
    read, written, told = list[bytes](), list[bytes](), list[str]()
    for net in nets:
        for stage, arrays in enumerate(_stages(net, inputs.get(net.name))):
            results = net.run(arrays, stage=stage)
            for direction, names, values, target in (
                ("input", net.inputs, arrays, read),
                ("output", net.outputs, results, written),
            ):
                for tensor in names:
                    data = tensor.filled_up(values[tensor.name], stage)
                    shape = ", ".join(map(str, tensor.shapes[stage]))
                    told.append(f"{net.name} {stage} {direction} {tensor.name} {tensor.dtype}[{shape}] {sum(map(len, target))} {len(data)}")
                    target.append(data)
    folder.mkdir(parents=True, exist_ok=True)
    heading = "net stage direction tensor type[shape] offset bytes"
    save_atomically(folder / INPUTS, read)
    save_atomically(folder / OUTPUTS, written)
    save_atomically(folder / IO_INFO, ["\n".join([heading, *told, ""]).encode()])
    bmodel.save(folder / MODEL)
    return folder


def _stages(net: Network, given: Sequence[Mapping[str, Array]] | None) -> Iterator[Mapping[str, Array]]:
    if given is not None and len(given) != net.stage_count:
        raise CompileArgumentError(
            f"there are inputs for {len(given)} stages of {net.name}, which has {net.stage_count}", help="give inputs for each stage"
        )
    for stage in range(net.stage_count):
        if given is not None:
            yield given[stage]
        else:
            places = enumerate(net.inputs)
            yield {
                tensor.name: random(tensor.shapes[stage], dtype_of(tensor.dtype), stage * len(net.inputs) + place)
                for place, tensor in places
            }
