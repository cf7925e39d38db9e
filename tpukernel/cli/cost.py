"""`tpukernel cost`: how long command streams and kernels take, and why."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tpukernel.cli.kernel_arguments import add_kernel_arguments, elaborated_of
from tpukernel.cli.kernel_files import is_kernel_file
from tpukernel.cli.streams import add_stream_arguments, groups_of
from tpukernel.cost.result import Mode, Traffic
from tpukernel.cost.timeline import Timeline
from tpukernel.cost.trace import join_traces
from tpukernel.files import save_atomically
from tpukernel.isa.sources import CommandStreams

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "cost",
        help="show how long command streams or kernels take",
        description="Show the cycles of the commands of a file (a BModel, or a kernel for some shapes) or of raw streams, totals, advice.",
    )
    add_stream_arguments(parser)
    add_kernel_arguments(parser, kernel=False)
    parser.add_argument(
        "--mode",
        choices=get_args(Mode),
        default="peer",
        help="peer: as the official compiler counts; hw: with guessed cycles for the start of a command (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of text")
    parser.add_argument("--trace", type=Path, metavar="OUT.json", help="also write a Chrome trace (Perfetto, chrome://tracing)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str:
    found = _timelines(arguments)
    if arguments.trace:
        traces = [timeline.chrome_trace(title=title, process=number) for number, (title, timeline) in enumerate(found, start=1)]
        save_atomically(arguments.trace, [json.dumps(join_traces(traces)).encode()])
    if arguments.json:
        return json.dumps([{"title": title, **timeline.json()} for title, timeline in found], indent=1)
    return "\n\n".join(f"# {title}\n{timeline.text()}" for title, timeline in found)


def _timelines(arguments: argparse.Namespace) -> list[tuple[str, Timeline]]:
    """What the arguments name, with titles."""
    if arguments.file is not None and is_kernel_file(str(arguments.file)):
        arguments.kernel = str(arguments.file)
        elaborated = elaborated_of(arguments)
        return [(f"kernel {elaborated.kernel.name}", elaborated.timeline(arguments.mode))]
    if arguments.shape or arguments.dtype or arguments.attr or arguments.limit:
        arguments.parser.error("--shape, --dtype, --attr and --limit are for kernels")
    return [(group.title, _timeline(group, arguments.mode)) for group in groups_of(arguments)]


def _timeline(group: CommandStreams, mode: Mode) -> Timeline:
    known = group.read_bytes is not None and group.written_bytes is not None
    compulsory = Traffic(group.read_bytes or 0, group.written_bytes or 0) if known else None
    return group.program().timeline(mode=mode, compulsory=compulsory)
