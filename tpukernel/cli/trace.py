"""`tpukernel trace`: the timeline of a kernel for Perfetto."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tpukernel.cli.kernel_arguments import add_kernel_arguments, elaborated_of
from tpukernel.cost import Mode
from tpukernel.files import save_atomically

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "trace",
        help="write the timeline of a kernel for Perfetto",
        description="Write a Chrome trace of a kernel (Perfetto, chrome://tracing), with the source line of each command.",
    )
    add_kernel_arguments(parser)
    parser.add_argument("--mode", choices=get_args(Mode), default="peer", help="mode of the cost model (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.json", help="file to write; without it the trace is printed")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing about the file")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str | None:
    found = elaborated_of(arguments)
    timeline = found.timeline(arguments.mode)
    text = json.dumps(timeline.chrome_trace(title=found.kernel.name))
    if arguments.output is None:
        return text
    save_atomically(arguments.output, [text.encode()])
    return None if arguments.quiet else f"{arguments.output}: {len(timeline.entries)} commands, {timeline.cycles} cycles"
