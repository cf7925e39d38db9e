"""`tpukernel check`: mistakes in kernels, without running them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from tpukernel.cli.kernel_arguments import add_kernel_arguments, dtypes_of, keywords_of, limited, shapes_of, traced
from tpukernel.cli.kernel_files import chosen_kernels
from tpukernel.dtypes import DTYPES
from tpukernel.errors import TpuError

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]

    from tpukernel.lang import Elaborated, Kernel
    from tpukernel.lang.signature import Dtypes

__all__ = ["add_parser"]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    text = (
        "Find mistakes in kernels without running them. Each kernel of a text (.tpuk) is read, and traced with open dimensions where all "
        "its keywords are known. With --shape each kernel, of a text or of Python, is elaborated for these shapes, too: that finds what "
        "depends on shapes, such as too little local memory. --shape and --dtype may be given several times. Importing a file of Python "
        "executes it."
    )
    parser = subparsers.add_parser("check", help="find mistakes in kernels", description=text)
    parser.add_argument("files", nargs="+", metavar="FILE[:KERNEL]", help="files with kernels; a name chooses one of a file")
    parser.add_argument("--chip", default="BM1684X", help="chip to check for (default: %(default)s)")
    add_kernel_arguments(parser, kernel=False)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str:
    from tpukernel.lang.text.errors import TextCheckError

    lines: list[str] = []
    problems: list[TpuError] = []
    with redirect_stdout(sys.stderr):  # what the user's file and kernel print is no part of our output
        for named in map(str, arguments.files):
            try:
                path, kernels = chosen_kernels(named)
            except TpuError as error:
                problems.append(error)
                continue
            for kernel in kernels.values():
                check = _Check(kernel, arguments)
                problems += check.problems
                lines += [] if check.problems else [f"{path}: {kernel!r}{check.left_open}", *check.told]
    told = list(dict.fromkeys(map(str, problems)))  # one place may have the same mistake for several shapes
    if told:
        raise TextCheckError("\n".join([*told, f"{len(told)} mistake{'s' if len(told) > 1 else ''}"]))
    return "\n".join(lines)


class _Check:
    """What is found in one kernel.

    Attributes:
        problems: its mistakes.
        left_open: what was not looked at, for the end of a line.
        told: a line for each combination that was elaborated.
    """

    def __init__(self, kernel: Kernel, arguments: argparse.Namespace) -> None:
        self.problems: list[TpuError] = []
        self.left_open = ""
        self.told: list[str] = []
        self._kernel, self._chip = limited(kernel, arguments), arguments.chip
        try:
            self._keywords = keywords_of(arguments)
            shapes, dtypes = shapes_of(arguments, kernel), dtypes_of(arguments, kernel)
            self._look(shapes if arguments.shape else [], dtypes)
        except TpuError as error:
            self.problems.append(error)

    def _look(self, shapes: Sequence[Mapping[str, tuple[int, ...]]], dtypes: Sequence[Dtypes]) -> None:
        from tpukernel.lang.text.definition import TextDefinition

        if isinstance(self._kernel.definition, TextDefinition) and not self._needed():
            self._trace(dtypes)
        elif not shapes:
            why = f"{', '.join(self._needed())} without default" if self._needed() else "no --shape"
            self.left_open = f" (read, not traced: {why})"
        if not self.problems:
            for some in shapes:
                for types in dtypes:
                    self._elaborate(some, types)

    def _needed(self) -> list[str]:
        """Keywords without a value."""
        from inspect import Parameter

        defaults = self._kernel.signature.defaults
        return [name for name, default in defaults.items() if default is Parameter.empty and name not in self._keywords]

    def _trace(self, dtypes: Sequence[Dtypes]) -> None:
        """Trace with open dimensions. Where no type is asked for, that of tensors of any type may be the first that the kernel takes."""
        if dtypes != [None]:
            for each in dtypes:
                self.problems += self._mistakes_of_trace(each)
            return
        first = list(self._mistakes_of_trace(None))
        if first and first[0].code == "KER111" and self._kernel.signature.tensors:
            for dtype in list(DTYPES.values())[1:]:
                if not list(self._mistakes_of_trace(dtype)):
                    self.left_open = f" (for {dtype.name})"
                    return
        self.problems += first

    def _mistakes_of_trace(self, dtypes: Dtypes) -> Iterator[TpuError]:
        """The mistake that tracing finds, if there is one. A number that only shapes give is none."""
        from tpukernel.lang.errors import SymbolicValueError
        from tpukernel.lang.verify import verify

        try:
            verify(self._kernel.ir(None, dtypes, self._chip, rank=4, **self._keywords))
        except SymbolicValueError:
            return
        except TpuError as error:
            yield error

    def _elaborate(self, shapes: Mapping[str, tuple[int, ...]], dtypes: Dtypes) -> None:
        try:
            with traced(self._kernel):
                found = self._kernel.elaborate(shapes, dtypes, self._chip, **self._keywords)
        except TpuError as error:
            self.problems.append(error)
            return
        self.problems += found.mistakes
        self.told.append(f"  {_contents(found)}: {sum(len(each.tiu) + len(each.gdma) for each in found.program.groups):,} commands")


def _contents(found: Elaborated) -> str:
    """The tensors of an elaborated kernel in words."""
    return ", ".join(f"{param.name} {param.dtype.name}{list(found.systems[param.name].shape)}" for param in found.kernel.params)
