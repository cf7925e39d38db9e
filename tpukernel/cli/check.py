"""`tpukernel check`: mistakes in texts of kernels, without running them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tpukernel.errors import TpuError

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

    from tpukernel.lang import Kernel

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    text = (
        "Find mistakes in texts of kernels (.tpuk): each kernel is read, and traced with open dimensions where its keywords have defaults. "
        "What depends on shapes is found when a kernel is run (tpukernel run)."
    )
    parser = subparsers.add_parser("check", help="find mistakes in kernels as text", description=text)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="files with kernels")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str:
    from tpukernel.lang.text.errors import TextCheckError
    from tpukernel.lang.text.reading import load_all

    lines: list[str] = []
    problems: list[TpuError] = []
    for path in arguments.files:
        try:
            kernels = load_all(path)
        except TpuError as error:
            problems.append(error)
            continue
        for kernel in kernels.values():
            found = list(_problems(kernel))
            problems += found
            lines += [] if found else [f"{path}: {kernel!r}{_left_open(kernel)}"]
    if problems:
        count = f"{len(problems)} mistake{'s' if len(problems) > 1 else ''}"
        raise TextCheckError("\n".join([*map(str, problems), count]))
    return "\n".join(lines)


def _needed(kernel: Kernel) -> list[str]:
    """Keywords without a default."""
    from inspect import Parameter

    return [name for name, default in kernel.signature.defaults.items() if default is Parameter.empty]


def _left_open(kernel: Kernel) -> str:
    return f" (read, not traced: {', '.join(_needed(kernel))} without default)" if _needed(kernel) else ""


def _problems(kernel: Kernel) -> Iterator[TpuError]:
    """The mistake that tracing finds, if there is one. A number that only shapes give is none."""
    from tpukernel.lang.errors import SymbolicValueError
    from tpukernel.lang.verify import verify

    if _needed(kernel):
        return
    try:
        verify(kernel.ir())
    except SymbolicValueError:
        return
    except TpuError as error:
        yield error
