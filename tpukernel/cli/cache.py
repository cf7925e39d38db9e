"""`tpukernel cache`: what is kept between runs."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tpukernel.cache import CACHE_FOLDER, default_cache

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    text = f"Machine code of the simulator and choices of autotune are kept in a folder; the environment variable {CACHE_FOLDER} moves it."
    parser = subparsers.add_parser("cache", help="show or empty the cache of machine code and tuning choices", description=text)
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    show = actions.add_parser("ls", help="list the entries", description="List the entries, the least recently used one first.")
    show.add_argument("--json", action="store_true", help="print JSON instead of text")
    show.set_defaults(run=_list)
    remove = actions.add_parser("rm", help="remove entries", description="Remove entries, by default all of them.")
    remove.add_argument("key", nargs="*", help="key of an entry, as `ls` shows it")
    remove.set_defaults(run=_remove)


def _list(arguments: argparse.Namespace) -> str:
    cache = default_cache()
    entries = cache.entries()
    if arguments.json:
        listed = [{"key": entry.key, "bytes": entry.size, "used": entry.used} for entry in entries]
        return json.dumps({"folder": cache.folder and str(cache.folder), "limit": cache.limit, "entries": listed}, indent=1)
    lines = [f"{entry.key} {entry.size:>9} {datetime.fromtimestamp(entry.used, UTC):%Y-%m-%d %H:%M} UTC" for entry in entries]
    total = sum(entry.size for entry in entries)
    return "\n".join([*lines, f"{len(entries)} entries, {total} of {cache.limit} bytes in {cache.folder or 'no folder'}"])


def _remove(arguments: argparse.Namespace) -> str:
    try:
        return f"{default_cache().remove(arguments.key or None)} entries removed"
    except ValueError as error:
        raise OSError(str(error)) from error
