"""Operations of `tpu_model` that show something and change nothing."""

from __future__ import annotations

from collections.abc import Sequence

from bmlang.bmodel import load
from bmlang.bmodel.diff import differences
from bmlang.cli.model_info import info_data, info_text
from bmlang.cli.model_print import print_data, print_text
from bmlang.cli.output import json_text, printable

__all__ = ["Options", "chip", "diff", "info", "print_tables", "verify_file", "weight"]

Options = dict[str, str]
"""Options that were given, with their values; an empty text where an option has none."""


def info(arguments: Sequence[str], options: Options) -> int:
    """`--info`: brief information."""
    bmodel = load(arguments[0])
    if "--json" in options:
        print(json_text(info_data(bmodel)))
    else:
        print(info_text(bmodel, legacy="--legacy" in options, every="--all" in options))
    return 0


def print_tables(arguments: Sequence[str], options: Options) -> int:
    """`--print`: every field."""
    model = load(arguments[0]).model
    print(json_text(print_data(model)) if "--json" in options else print_text(model) + "\n")
    return 0


def weight(arguments: Sequence[str], _: Options) -> int:
    """`--weight`: where the weights of the operators lie in the coefficients of each stage."""
    for k, net in enumerate(load(arguments[0]).model.net):
        for j, stage in enumerate(net.stages):
            places = (stage.coeff_mem.location or ()) if stage.coeff_mem else ()
            if places:
                print(f'net {k} : "{printable(net.name)}", stage:{j}')
                print("-" * 31)
                for place in places:
                    print(f"{printable(place.name)} : [{place.offset:#x}, {place.offset + place.size:#x})")
                print("=" * 42)
    return 0


def chip(arguments: Sequence[str], _: Options) -> int:
    """`--chip`: the name of the chip, without a newline, as scripts expect it."""
    print(printable(load(arguments[0]).model.chip), end="", flush=True)
    return 0


def verify_file(arguments: Sequence[str], options: Options) -> int:
    """`verify`: exit code 1 when something is wrong."""
    from bmlang.bmodel.verify import verify  # brings the instructions of the chips along

    report = verify(load(arguments[0]))
    if "--json" in options:
        findings = [{"code": found.code, "message": found.message, "where": found.where, "help": found.help} for found in report.findings]
        print(json_text({"findings": findings, "notes": report.notes}))
    else:
        for found in report.findings:
            print(printable(str(found), keep="\n"))
        for note in report.notes:
            print(f"note: {printable(note)}")
        count = len(report.findings)
        print(f"{printable(arguments[0])}: {count or 'no'} finding{'' if count == 1 else 's'}")
    return 1 if report.findings else 0


def diff(arguments: Sequence[str], _: Options) -> int:
    """`diff`: one line for each difference; exit code 1 when there is one."""
    first, second = map(load, arguments)
    found = False
    for line in differences(first, second):
        found = True
        print(printable(line))
    return int(found)
