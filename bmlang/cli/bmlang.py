"""The command `bmlang`: argument parsing and printing only.

Exit codes: 0 done, 1 a named error (its message goes to stderr), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions

from bmlang.cli import report
from bmlang.cli.output import json_text, printable
from bmlang.layers.base import Layer
from bmlang.layers.registry import all_layers, failures
from tpukernel import __version__
from tpukernel.errors import TpuError
from tpukernel.files import failure_text

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `arguments` without the program's name. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="bmlang", description="Tensor programs and models for Sophon TPUs.")
    parser.add_argument("--version", action="version", version=f"bmlang {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    layers = commands.add_parser("layers", help="every layer, its arguments, and where it comes from")
    layers.add_argument("--json", action="store_true", help="as JSON")
    layers.set_defaults(run=_layers)
    report.add_parser(commands)
    parsed = parser.parse_args(arguments)
    try:
        print(parsed.run(parsed))
        sys.stdout.flush()
    except (TpuError, OSError) as error:
        print(f"bmlang: {printable(failure_text(error), keep=chr(10))}", file=sys.stderr)
        return 1
    return 0


def _layers(parsed: argparse.Namespace) -> str:
    packages = packages_distributions()
    rows: list[dict[str, object]] = []
    for name, registered in all_layers().items():
        layer, origin = registered.layer, registered.origin
        package = ", ".join(dict.fromkeys(packages.get(origin.partition(".")[0], ())))
        rows.append(
            {
                "name": name,
                "inputs": list(layer.inputs),
                "arguments": {key: None if default is ... else str(default) for key, default in layer.defaults.items()},
                "form": _form(layer),
                "module": origin,
                "package": package,
            }
        )
    broken = {module: f"{type(error).__name__}: {error}" for module, error in failures().items()}
    if parsed.json:
        return json_text({"layers": rows, "failures": broken})
    shown = [
        (str(row["name"]), ", ".join((*layer.layer.inputs, *layer.layer.defaults)), str(row["form"]), str(row["module"]))
        for row, layer in zip(rows, all_layers().values(), strict=True)
    ]
    widths = [max(len(row[column]) for row in shown) for column in range(3)]
    lines = [f"{'  '.join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True))}  {row[3]}" for row in shown]
    lines += [f"{module} could not be imported: {text}" for module, text in broken.items()]
    return printable("\n".join(lines), keep="\n")


def _form(layer: Layer) -> str:
    """How the layer is computed: in local memory, by commands of its own, by other layers, or not at all."""
    kind = type(layer)
    if kind.local is not Layer.local:
        return "local"
    if kind.expand is not Layer.expand:
        return "graph"
    return "alias" if layer.alias else "global" if kind.emit is not Layer.emit else "none"


if __name__ == "__main__":
    sys.exit(main())
