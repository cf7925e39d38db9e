"""`tpukernel chips`: what differs between the chips."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from tpukernel.chips.chip import CHIPS, Chip
from tpukernel.isa.errors import ChipSupportError
from tpukernel.isa.tables import instruction_set

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser("chips", help="list the chips", description="List the chips with their figures.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str:
    if arguments.json:
        return json.dumps({name: _figures(chip) for name, chip in CHIPS.items()}, indent=1)
    return "\n\n".join(_text(chip) for chip in CHIPS.values())


def _figures(chip: Chip) -> dict[str, object]:
    return {
        "lanes": chip.lanes,
        "lane_bytes": chip.lane_bytes,
        "banks": chip.banks,
        "alignment_bytes": chip.eu_bytes,
        "dtypes": [dtype.name for dtype in chip.dtype_codes],
        "memories": {region.name: {"base": region.base, "size": region.size} for region in chip.regions.values()},
        "units": _units(chip),
    }


def _units(chip: Chip) -> list[str]:
    try:
        return [unit.unit for unit in instruction_set(chip).units]
    except ChipSupportError:
        return []


def _text(chip: Chip) -> str:
    rows = [
        ("lanes", f"{chip.lanes} of {chip.lane_bytes} bytes in {chip.banks} banks, tensors aligned to {chip.eu_bytes} bytes"),
        ("dtypes", ", ".join(dtype.name for dtype in chip.dtype_codes)),
        *(("memory", f"{region.name:<6} {region.base:#x}, {region.size} bytes") for region in chip.regions.values()),
        ("units", ", ".join(_units(chip)) or "not described yet"),
    ]
    return "\n".join([chip.name, *(f"  {name:<8} {value}" for name, value in rows)])
