"""The command `bmrt_test`: runs the nets of a BModel, compares their outputs with reference data, and tells how long it took.

A folder of the compiler has `compilation.bmodel`, `input_ref_data.dat` and `output_ref_data.dat`; the data are the bytes of the inputs
(outputs) of all stages of all nets, one behind the other. Without reference data the inputs are random numbers, the same ones each time.

Exit codes: 0 done, and every comparison succeeded; 1 anything else; 2 a command line that cannot be understood.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from time import perf_counter
from typing import cast

import numpy as np

from bmlang.bmodel.errors import ReferenceDataError
from bmlang.bmodel.folders import INPUTS, MODEL, OUTPUTS
from bmlang.cli.output import printable
from bmlang.runtime.errors import NetworkNameError, StageChoiceError
from bmlang.runtime.network import IoTensor, Network
from bmlang.runtime.runtime import Runtime
from tpukernel.errors import TpuError
from tpukernel.sim.memory import Array

__all__ = ["main"]

SHOWN = 4
"""Elements of an array that are printed."""
SEED = 1

Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Options:
    """The command line."""

    model: Path
    inputs: Path | None
    outputs: Path | None
    loops: int
    net: int | None
    stage: int | None
    shapes: list[Shape] | None
    accuracy_f: float
    accuracy_i: int


@dataclass(frozen=True)
class _Job:
    """A stage to run, with the places of its reference data."""

    network: Network
    net_number: int
    stage: int
    input_at: int
    output_at: int

    @property
    def title(self) -> str:
        return f"network[{printable(self.network.name)}] stage[{self.stage}]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `arguments` without the program's name. Returns the exit code."""
    try:
        return _run(_options(arguments))
    except TpuError as error:
        message = "; ".join(" ".join(line.split()) for line in str(error).splitlines())
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    print(f"bmrt_test: {printable(message)}", file=sys.stderr)
    return 1


# ------------------------------------------------------------------ command line


