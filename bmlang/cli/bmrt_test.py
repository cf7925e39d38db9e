"""The command `bmrt_test`: runs the nets of a BModel, compares their outputs with reference data, and tells how long it took.

A folder of the compiler has `compilation.bmodel`, `input_ref_data.dat` and `output_ref_data.dat`; the data are the bytes of the inputs
(outputs) of all stages of all nets, one behind the other. Without reference data the inputs are random numbers, the same ones each time.

Exit codes: 0 done, and every comparison succeeded; 1 anything else; 2 a command line that cannot be understood.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from time import perf_counter
from typing import BinaryIO

import numpy as np

from bmlang.bmodel.errors import ReferenceDataError
from bmlang.cli.bmrt_options import Dump, ModelFiles, Options, Shape, options_of
from bmlang.cli.output import printable
from bmlang.graph.errors import GraphSizeError
from bmlang.runtime.comparison import compare
from bmlang.runtime.errors import InputShapeError, NetworkNameError, StageChoiceError
from bmlang.runtime.network import IoTensor, Network
from bmlang.runtime.recording import Recording
from bmlang.runtime.runtime import Runtime
from tpukernel.errors import TpuError
from tpukernel.files import failure_text, written_atomically
from tpukernel.sim.choice import Numerics
from tpukernel.sim.memory import Array

__all__ = ["main"]

SHOWN = 16
"""Elements of an array that are printed, as in the official tool."""
SEED = 1


@dataclass(frozen=True)
class _Model:
    """A loaded model with its reference data, and where its outputs go."""

    runtime: Runtime
    inputs: bytes | None
    outputs: bytes | None
    exported: BinaryIO | None


@dataclass(frozen=True)
class _Job:
    """A stage to run, with the places of its reference data; `shapes` are those of the inputs of a dynamic stage where they are smaller."""

    model: _Model
    network: Network
    net_number: int
    stage: int
    input_at: int
    output_at: int
    shapes: Sequence[Shape] | None = None

    @property
    def title(self) -> str:
        return f"network[{printable(self.network.name)}] stage[{self.stage}]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `arguments` without the program's name. Returns the exit code."""
    try:
        return _run(options_of(arguments))
    except TpuError as error:
        message = "; ".join(" ".join(line.split()) for line in str(error).splitlines())
    except OSError as error:
        message = failure_text(error)
    print(f"bmrt_test: {printable(message)}", file=sys.stderr)
    return 1


# ------------------------------------------------------------------ running


def _run(options: Options) -> int:
    print(f"Loop num: {options.loops}")
    if options.numerics == "fast":
        print("numerics: fast (products of floats are added up in any order, so that last bits are not the chip's)")
    with ExitStack() as files:
        models = [_loaded(one, files, options.numerics) for one in options.models]
        chosen = _chosen([*_jobs(models)], options)
        dump = options.dump
        recorder = models[0].runtime.record(dump.path, keep=dump.keep, units=dump.units, commands=dump.commands)
        with recorder if dump.is_wanted else nullcontext() as recording:
            done = [_test(job, options, loop) for loop in range(options.loops) for job in chosen]
        return 0 if all(done) and (recording is None or _dumped(recording, dump)) else 1


def _loaded(files: ModelFiles, stack: ExitStack, numerics: Numerics) -> _Model:
    start = perf_counter()
    runtime = Runtime(files.model, numerics=numerics)
    seconds = perf_counter() - start
    print(f"load bmodel {printable(str(files.model))}: chip {printable(runtime.chip)}, {len(runtime.nets)} nets, {seconds:.6f} s")
    stages = [(net, stage) for net in runtime.nets.values() for stage in range(net.stage_count)]
    inputs = _reference(files.inputs, sum(_stage_bytes(net.inputs, stage) for net, stage in stages))
    outputs = _reference(files.outputs, sum(_stage_bytes(net.outputs, stage) for net, stage in stages))
    exported = stack.enter_context(written_atomically(files.exported)) if files.exported else None
    return _Model(runtime, inputs, outputs, exported)


