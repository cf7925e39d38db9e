"""The command `bmneto`: argument parsing and printing only. Options may begin with one dash, as those of the official front-ends.

Exit codes: 0 done; 1 a named error, or a tensor that differs (the messages go to stderr); 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from bmlang import bmneto
from bmlang.cli.output import printable
from bmlang.compiler.errors import CompileArgumentError
from bmlang.program.convert import Conversion
from tpukernel import __version__
from tpukernel.errors import TpuError
from tpukernel.files import failure_text, save_atomically

if TYPE_CHECKING:
    from bmlang.bmneto import Shapes

__all__ = ["main"]

_TRUTH: Final[Mapping[str, bool]] = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `arguments` without the program's name. Returns the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.list_ops:
        return _list_ops()
    if given.model is None:
        parser.error("--model FILE.onnx is missing")
    try:
        with _shown(given.v) as progress:
            made = bmneto.compile(
                given.model,
                shapes=_shapes(given.shapes),
                net_name=given.net_name,
                target=given.target,
                outdir=given.outdir,
                opt=given.opt,
                dyn=given.dyn,
                cmp=given.cmp,
                input_names=given.input_names,
                output_names=given.output_names,
                mode=given.mode,
                quantize=given.quantize,
                test_inputs=given.test_input,
                tolerance=given.tolerance,
                progress=progress,
            )
            if given.report:
                progress("writing the report")
                save_atomically(made.folder / "report.html", [made.model.report().encode()])
    except (TpuError, OSError) as error:
        print(f"bmneto: {printable(failure_text(error), keep=chr(10))}", file=sys.stderr)
        return 1
    return _told(made, given.v)


def _told(made: Conversion, level: int) -> int:
    """Print what was made; the exit code."""
    for stage in made.comparisons:
        lines = [str(stage), *(f"  {each}" for each in stage.tensors.tensors if level >= 3)]
        print(printable("\n".join(lines), keep="\n"), file=sys.stdout if stage else sys.stderr)
    if level >= 1:
        for number, stage in enumerate(made.model.stages):
            timeline = stage.timeline()
            largest = " for the largest shapes" if made.dynamic else ""
            print(f"stage {number}: {timeline.cycles:,} cycles, {timeline.microseconds:,.0f} us by the cost model{largest}")
        print(printable(str(made.folder)))
    return 0 if made else 1


def _list_ops() -> int:
    from bmlang.importers.onnx import operators

    try:
        print("\n".join(operators()))
    except TpuError as error:
        print(f"bmneto: {error}", file=sys.stderr)
        return 1
    return 0


# ------------------------------------------------------------------ arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bmneto", description="Compile an ONNX model to a BModel, in a folder as the official ones.")
    parser.add_argument("--version", action="version", version=f"bmneto {__version__}")

    def option(name: str, **keywords: object) -> None:
        parser.add_argument(f"--{name}", f"-{name}", **keywords)  # pyright: ignore[reportArgumentType]

    option("model", metavar="FILE.onnx", help="the model")
    option("shapes", metavar="SHAPES", action="append", help="of the inputs, [[1,3,224,224],[1,10]]; once more for each stage")
    option("net_name", default=bmneto.NET_NAME, help="name of the net (default: %(default)s)")
    option("target", default=bmneto.TARGET, help="the chip (default: %(default)s)")
    option("outdir", default=bmneto.OUTDIR, help="folder for the results (default: %(default)s)")
    option("opt", type=int, choices=(0, 1, 2), default=2, help="level of optimisation (default: %(default)s)")
    option(
        "dyn", type=_truth, nargs="?", const=True, default=False, metavar="BOOL", help="sizes that vary up to those given (default: false)"
    )
    option(
        "cmp",
        type=_truth,
        nargs="?",
        const=True,
        default=True,
        metavar="BOOL",
        help="compare each tensor with onnxruntime or numpy (default: true)",
    )
    option("input_names", type=_names, metavar="A,B", help="tensors that are given (default: the inputs)")
    option("output_names", type=_names, metavar="A,B", help="tensors that are wanted (default: the outputs)")
    option("mode", choices=bmneto.MODES, default="compile", help="what is made (default: %(default)s)")
    option("quantize", type=str.upper, choices=("F32", "F16", "BF16", "INT8"), default="F32", help="what f32 is computed in")
    option("test_input", type=Path, action="append", metavar="FILE.npz", help="inputs of the test run by name; once more for each stage")
    option("tolerance", type=float, metavar="SHARE", help="what a tensor may be off, as a share of its largest number")
    option("report", action="store_true", help="also write report.html")
    option("list_ops", action="store_true", help="print the operators that can be imported")
    option(
        "v", type=int, choices=range(5), default=1, metavar="LEVEL", help="0 is quiet, 2 tells times, 3 all tensors (default: %(default)s)"
    )
    return parser


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return _TRUTH[text.lower()]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _shapes(given: Sequence[str] | None) -> Shapes | None:
    """The shapes of all stages; both ways of writing them are allowed: [[1,3],[4]] and [1,3],[4].

    Raises:
        CompileArgumentError: a text is none of these.
    """
    if given is None:
        return None
    return [_stage(text) for text in given]


def _stage(text: str) -> list[list[int]]:
    try:
        found = cast("list[object]", json.loads(f"[{text}]"))
    except (ValueError, RecursionError):
        found = []
    if len(found) == 1 and not _is_shape(found[0]) and isinstance(found[0], list):
        found = cast("list[object]", found[0])
    if not found or not all(map(_is_shape, found)):
        raise CompileArgumentError(f"the shapes are {text}", help="give a shape for each input: [[1,3,224,224],[1,10]]")
    return cast("list[list[int]]", found)


def _is_shape(value: object) -> bool:
    sizes: list[object] = cast("list[object]", value) if isinstance(value, list) else [None]
    return all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)


# ------------------------------------------------------------------ progress


@contextmanager
def _shown(level: int) -> Generator[Callable[[str], None]]:
    """A callable that is told what is being done: a terminal shows it while it lasts, and from level 2 on how long it took."""
    from rich.console import Console

    console = Console(stderr=True)
    begun: list[tuple[str, float]] = []

    def finished() -> None:
        if begun and level >= 2:
            print(f"{begun[-1][0]}: {time.perf_counter() - begun[-1][1]:.2f} s", file=sys.stderr)

    with console.status("starting") if console.is_terminal and level else nullcontext() as status:

        def progress(what: str) -> None:
            finished()
            begun.append((what, time.perf_counter()))
            if status is not None:
                status.update(what)

        yield progress
        finished()


if __name__ == "__main__":
    sys.exit(main())
