"""The arguments of commands that look at command streams, and reading what they name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tpukernel.errors import TpuError
from tpukernel.isa.sources import CommandStreams, read_streams

__all__ = ["MAX_STREAM_BYTES", "StreamFileError", "add_stream_arguments", "groups_of", "read_stream"]

MAX_STREAM_BYTES = 1 << 30
"""Largest file that is taken for a command stream."""


class StreamFileError(TpuError, code="CLI101"):
    """A file that was given for its command streams cannot be one, or has none that was asked for."""


def add_stream_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a file with command streams, or the raw streams of the engines."""
    parser.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="file with command streams, whose format a reader is registered for"
    )
    parser.add_argument("--group", metavar="TEXT", help="of FILE, only the command groups whose title contains TEXT")
    parser.add_argument("--tiu", type=Path, metavar="FILE", help="stream of the TIU")
    parser.add_argument("--gdma", type=Path, metavar="FILE", help="stream of the GDMA")
    parser.add_argument("--chip", default="BM1684X", help="chip the streams are for (default: %(default)s)")
    parser.set_defaults(parser=parser)


def groups_of(arguments: argparse.Namespace) -> list[CommandStreams]:
    """The streams that the arguments name: the chosen groups of the file, or the raw streams as one group called `streams`.

    Raises:
        SystemExit: there is a file and a raw stream, or neither (wrong usage).
        StreamFileError, StreamSourceError, OSError: a file cannot be read as what it is given for.
    """
    raw = [path for path in (arguments.tiu, arguments.gdma) if path is not None]
    if bool(raw) == bool(arguments.file):
        arguments.parser.error("give --tiu FILE, --gdma FILE or both, or a FILE that has both")
    if arguments.file:
        return _chosen(arguments.file, read_streams(arguments.file), arguments.group)
    tiu, gdma = (b"" if path is None else read_stream(path) for path in (arguments.tiu, arguments.gdma))
    return [CommandStreams("streams", arguments.chip, tiu=tiu, gdma=gdma)]


def _chosen(file: Path, groups: Sequence[CommandStreams], text: str | None) -> list[CommandStreams]:
    """The groups whose title has a text.

    Raises:
        StreamFileError: there are none.
    """
    if not groups:
        raise StreamFileError(f"{file} has no commands", help="what is dynamic gets its commands when it runs: compile for fixed shapes")
    found = [group for group in groups if (text or "") in group.title]
    if not found:
        raise StreamFileError(
            f"no command group of {file} is called {text!r}", help=f"there are {'; '.join(group.title for group in groups)}"
        )
    return found


def read_stream(path: Path, limit: int = MAX_STREAM_BYTES) -> bytes:
    """The bytes of a stream file; also of a pipe, of which nobody knows the size before it ends.

    Raises:
        StreamFileError: there are more than `limit` bytes.
        OSError: the file cannot be read.
    """
    if path.stat().st_size <= limit:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) <= limit:
            return data
    raise StreamFileError(
        f"{path} has more than {limit} bytes, too many for a command stream", help="give the bytes of one command group, of one engine"
    )