def _jobs(models: Sequence[_Model]) -> Iterator[_Job]:
    networks = [(model, network) for model in models for network in model.runtime.nets.values()]
    at = {id(model): [0, 0] for model in models}
    for number, (model, network) in enumerate(networks):
        for stage in range(network.stage_count):
            place = at[id(model)]
            yield _Job(model, network, number, stage, place[0], place[1])
            place[0] += _stage_bytes(network.inputs, stage)
            place[1] += _stage_bytes(network.outputs, stage)


def _chosen(jobs: Sequence[_Job], options: Options) -> list[_Job]:
    found = [job for job in jobs if options.net in (None, job.net_number)]
    if not found:
        raise NetworkNameError(f"there is no net {options.net}", help=f"there are {len({job.net_number for job in jobs})}, counted from 0")
    found = [job for job in found if options.stage in (None, job.stage)]
    if options.shapes is not None:
        found = [*_with_shapes(found, options.shapes)]
    if not found:
        raise StageChoiceError("no net has such a stage", help="tpu_model --info prints the stages and their shapes")
    return found


def _with_shapes(jobs: Sequence[_Job], shapes: Sequence[Shape]) -> Iterator[_Job]:
    """The stages with these shapes; of nets that have none, the dynamic stages that take them: the nearest of each net that is chosen."""
    exact = [job for job in jobs if [tensor.shapes[job.stage] for tensor in job.network.inputs] == list(shapes)]
    yield from exact
    if exact:
        return
    for network in {id(job.network): job.network for job in jobs if job.network.is_dynamic}.values():
        stages = {job.stage: job for job in jobs if job.network is network}
        with suppress(InputShapeError, GraphSizeError):
            number = network.stage_for(shapes, next(iter(stages)) if len(stages) == 1 else None)
            if number in stages:
                yield replace(stages[number], shapes=shapes)


def _dumped(recording: Recording, dump: Dump) -> bool:
    """Tell what was recorded, and how it compares."""
    if dump.path:
        print(f"dump {printable(str(dump.path))}: {printable(repr(recording))}")
    if not dump.reference:
        return True
    result = compare(recording, dump.reference, **dump.tolerance)
    print(f"compare with {printable(str(dump.reference))}:")
    print(printable(str(result), keep="\n"))
    return bool(result)


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


def _random(job: _Job) -> dict[str, Array]:
    rng = np.random.default_rng(SEED)
    tensors = job.network.inputs
    shapes = [tensor.shapes[job.stage] for tensor in tensors] if job.shapes is None else job.shapes

    def numbers(tensor: IoTensor, shape: Shape) -> Array:
        if tensor.dtype.kind in "iu":
            return rng.integers(0, 128, shape).astype(tensor.dtype)
        return rng.standard_normal(shape).astype(tensor.dtype)

    return {tensor.name: numbers(tensor, shape) for tensor, shape in zip(tensors, shapes, strict=True)}


def _test(job: _Job, options: Options, loop: int) -> bool:
    network, stage, model = job.network, job.stage, job.model
    print(f"==> running network #{job.net_number}, name: {printable(network.name)}, loop: {loop}")
    start = perf_counter()
    referenced = job.shapes is None  # the data in files are those of the largest shapes
    given = _random(job) if model.inputs is None or not referenced else _arrays(model.inputs, job.input_at, network.inputs, stage)
    for k, (name, array) in enumerate(given.items()):
        print(f"reading input #{k}, bytesize={array.nbytes} ({printable(name)}, {array.dtype}{[*array.shape]})")
        print(f"  --> input_data: {_elements(array)}")
    loaded = perf_counter()
    results = _results(job, given, options)
    calculated = perf_counter()
    microseconds = 1e6 * (calculated - loaded) / len(results)
    print(f"net[{printable(network.name)}] stage[{stage}], launch total time is {microseconds:.0f} us (on the simulator{_named(options)})")
    print(f"+++ The {job.title} output_data +++")
    for k, (name, array) in enumerate(results[0].items()):
        shape = "".join(f"{size} " for size in array.shape)
        print(f"output data #{k} shape: [{shape}] {_elements(array)} ({printable(name)}, {array.dtype})")
        if model.exported and loop == 0:
            model.exported.write(network.outputs[k].filled_up(array, stage))
    good = _agree(job, results)
    if model.outputs is not None and not referenced:
        print(f"+++ The {job.title} is not compared +++ (the reference data are for its largest shapes; the inputs were random)")
    elif model.outputs is not None:
        good &= _compared(job, options, results[0], _arrays(model.outputs, job.output_at, network.outputs, stage))
    print(f"load input time(s): {loaded - start:.6f}")
    print(f"calculate  time(s): {calculated - loaded:.6f}")
    print(f"compare    time(s): {perf_counter() - calculated:.6f}")
    return good


