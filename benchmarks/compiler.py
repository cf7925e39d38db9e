"""How good and how fast compiled functions are: `python -m benchmarks.compiler [--smoke] [--json FILE] [--only REGEX]`.

* *cycles*: modelled cycles of functions against those of the official compiler for the same function, where its models are there
  (`benchmarks/_models.py` says where); the same cost model counts both.
* *compile*: processor time of compiling a function whose modules are loaded, by the number of its nodes.
* *large*: tensors that fill no local memory: time to compile and to run, the largest difference from numpy, and the memory of the process.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from math import exp, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bmlang as bm
from benchmarks._models import absent, models
from bmlang.bmodel import load
from bmlang.program.function import Function
from tpukernel.files import save_atomically
from tpukernel.isa import Program

Array = NDArray[np.float32]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Line:
    """One measurement: numbers by what they are."""

    name: str
    numbers: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.name:34} " + "  ".join(f"{key} {value:,.4g}" for key, value in self.numbers.items())


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> Array:
    """Normally distributed."""
    return (np.random.default_rng(seed).standard_normal(shape, np.float32) * np.float32(scale)).astype(np.float32)


# ---------------------------------------------------------------------------- functions


@bm.function
def add(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    """x + y."""
    return x + y


@bm.function
def mul(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    """x * y."""
    return x * y


@bm.function
def relu(x: bm.Tensor) -> bm.Tensor:
    """The larger one of x and 0."""
    return bm.relu(x)


@bm.function
def power(x: bm.Tensor) -> bm.Tensor:
    """e to the power of x."""
    return bm.exp(x)


@bm.function
def softmax(x: bm.Tensor) -> bm.Tensor:
    """Softmax of rows."""
    return bm.softmax(x)


@bm.function
def normalised(x: bm.Tensor) -> bm.Tensor:
    """Layer normalisation of rows."""
    return bm.layer_norm(x, numbers(x.shape[-1], seed=1), numbers(x.shape[-1], seed=2))


@bm.function
def product(x: bm.Tensor) -> bm.Tensor:
    """x times a known matrix."""
    return bm.matmul(x, numbers(x.shape[-1], 512, seed=3))


@bm.function
def product_of_two(x: bm.Tensor, y: bm.Tensor) -> bm.Tensor:
    """x times y."""
    return bm.matmul(x, y)


@bm.function
def conv3x3(x: bm.Tensor, *, channels: int = 64) -> bm.Tensor:
    """A convolution that keeps the size."""
    return bm.conv(x, numbers(channels, x.shape[1], 3, 3, seed=4, scale=0.1), numbers(channels, seed=5), pad=1)


@bm.function
def resnet18(image: bm.Tensor) -> bm.Tensor:
    """The layers of a ResNet-18, with random weights."""

    def block(x: bm.Tensor, channels: int, kernel: int, stride: int = 1) -> bm.Tensor:
        weight = numbers(channels, x.shape[1], kernel, kernel, seed=channels + kernel, scale=(x.shape[1] * kernel * kernel / 2) ** -0.5)
        return bm.conv(x, weight, numbers(channels, seed=channels, scale=0.1), stride=stride, pad=kernel // 2)

    x = bm.max_pool(bm.relu(block(image, 64, 7, 2)), 3, stride=2, pad=1)
    for channels, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first, 1):
            side = x if x.shape[1] == channels and stride == 1 else block(x, channels, 1, stride)
            x = bm.relu(block(bm.relu(block(x, channels, 3, stride)), channels, 3) + side)
    pooled = bm.reshape(bm.avg_pool(x, 7), (-1, 512))
    return bm.matmul(pooled, numbers(512, 1000, seed=6, scale=0.05)) + numbers(1000, seed=7)


OFFICIAL: Mapping[str, Function] = {
    "add112": add,
    "mul112": mul,
    "relu112": relu,
    "exp112": power,
    "softmax": softmax,
    "layernorm": normalised,
    "mm512": product,
    "conv56": conv3x3,
}
"""The function that a model of the official compiler computes, by the begin of the model's name."""


# ---------------------------------------------------------------------------- measurements


def official_lines() -> Iterator[tuple[str, Callable[[], Line]]]:
    """Modelled cycles against the official compiler."""
    for path in models():
        kind, _, mode = path.stem.rpartition("_")
        if kind in OFFICIAL and mode in ("f32", "f16", "bf16"):
            yield f"cycles {path.stem}", partial(_against, path, OFFICIAL[kind], mode)


