"""`tpukernel run`: a kernel on arrays."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tpukernel.cli.arrays import read_array, write_array
from tpukernel.cli.errors import KernelArgumentError
from tpukernel.cli.kernel_arguments import add_kernel_arguments, dtype_by_name, kernel_asked, keywords_of, only_shapes_of, traced
from tpukernel.dtypes import Dtype, dtype_of, f32
from tpukernel.markup import text_table
from tpukernel.sim.choice import NUMERICS

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

    from tpukernel.lang import Kernel

__all__ = ["add_parser"]

_HEAD = ("output", "contents", "min", "max", "mean", "not a number", "file")


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "run",
        help="run a kernel on arrays",
        description="Run a kernel of a file on the simulator, on arrays of .npy files or on random ones. Importing the file executes it.",
    )
    add_kernel_arguments(parser)
    parser.add_argument("--input", type=_file, action="append", default=[], metavar="NAME=FILE", help="an input as a .npy file")
    parser.add_argument("--random", action="store_true", help="random numbers for the inputs that have no file; give their --shape")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: %(default)s)")
    parser.add_argument("--output", type=_output, action="append", default=[], metavar="[NAME=]FILE", help="write an output as a .npy file")
    parser.add_argument("--engine", choices=("jit", "interpreter"), default="jit", help="what executes it (default: %(default)s)")
    parser.add_argument(
        "--numerics", choices=NUMERICS, default="exact", help="fast: products of floats in any order (default: %(default)s)"
    )
    parser.add_argument("--no-check", action="store_true", help="without looking for races, unwritten reads, and so on")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    parser.set_defaults(run=_run)


def _file(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not name.isidentifier() or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    return name, Path(path)


def _output(text: str) -> tuple[str, Path]:
    name, equals, _ = text.partition("=")
    return _file(text) if equals and name.isidentifier() else ("", Path(text))


def _run(arguments: argparse.Namespace) -> str | None:
    with redirect_stdout(sys.stderr):  # what the user's file and kernel print is no part of our output
        kernel = kernel_asked(arguments)
        files = _output_files(arguments.output, kernel)
        arrays, keywords = _inputs(arguments, kernel), keywords_of(arguments)
        begin = perf_counter()
        engine, numerics, check = arguments.engine, arguments.numerics, not arguments.no_check
        with traced(kernel):
            found = kernel.run(*arrays, chip=arguments.chip, engine=engine, check=check, numerics=numerics, **keywords)
        seconds = perf_counter() - begin
    for name, path in files.items():
        write_array(path, found[name])
    if arguments.quiet:
        return None
    told = {name: _told(array) | {"file": str(files.get(name, ""))} for name, array in found.items()}
    if arguments.json:
        head = {"kernel": kernel.signature.name, "chip": arguments.chip, "numerics": numerics, "seconds": seconds}
        return json.dumps(head | {"outputs": told}, indent=1)
    rows = [_HEAD, *(_row(name, each) for name, each in told.items())]
    return "\n".join([*text_table(rows, (2, 3, 4, 5)), *(["numerics: fast"] if numerics == "fast" else [])])


def _output_files(given: Sequence[tuple[str, Path]], kernel: Kernel) -> dict[str, Path]:
    names = kernel.signature.outputs
    found: dict[str, Path] = {}
    for name, path in given:
        if (name or names[0]) not in names or (not name and len(names) > 1):
            wrong = f"no output {name}" if name else f"{len(names)} outputs"
            raise KernelArgumentError(
                f"kernel {kernel.signature.name} has {wrong}", help=f"write --output NAME=FILE; it has {', '.join(names)}"
            )
        found[name or names[0]] = path
    return found


def _inputs(arguments: argparse.Namespace, kernel: Kernel) -> list[NDArray[np.generic]]:
    """The arrays of the inputs, in order."""
    names, files, shapes = kernel.signature.inputs, dict[str, Path](arguments.input), only_shapes_of(arguments, kernel)
    unknown = [name for name in files if name not in names]
    if unknown:
        raise KernelArgumentError(f"kernel {kernel.signature.name} has no input {unknown[0]}", help=f"it has {', '.join(names) or 'none'}")
    missing = [name for name in names if name not in files and not (arguments.random and name in shapes)]
    if missing:
        raise KernelArgumentError(
            f"kernel {kernel.signature.name} has no array for {', '.join(missing)}",
            help=f"give --input {missing[0]}=FILE, or --random and --shape {missing[0]}=SIZES",
        )
    from tpukernel.lang.bench import random_array

    dtypes, generator = dtype_by_name(arguments, kernel), np.random.default_rng(arguments.seed)
    return [
        _read(files[name], dtypes.get(name), shapes.get(name))
        if name in files
        else random_array(shapes[name], dtypes.get(name, f32), generator)
        for name in names
    ]


def _read(path: Path, dtype: Dtype | None, shape: tuple[int, ...] | None) -> NDArray[np.generic]:
    found = read_array(path, dtype)
    if shape is not None and found.shape != shape:
        raise KernelArgumentError(f"{path} has shape {found.shape}, not {shape}", help="leave --shape out, or give that of the file")
    return found


def _told(array: NDArray[np.generic]) -> dict[str, object]:
    """What an output looks like."""
    values = array.astype(np.float64)
    numbers = values[~np.isnan(values)]
    with np.errstate(invalid="ignore"):  # infinities of both signs have no mean
        figures = {"min": numbers.min(), "max": numbers.max(), "mean": numbers.mean()} if numbers.size else {}
    plain = {name: _number(float(figures[name])) if figures else None for name in ("min", "max", "mean")}
    return {"dtype": dtype_of(array.dtype).name, "shape": list(array.shape), **plain, "nan": int(values.size - numbers.size)}


def _number(figure: float) -> float | str:
    """As JSON can say it: infinity is a word."""
    return figure if np.isfinite(figure) else str(figure)


def _row(name: str, told: Mapping[str, object]) -> tuple[str, ...]:
    contents = f"{told['dtype']}{told['shape']}"
    figures = (told[figure] for figure in ("min", "max", "mean"))
    shown = (f"{figure:.6g}" if isinstance(figure, float) else str(figure or "") for figure in figures)
    return (name, contents, *shown, str(told["nan"]), str(told["file"]))