def _options(arguments: Sequence[str] | None) -> _Options:
    parser = argparse.ArgumentParser("bmrt_test", description="Run the nets of a BModel and compare their outputs with reference data.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-d", "--context_dir", type=Path, help=f"folder with {MODEL}, {INPUTS} and {OUTPUTS}")
    source.add_argument("--bmodel", type=Path, help="a file; without --input_ref its inputs are random")
    parser.add_argument("-c", "--compare", type=int, choices=(0, 1), default=1, help="compare with the reference data (default 1)")
    parser.add_argument("-l", "--loopnum", type=_positive, default=1, help="how often each stage runs")
    parser.add_argument("--net_idx", type=int, help="only this net, counted from 0")
    parser.add_argument("--stage_idx", type=int, help="only this stage, counted from 0")
    parser.add_argument("--shapes", type=_shapes, help="only the stage with these input shapes: [1,3,8,8],[1,10]")
    parser.add_argument("--input_ref", type=Path, help="file with the inputs")
    parser.add_argument("--output_ref", type=Path, help="file with the outputs to compare with")
    parser.add_argument("--accuracy_f", type=float, default=0.01, help="allowed difference of floats, relative above 1 (default 0.01)")
    parser.add_argument("--accuracy_i", type=int, default=0, help="allowed difference of integers (default 0)")
    given: Mapping[str, object] = vars(parser.parse_args(arguments))
    folder = cast("Path | None", given["context_dir"])
    inputs = cast("Path | None", given["input_ref"]) or (folder and folder / INPUTS)
    outputs = cast("Path | None", given["output_ref"]) or (folder and folder / OUTPUTS)
    if outputs and not inputs:
        parser.error("--output_ref needs the inputs: give --input_ref or --context_dir")
    return _Options(
        model=folder / MODEL if folder else cast("Path", given["bmodel"]),
        inputs=inputs,
        outputs=outputs if given["compare"] else None,
        loops=cast("int", given["loopnum"]),
        net=cast("int | None", given["net_idx"]),
        stage=cast("int | None", given["stage_idx"]),
        shapes=cast("list[Shape] | None", given["shapes"]),
        accuracy_f=cast("float", given["accuracy_f"]),
        accuracy_i=cast("int", given["accuracy_i"]),
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _shapes(text: str) -> list[Shape]:
    compact = text.replace(" ", "")
    if not re.fullmatch(r"\[(\d+(,\d+)*)?\](,\[(\d+(,\d+)*)?\])*", compact):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form [1,3,8,8],[1,10]")
    return [tuple(int(dim) for dim in re.findall(r"\d+", dims)) for dims in compact.split("],[")]


# ------------------------------------------------------------------ running


def _run(options: _Options) -> int:
    start = perf_counter()
    runtime = Runtime(options.model)
    seconds = perf_counter() - start
    print(f"load bmodel {printable(str(options.model))}: chip {printable(runtime.chip)}, {len(runtime.nets)} nets, {seconds:.6f} s")
    jobs = [*_jobs(runtime)]
    inputs = _reference(options.inputs, sum(_stage_bytes(job.network.inputs, job.stage) for job in jobs))
    outputs = _reference(options.outputs, sum(_stage_bytes(job.network.outputs, job.stage) for job in jobs))
    chosen = _chosen(jobs, options)
    results = [_test(job, options, inputs, outputs) for job in chosen]
    return 0 if all(results) else 1


def _jobs(runtime: Runtime) -> Iterator[_Job]:
    input_at = output_at = 0
    for number, network in enumerate(runtime.nets.values()):
        for stage in range(network.stage_count):
            yield _Job(network, number, stage, input_at, output_at)
            input_at += _stage_bytes(network.inputs, stage)
            output_at += _stage_bytes(network.outputs, stage)


def _chosen(jobs: Sequence[_Job], options: _Options) -> list[_Job]:
    found = [job for job in jobs if options.net in (None, job.net_number)]
    if not found:
        raise NetworkNameError(
            f"there is no net {options.net}", help=f"the file has {len({job.net_number for job in jobs})}, counted from 0"
        )
    found = [job for job in found if options.stage in (None, job.stage)]
    found = [job for job in found if options.shapes in (None, [tensor.shapes[job.stage] for tensor in job.network.inputs])]
    if not found:
        raise StageChoiceError("no net has such a stage", help="tpu_model --info prints the stages and their shapes")
    return found


def _stage_bytes(tensors: Sequence[IoTensor], stage: int) -> int:
    return sum(prod(tensor.shapes[stage]) * tensor.dtype.itemsize for tensor in tensors)


def _reference(path: Path | None, wanted: int) -> bytes | None:
    if path is None:
        return None
    if (size := path.stat().st_size) != wanted:
        raise ReferenceDataError(f"{path} has {size} bytes, but the nets have {wanted}", help="give the data of all stages of all nets")
    return path.read_bytes()


def _arrays(data: bytes, at: int, tensors: Sequence[IoTensor], stage: int) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for tensor in tensors:
        count = prod(tensor.shapes[stage])
        found[tensor.name] = np.frombuffer(data, tensor.dtype, count, at).reshape(tensor.shapes[stage])
        at += count * tensor.dtype.itemsize
    return found


def _random(tensors: Sequence[IoTensor], stage: int) -> dict[str, Array]:
    rng = np.random.default_rng(SEED)

    def numbers(tensor: IoTensor) -> Array:
        if tensor.dtype.kind in "iu":
            return rng.integers(0, 128, tensor.shapes[stage]).astype(tensor.dtype)
        return rng.standard_normal(tensor.shapes[stage]).astype(tensor.dtype)

    return {tensor.name: numbers(tensor) for tensor in tensors}


def _test(job: _Job, options: _Options, inputs: bytes | None, outputs: bytes | None) -> bool:
    network, stage = job.network, job.stage
    given = _random(network.inputs, stage) if inputs is None else _arrays(inputs, job.input_at, network.inputs, stage)
    wanted = None if outputs is None else _arrays(outputs, job.output_at, network.outputs, stage)
    for loop in range(options.loops):
        print(f"==> running network #{job.net_number}, name: {printable(network.name)}, loop: {loop}")
        for k, (name, array) in enumerate(given.items()):
            print(f"input #{k} {printable(name)}: {_text(array)}")
        start = perf_counter()
        found = network.run(given, stage=stage)
        print(f"{job.title}, launch total time is {1e6 * (perf_counter() - start):.0f} us")
        print(f"+++ The {job.title} output_data +++")
        for k, (name, array) in enumerate(found.items()):
            print(f"output #{k} {printable(name)}: {_text(array)}")
        if wanted is not None and not _compared(job, options, found, wanted):
            return False
    return True


def _text(array: Array) -> str:
    elements = " ".join(map(str, array.reshape(-1)[:SHOWN].tolist()))
    more = " ..." if array.size > SHOWN else ""
    return f"{array.dtype} {list(array.shape)} < {elements}{more} > len={array.size}"


def _compared(job: _Job, options: _Options, found: Mapping[str, Array], wanted: Mapping[str, Array]) -> bool:
    for k, (name, array) in enumerate(found.items()):
        wrong = np.flatnonzero(_differs(array, wanted[name], options))
        if wrong.size:
            at = int(wrong[0])
            ours, theirs = array.reshape(-1)[at], wanted[name].reshape(-1)[at]
            print(f"output #{k} {printable(name)}: {wrong.size} of {array.size} differ, the first at index {at}: {ours}, expected {theirs}")
            print(f"+++ The {job.title} cmp failed +++")
            return False
    identical = all(array.tobytes() == wanted[name].tobytes() for name, array in found.items())
    print(f"+++ The {job.title} cmp success +++" + (" (identical)" if identical else ""))
    return True


def _differs(found: Array, wanted: Array, options: _Options) -> Array:
    """Which elements differ by more than allowed; two NaN do not, and a NaN differs from everything else."""
    if found.dtype.kind in "iu":
        return np.abs(found.astype(np.int64) - wanted.astype(np.int64)) > options.accuracy_i
    ours, theirs = found.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(invalid="ignore"):
        allowed = options.accuracy_f * np.fmax(1.0, np.fmin(np.abs(ours), np.abs(theirs)))
        near = (np.abs(ours - theirs) <= allowed) & np.isfinite(ours) & np.isfinite(theirs)
    return ~(near | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
