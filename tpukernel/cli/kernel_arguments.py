"""The arguments of commands that work on a kernel: the kernel, shapes, data types, keywords."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, redirect_stdout
from itertools import product
from typing import TYPE_CHECKING

from tpukernel.cli.errors import KernelArgumentError, KernelFailedError
from tpukernel.cli.kernel_files import kernel_of, users_errors
from tpukernel.dtypes import DTYPES, Dtype, DtypeNameError, dtype_of

if TYPE_CHECKING:
    from tpukernel.lang import Elaborated, Kernel
    from tpukernel.lang.signature import Dtypes

__all__ = [
    "Named",
    "add_kernel_arguments",
    "dtype_by_name",
    "dtypes_of",
    "elaborated_of",
    "kernel_asked",
    "keywords_of",
    "limited",
    "lists_of",
    "named",
    "only_shapes_of",
    "shapes_of",
    "traced",
]

Named = tuple[str, str]
"""`NAME=VALUE`; the name is empty where it may be left out."""
_LIMIT_HELP = "how many commands and turns of loops a kernel may unroll to; none: any number (default: 100000 for texts, none for Python)"
_WORDS: Mapping[str, object] = {"true": True, "false": False, "none": None}


def add_kernel_arguments(parser: argparse.ArgumentParser, *, kernel: bool = True) -> None:
    """Add them; `kernel=False` leaves the file out, for a command that has it already."""
    if kernel:
        parser.add_argument("kernel", metavar="FILE[:KERNEL]", help="file with a kernel; the name where it has several")
        parser.add_argument("--chip", default="BM1684X", help="chip to run on (default: %(default)s)")
    parser.add_argument("--limit", type=_limit, metavar="STEPS", help=_LIMIT_HELP)
    parser.add_argument("--shape", type=_shape, action="append", default=[], metavar="[NAME=]SIZES", help="shape, as in x=1,64,56,56")
    parser.add_argument("--dtype", type=_dtype, action="append", default=[], metavar="[NAME=]TYPE", help="data type (default: f32)")
    parser.add_argument("--attr", type=named, action="append", default=[], metavar="NAME=VALUE", help="keyword of the kernel")


# ---------------------------------------------------------------------------- words to values


def named(text: str) -> Named:
    """The value of an argument `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _optional(text: str) -> Named:
    return named(text) if "=" in text else ("", text)


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, value = _optional(text)
    sizes = value.replace("x", ",").split(",")
    if not all(size.isascii() and size.isdecimal() and len(size) < 12 and int(size) > 0 for size in sizes):
        raise argparse.ArgumentTypeError(f"{value!r} is no shape, such as 1,64,56,56")
    return name, tuple(map(int, sizes))


def _dtype(text: str) -> tuple[str, Dtype]:
    name, value = _optional(text)
    try:
        return name, dtype_of(value)
    except DtypeNameError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is no data type: {error.help}") from None


def _limit(text: str) -> int | str:
    if text == "none":
        return text
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of steps, and not none")
    return int(text)


def _value(text: str) -> object:
    """An integer, a float, true, false or none, a data type; everything else is a string, and what is in quotes."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return DTYPES.get(text, text)


# ---------------------------------------------------------------------------- what a command asks


def keywords_of(arguments: argparse.Namespace) -> dict[str, object]:
    """The keywords of the kernel."""
    return {name: _value(text) for name, text in arguments.attr}


def lists_of(named: Sequence[Named]) -> dict[str, object]:
    """The values of `NAME=VALUE,VALUE,...` as lists."""
    return {name: [_value(each) for each in text.split(",")] for name, text in named}


def dtypes_of(arguments: argparse.Namespace, kernel: Kernel) -> list[Dtypes]:
    """The data types: by name, or those of all tensors, of which there may be several to try.

    Raises:
        KernelArgumentError: the kernel has no such tensor, or a tensor has two types.
    """
    given: list[tuple[str, Dtype]] = arguments.dtype
    by_name = {name: dtype for name, dtype in given if name}
    common = [dtype for name, dtype in given if not name]
    _need_known(by_name, kernel)
    if len(given) > len(by_name) + len(common) or (by_name and common):
        raise KernelArgumentError(
            "there are several data types for one tensor", help="give --dtype once, or --dtype NAME=TYPE for each name"
        )
    return [by_name] if by_name else list(common) or [None]


def dtype_by_name(arguments: argparse.Namespace, kernel: Kernel) -> Mapping[str, Dtype]:
    """The data types of a command that works on one combination, by tensor; those that were not given are not in it.

    Raises:
        KernelArgumentError: there are several, or as `dtypes_of`.
    """
    found = dtypes_of(arguments, kernel)
    if len(found) > 1:
        raise KernelArgumentError("there are several data types for one tensor", help="give --dtype once; tpukernel bench takes more")
    (dtypes,) = found
    if isinstance(dtypes, Mapping):
        return {name: dtype_of(dtype) for name, dtype in dtypes.items()}
    return {} if dtypes is None else dict.fromkeys(kernel.signature.tensors, dtype_of(dtypes))


def shapes_of(arguments: argparse.Namespace, kernel: Kernel) -> list[dict[str, tuple[int, ...]]]:
    """All combinations of the shapes that were given; one without a name is that of all inputs.

    Raises:
        KernelArgumentError: the kernel has no such tensor.
    """
    given: list[tuple[str, tuple[int, ...]]] = arguments.shape
    _need_known([name for name, _ in given if name], kernel)
    common = [dict.fromkeys(kernel.signature.inputs, shape) for name, shape in given if not name] or [dict[str, tuple[int, ...]]()]
    choices = {name: [shape for tensor, shape in given if tensor == name] for name in kernel.signature.tensors}
    by_name = {name: shapes for name, shapes in choices.items() if shapes}
    return [base | dict(zip(by_name, some, strict=True)) for base in common for some in product(*by_name.values())]


def only_shapes_of(arguments: argparse.Namespace, kernel: Kernel) -> dict[str, tuple[int, ...]]:
    """The shapes of a command that works on one combination.

    Raises:
        KernelArgumentError: there are several, or as `shapes_of`.
    """
    found = shapes_of(arguments, kernel)
    if len(found) > 1:
        raise KernelArgumentError("there are several shapes for one tensor", help="give --shape once for each; tpukernel bench takes more")
    return found[0]


def kernel_asked(arguments: argparse.Namespace) -> Kernel:
    """The kernel of a command, with the limit that was given.

    Raises:
        TpuError, OSError: as `kernel_of`.
    """
    return limited(kernel_of(arguments.kernel), arguments)


def limited(kernel: Kernel, arguments: argparse.Namespace) -> Kernel:
    """The same kernel with the limit that was given, if there was one."""
    limit: int | str | None = arguments.limit
    return kernel if limit is None else kernel.with_limit(limit if isinstance(limit, int) else None)


def elaborated_of(arguments: argparse.Namespace) -> Elaborated:
    """The kernel for the shapes, types and keywords that were given; what the user's file and kernel print goes to standard error.

    Raises:
        KernelArgumentError: they do not fit the kernel.
        TpuError, OSError: as `kernel_of` and `Kernel.elaborate`.
    """
    with redirect_stdout(sys.stderr):
        kernel = kernel_asked(arguments)
        shapes, dtypes = only_shapes_of(arguments, kernel), dtype_by_name(arguments, kernel)
        with traced(kernel):
            return kernel.elaborate(shapes, dtypes, arguments.chip, **keywords_of(arguments))


def traced(kernel: Kernel) -> AbstractContextManager[None]:
    """Inside, an exception of the kernel's own Python is a `KernelFailedError`."""
    return users_errors(KernelFailedError, f"kernel {kernel.signature.name} failed")


def _need_known(names: Iterable[str], kernel: Kernel) -> None:
    known = kernel.signature.tensors
    for name in names:
        if name not in known:
            raise KernelArgumentError(f"kernel {kernel.signature.name} has no tensor {name}", help=f"it has {', '.join(known)}")