def _against(path: Path, function: Function, mode: str) -> Line:
    (stage,) = load(path).model.net[0].stages
    shapes = [tuple(tensor.shape[0].dim or ()) for tensor in stage.input_tensor if tensor.shape]
    theirs = 0
    for group in stage.subnets[0].cmd_group or ():
        assert group.binary_bdc is not None and group.binary_gdma is not None
        theirs += Program.from_streams("BM1684X", tiu=bytes(group.binary_bdc.data), gdma=bytes(group.binary_gdma.data)).timeline().cycles
    ours = _cycles(function, dict(zip(function.signature.inputs, shapes, strict=True)), mode)
    return Line(f"cycles {path.stem}", {"ours": ours, "official": theirs, "ratio": ours / theirs})


def _cycles(function: Function, shapes: Shapes, mode: str = "f32") -> int:
    return bm.compile(function, stages=[shapes], mode=mode).stages[0].timeline().cycles


def compile_lines() -> Iterator[tuple[str, Callable[[], Line]]]:
    """Processor time of compiling."""
    yield "compile one operator", partial(_compiled, add, {"x": (1, 64, 56, 56), "y": (1, 64, 56, 56)}, "compile one operator")
    yield "compile conv 3x3", partial(_compiled, conv3x3, {"x": (1, 64, 56, 56)}, "compile conv 3x3")
    yield "compile resnet18 f32", partial(_compiled, resnet18, {"image": (1, 3, 224, 224)}, "compile resnet18 f32")
    yield "compile resnet18 f16", partial(_compiled, resnet18, {"image": (1, 3, 224, 224)}, "compile resnet18 f16", "f16")


def _compiled(function: Function, shapes: Shapes, name: str, mode: str = "f32") -> Line:
    cycles = _cycles(function, shapes, mode)  # loads what is loaded once
    begin = time.process_time()
    model = bm.compile(function, stages=[shapes], mode=mode)
    seconds = time.process_time() - begin
    commands = model.stages[0].emission.program.statistics().commands
    return Line(name, {"milliseconds": seconds * 1e3, "commands": sum(commands.values()), "cycles": cycles, "MiB": _memory()})


def large_lines() -> Iterator[tuple[str, Callable[[], Line]]]:
    """Tensors that local memory does not hold."""
    yield "large add of 10,000,000", partial(_large, "large add of 10,000,000", add, {"x": (10_000_000,), "y": (10_000_000,)})
    yield (
        "large conv 1x3x1080x1920 to 32",
        partial(_large, "large conv 1x3x1080x1920 to 32", conv3x3, {"x": (1, 3, 1080, 1920)}, channels=32),
    )
    name = "large matmul 4096x4096x1024"
    yield name, partial(_large, name, product_of_two, {"x": (4096, 4096), "y": (4096, 1024)})


def _large(name: str, function: Function, shapes: Shapes, **attrs: int) -> Line:
    arrays = {key: numbers(*shape, seed=place) for place, (key, shape) in enumerate(shapes.items())}
    begin = time.perf_counter()
    model = bm.compile(function, stages=[shapes], attrs=attrs)
    compiled = time.perf_counter()
    found = model.run(**arrays)["output"]
    ran = time.perf_counter()
    difference = _difference(function, arrays, np.asarray(found, np.float32), attrs)
    times = {"compile s": compiled - begin, "run s": ran - compiled}
    return Line(name, {**times, "largest difference": difference, "MiB": _memory()})


def _difference(function: Function, arrays: Mapping[str, Array], found: Array, attrs: Mapping[str, int]) -> float:
    """From numpy in f32 for a product, whose float64 would take minutes; from the reference otherwise."""
    if function is product_of_two:
        return float(np.abs(found - arrays["x"] @ arrays["y"]).max())
    return float(np.abs(found - np.asarray(function.reference(*arrays.values(), **attrs)["output"], np.float64)).max())


def _memory() -> float:
    """Most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ---------------------------------------------------------------------------- the program


SMOKE = re.compile("add112_f32|one operator")


def main() -> None:
    """Print, and perhaps store, the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="two measurements, to see that the program works")
    parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX", help="measurements whose name has this in it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store the numbers")
    given = parser.parse_args()
    wanted = SMOKE if given.smoke else given.only
    if (reason := absent()) is not None:
        print(f"no models of the official compiler: {reason}")
    found: list[Line] = []
    for name, measure in (*official_lines(), *compile_lines(), *large_lines()):
        if wanted.search(name):
            found.append(measure())
            print(found[-1], flush=True)
    ratios = [line.numbers["ratio"] for line in found if "ratio" in line.numbers]
    if ratios:
        mean = exp(sum(map(log, ratios)) / len(ratios))
        print(f"cycles against the official compiler: geometric mean {mean:.3f}, largest {max(ratios):.3f}")
    if given.json is not None:
        save_atomically(given.json, [json.dumps([asdict(line) for line in found], indent=1).encode()])


if __name__ == "__main__":
    main()