def _named(options: Options) -> str:
    return ", fast numerics" if options.numerics == "fast" else ""


def _results(job: _Job, given: Mapping[str, Array], options: Options) -> list[dict[str, Array]]:
    """The outputs of every run: `calculate_times` by `thread_num` of them."""

    def run(_: int) -> dict[str, Array]:
        return job.network.run(given, stage=job.stage)

    if options.threads == 1:
        return [run(k) for k in range(options.times)]
    with ThreadPoolExecutor(options.threads) as pool:
        return [*pool.map(run, range(options.times * options.threads))]


def _agree(job: _Job, results: Sequence[Mapping[str, Array]]) -> bool:
    """Whether all runs gave the same bits."""
    bits = [[array.tobytes() for array in outputs.values()] for outputs in results]
    wrong = [k for k, outputs in enumerate(bits) if outputs != bits[0]]
    if wrong:
        print(f"+++ The {job.title} cmp failed +++ (run {wrong[0]} of {len(results)} differs from the first)")
    return not wrong


def _elements(array: Array) -> str:
    """The first elements, as the official tool shows them."""
    shown = array.reshape(-1)[:SHOWN]
    texts = map(str, shown.tolist()) if array.dtype.kind in "iu" else (f"{element:g}" for element in shown.astype(np.float64).tolist())
    return f"< {' '.join(texts)} " + (f"... > len={array.size}" if array.size > SHOWN else ">")


def _compared(job: _Job, options: Options, found: Mapping[str, Array], wanted: Mapping[str, Array]) -> bool:
    print("==>comparing output in mem #0 ... ")
    lines = [np.frombuffer(tensor.filled_up(found[tensor.name], job.stage), tensor.dtype) for tensor in job.network.outputs]
    for k, (name, line) in enumerate(zip(found, lines, strict=True)):
        wrong = np.flatnonzero(_differs(line, wanted[name].reshape(-1), options))
        if wrong.size:
            at = int(wrong[0])
            ours, theirs = line[at], wanted[name].reshape(-1)[at]
            print(f"output #{k} {printable(name)}: {wrong.size} of {line.size} differ, the first at index {at}: {ours}, expected {theirs}")
            print(f"+++ The {job.title} cmp failed +++")
            return False
    identical = all(line.tobytes() == wanted[name].tobytes() for name, line in zip(found, lines, strict=True))
    print(f"+++ The {job.title} cmp success +++" + (" (identical)" if identical else ""))
    return True


def _differs(found: Array, wanted: Array, options: Options) -> Array:
    """Which elements differ by more than allowed; two NaN do not, and a NaN differs from everything else."""
    if found.dtype.kind in "iu":
        return np.abs(found.astype(np.int64) - wanted.astype(np.int64)) > options.accuracy_i
    ours, theirs = found.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(invalid="ignore"):
        allowed = options.accuracy_f * np.fmax(1.0, np.fmin(np.abs(ours), np.abs(theirs)))
        near = (np.abs(ours - theirs) <= allowed) & np.isfinite(ours) & np.isfinite(theirs)
    return ~(near | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
