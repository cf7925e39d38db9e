"""The command `tpu_model`: shows, takes apart, combines, changes and verifies BModel files.

Exit codes: 0 done; 1 anything else, with one line on stderr. The texts on stdout are those of the official tools.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bmlang.cli import model_changes, model_views
from bmlang.cli.output import printable
from tpukernel import __version__
from tpukernel.errors import TpuError
from tpukernel.files import failure_text

__all__ = ["main"]


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        names: how it is called; the first is the one that the usage shows.
        arguments: names of its arguments, for the usage; one that ends in `..` stands for one or more.
        help: what it does.
        run: takes the arguments and the options, prints, and returns the exit code.
        options: the options it takes.
    """

    names: tuple[str, ...]
    arguments: tuple[str, ...]
    help: str
    run: Callable[[Sequence[str], model_views.Options], int]
    options: tuple[str, ...] = ()


_V, _C = model_views, model_changes
OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(("--info",), ("MODEL",), "brief information; --all: also nets of a cascade", _V.info, ("--all", "--legacy", "--json")),
    Operation(("--print",), ("MODEL",), "every field of the tables", _V.print_tables, ("--json",)),
    Operation(("--weight",), ("MODEL",), "where the weights of the operators lie", _V.weight),
    Operation(("--chip",), ("MODEL",), "the chip", _V.chip),
    Operation(
        ("--extract",), ("MODEL",), "each stage of each net as a file bm_netI_stageJ.bmodel; -o: folder for them", _C.extract, ("-o",)
    ),
    Operation(("--combine",), ("MODEL..",), "one file of several (default compilation.bmodel)", _C.combine, ("-o",)),
    Operation(("--combine_dir",), ("FOLDER..",), "the same for folders with reference data (default bm_combined)", _C.combine_dir, ("-o",)),
    Operation(("--combine_coeff",), ("MODEL..",), "one file of several, with one memory of weights", _C.combine_coeff, ("-o",)),
    Operation(("--dump",), ("MODEL", "START", "SIZE", "FILE"), "bytes of the binary section", _C.dump),
    Operation(
        ("--update_weight",),
        ("MODEL", "NET", "OFFSET", "SOURCE_MODEL", "SOURCE_NET", "SOURCE_OFFSET"),
        "one weight from another file",
        _C.update_weight,
        ("-o",),
    ),
    Operation(("--kernel_dump",), ("MODEL",), "the kernel module (default: its own name)", _C.kernel_dump, ("-o",)),
    Operation(("--kernel_update",), ("MODEL", "FILE"), "another kernel module", _C.kernel_update, ("-o",)),
    Operation(("--kernel_remove",), ("MODEL",), "no kernel module", _C.kernel_remove, ("-o",)),
    Operation(("--custom_ap_update",), ("MODEL", "FILE"), "another library of host operators", _C.cpuop_update, ("-o",)),
    Operation(("--refresh",), ("MODEL",), "write it anew: aligned, with true check codes and a valid kernel mode", _C.refresh, ("-o",)),
    Operation(("verify", "--verify"), ("MODEL",), "check structure, check codes, addresses, command streams", _V.verify_file, ("--json",)),
    Operation(("diff", "--diff"), ("MODEL", "MODEL"), "what differs; exit code 1 when something does", _V.diff),
)
_VALUES = ("-o",)
"""Options with a value."""


class _UsageError(Exception):
    """The command line cannot be understood."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `arguments` without the program's name. Returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # what tests put there has none
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    if given in (["--help"], ["-h"]):
        print(_usage())
        return 0
    if given == ["--version"]:
        print(f"tpu_model {__version__}")
        return 0
    try:
        operation, call = _parse(given)
        code = operation.run(call.arguments, call.options)
        sys.stdout.flush()
    except _UsageError as error:
        return _fail(str(error))
    except TpuError as error:
        return _fail("; ".join(" ".join(line.split()) for line in str(error).splitlines()))
    except BrokenPipeError:  # the reader (head, less) has seen enough; what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(failure_text(error))
    return code


def _fail(message: str) -> int:
    print(f"tpu_model: {printable(message)}", file=sys.stderr)
    return 1


def _usage() -> str:
    lines = ["usage: tpu_model OPERATION", ""]
    for operation in OPERATIONS:
        options = "".join(f" [{option} OUTPUT]" if option in _VALUES else f" [{option}]" for option in operation.options)
        lines += [f"  {' '.join((operation.names[0], *operation.arguments))}{options}", f"      {operation.help}"]
    return "\n".join([*lines, "  --version", "  --help"])


@dataclass
class _Call:
    arguments: list[str] = field(default_factory=list[str])
    options: model_views.Options = field(default_factory=dict[str, str])


def _parse(given: Sequence[str]) -> tuple[Operation, _Call]:
    if not given:
        raise _UsageError("no operation was given; tpu_model --help lists them")
    operation = next((operation for operation in OPERATIONS if given[0] in operation.names), None)
    if operation is None:
        raise _UsageError(f"there is no operation {given[0]}; tpu_model --help lists them")
    call = _Call()
    rest = iter(given[1:])
    for text in rest:
        if text in operation.options:
            value = next(rest, None) if text in _VALUES else ""
            if value is None:
                raise _UsageError(f"{operation.names[0]}: {text} needs a file name behind it")
            call.options[text] = value
        elif text.startswith("--"):
            raise _UsageError(f"{operation.names[0]} has no option {text}; tpu_model --help lists them")
        else:
            call.arguments.append(text)
    several = operation.arguments[-1].endswith("..")
    wanted, found = len(operation.arguments), len(call.arguments)
    if found < wanted or (found > wanted and not several):
        raise _UsageError(f"{operation.names[0]} takes {' '.join(operation.arguments)}, but {found} arguments were given")
    return operation, call
