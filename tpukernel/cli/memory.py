"""`tpukernel memory`: what a kernel keeps where in local memory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tpukernel.cli.kernel_arguments import add_kernel_arguments, elaborated_of
from tpukernel.files import save_atomically

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "memory",
        help="show the buffers of a kernel in local memory",
        description="Show which buffer of a kernel lies where in local memory, and when.",
    )
    add_kernel_arguments(parser)
    parser.add_argument("--svg", type=Path, metavar="OUT.svg", help="also write a picture")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str:
    from tpukernel.lang import MemoryMap

    found = MemoryMap.of(elaborated_of(arguments))
    if arguments.svg:
        save_atomically(arguments.svg, [found.svg().encode()])
    return str(found)
