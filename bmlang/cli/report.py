"""`bmlang report`: a BModel as a page of HTML, or as JSON."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bmlang.bmodel import load
from bmlang.cli.output import json_text, printable
from bmlang.program.report import model_facts, report_page
from tpukernel.files import save_atomically

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "report",
        help="a BModel as a page: nets, stages, layers and their time, memory",
        description="Write a page of HTML, complete in itself: what a BModel holds, and how long its layers take by the cost model.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.bmodel", help="the model")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.html", help="the page (default: FILE.html in the current folder)")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON instead")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str:
    facts = model_facts(load(arguments.file), arguments.file.name)
    if arguments.json:
        return json_text(facts.json())
    target: Path = arguments.output or Path(f"{arguments.file.stem}.html")
    save_atomically(target, [report_page(facts).encode()])
    return printable(str(target))
