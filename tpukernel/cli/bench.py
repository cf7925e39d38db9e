"""`tpukernel bench`: what a kernel takes, for one combination of shapes, types and keywords or for many."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tpukernel.cli.kernel_arguments import add_kernel_arguments, dtypes_of, kernel_asked, keywords_of, lists_of, named, shapes_of, traced
from tpukernel.cost import Mode
from tpukernel.files import save_atomically

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

    from tpukernel.lang.search import Point, Sweep

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "bench",
        help="show what a kernel takes",
        description=(
            "Show modelled cycles, local memory and time on the simulator of a kernel. --shape and --dtype may be given several times, "
            "--sweep takes values of a keyword: then there is a row for each combination. Importing the file executes it."
        ),
    )
    add_kernel_arguments(parser)
    parser.add_argument("--sweep", type=named, action="append", default=[], metavar="NAME=V,V,...", help="values of a keyword to try")
    parser.add_argument("--mode", choices=get_args(Mode), default="peer", help="mode of the cost model (default: %(default)s)")
    parser.add_argument("--simulate", type=_count, default=3, metavar="N", help="runs on the simulator; 0 for none (default: %(default)s)")
    parser.add_argument("--plot", type=Path, metavar="OUT.svg", help="also write a picture of the cycles")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("-q", "--quiet", action="store_true", help="without a bar of the progress")
    parser.set_defaults(run=_run)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1000")
    return int(text)


def _run(arguments: argparse.Namespace) -> str:
    with redirect_stdout(sys.stderr):  # what the user's file and kernel print is no part of our output
        found = _swept(arguments)
    failed = [row.error for row in found.rows if row.error is not None]
    if len(failed) == len(found.rows):
        raise failed[0]
    if arguments.plot:
        save_atomically(arguments.plot, [found.plot().encode()])
    alone = found.rows[0].bench if len(found.rows) == 1 else None
    if arguments.json:
        return json.dumps(alone.json() if alone is not None else found.json(), indent=1)
    return str(alone if alone is not None else found)


def _swept(arguments: argparse.Namespace) -> Sweep:
    from tpukernel.lang.search import Sweep, points_of, row_of

    kernel = kernel_asked(arguments)
    keywords = keywords_of(arguments) | lists_of(arguments.sweep)
    points = points_of(kernel, shapes_of(arguments, kernel), dtypes_of(arguments, kernel), keywords)
    shown = _progress(points, arguments)
    with traced(kernel):
        rows = [row_of(kernel, point, arguments.chip, mode=arguments.mode, simulate=arguments.simulate) for point in shown]
    return Sweep(kernel.signature.name, tuple(rows))


def _progress(points: list[Point], arguments: argparse.Namespace) -> Iterable[Point]:
    """The points, with a bar on a terminal."""
    return points if len(points) == 1 or arguments.quiet or not sys.stderr.isatty() else _bar(points)


def _bar(points: list[Point]) -> Iterator[Point]:
    from rich.console import Console
    from rich.progress import track

    yield from track(points, "measuring", console=Console(stderr=True), transient=True)
