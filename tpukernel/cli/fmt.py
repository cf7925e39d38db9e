"""`tpukernel fmt`: texts of kernels in the usual form."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tpukernel.files import save_atomically

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    text = "Write texts of kernels (.tpuk) in the usual form. Comments, line breaks in brackets and single blank lines stay."
    parser = subparsers.add_parser("fmt", help="format kernels as text", description=text)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="files to change; - reads the input and writes the output")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a file would change")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str | None:
    from tpukernel.lang.text.errors import TextFormatError
    from tpukernel.lang.text.formatter import format_text
    from tpukernel.lang.text.reading import read_text

    changed: list[Path] = []
    for path in arguments.files:
        is_input = str(path) == "-"
        text = sys.stdin.read() if is_input else read_text(path)
        formatted = format_text(text, name="<stdin>" if is_input else str(path))
        if is_input and not arguments.check:
            sys.stdout.write(formatted)
        elif formatted != text:
            changed.append(path)
            if not arguments.check:
                save_atomically(path, [formatted.encode()])
    told = ", ".join(map(str, changed))
    if arguments.check and changed:
        raise TextFormatError(f"not in the usual form: {told}", help="run tpukernel fmt")
    return f"formatted: {told}" if changed else None
