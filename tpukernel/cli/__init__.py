"""The command `tpukernel`: argument parsing and printing only.

Exit codes: 0 done, 1 a named error (its message goes to stderr), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tpukernel import __version__
from tpukernel.cli import bench, cache, check, chips, cost, disasm, doctor, fmt, memory, run, trace
from tpukernel.errors import TpuError
from tpukernel.files import failure_text

__all__ = ["main"]

_COMMANDS = (run, bench, memory, trace, cost, check, fmt, disasm, chips, doctor, cache)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `arguments` without the program's name. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="tpukernel", description="Tools for Sophon TPU programs.")
    parser.add_argument("--version", action="version", version=f"tpukernel {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(subparsers)
    parsed = parser.parse_args(arguments)
    try:
        text: str | None = parsed.run(parsed)
    except (TpuError, OSError) as error:
        print(f"tpukernel: {failure_text(error)}", file=sys.stderr)
        return 1
    if text is None:  # nothing to say
        return 0
    try:
        print(text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (head, less) has seen enough
        sys.stderr.close()
    return 0
