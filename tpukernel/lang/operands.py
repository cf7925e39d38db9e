"""What the operands of an operation must be, whoever wrote it down: of the memory that its row works on, and of one data type."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Final

from tpukernel.api.function import Function, Parameter, rows
from tpukernel.dtypes import Dtype, f32
from tpukernel.lang.errors import OperandTypeError, UnknownOperationError, UnsupportedDtypeError
from tpukernel.source import Position

__all__ = ["Described", "check_operands", "operand_name", "row_of"]

_SHARED: Final = frozenset({"dtype", "left_right_dtype", "src0_src1_dtype"})
"""Parameters that give one data type for several operands."""
_COMPARED: Final = ("src0", "src1")
"""The operands of `src0_src1_dtype`; the others of such a row are of the type of its result."""
_NUMBERED: Final = frozenset({"index", "mask", "count", "roi"})
"""Operands that say which elements are meant; they are of types of their own."""
_MEMORIES: Final = {"local": "local memory (k.local)", "system": "system memory (a parameter of the kernel)"}


@dataclass(frozen=True, slots=True)
class Described:
    """An operand: the kind of its memory (`local` or `system`) and its data type, both None for a number, and how messages call it."""

    memory: str | None
    dtype: Dtype | None
    text: str


@cache
def row_of(name: str) -> Function[...]:
    """The row of the table of TPUKernel functions.

    Raises:
        UnknownOperationError: there is none that emits instructions.
    """
    found = rows().get(name)
    if isinstance(found, Function):
        return found  # pyright: ignore[reportUnknownVariableType]
    near = get_close_matches(name, [key for key, row in rows().items() if isinstance(row, Function)], 3)
    raise UnknownOperationError(
        f"there is no TPUKernel function {name!r} that emits instructions",
        help=f"did you mean {' or '.join(near)}?" if near else "see the table of functions",
    )


def operand_name(parameter: Parameter) -> str:
    """The operand that a parameter for an address belongs to."""
    return parameter.name.removesuffix("_addr")


def check_operands(name: str, row: str, operands: Mapping[str, Described], position: Position | None, given: Collection[str] = ()) -> None:
    """Operands are of the kinds and data types that the row takes.

    Args:
        name: of the operation, for messages.
        row: the function that it is.
        operands: by the name of the operand.
        position: where it was written.
        given: attributes that the author gave; who names the data type may read the bytes of a tensor as another one.

    Raises:
        OperandTypeError: a tensor is in the wrong memory.
        UnsupportedDtypeError: the data types differ, or the row has not got one.
    """
    parameters = row_of(row).parameters
    for parameter in parameters:
        value = operands.get(operand_name(parameter))
        if parameter.kind.name in _MEMORIES and value is not None and value.memory != parameter.kind.name:
            raise OperandTypeError(
                f"{operand_name(parameter)} of {name} is {value.text}, but it has to be a tensor in {_MEMORIES[parameter.kind.name]}",
                position=position,
                help="give a tensor" if value.memory is None else "copy it with k.dma.load or k.dma.store",
            )
    own = {parameter.name.removesuffix("_dtype") for parameter in parameters if parameter.name.endswith("_dtype")}
    shared = [parameter for parameter in parameters if parameter.name in _SHARED]
    checked = {key: value for key, value in operands.items() if value.dtype is not None and key not in own | _NUMBERED}
    if shared and shared[0].name not in given:
        if shared[0].name == "src0_src1_dtype":
            chosen = {key: value for key, value in operands.items() if value.dtype is not None and key not in _COMPARED}
            _same_dtype(name, chosen, (), position)
            checked = {key: value for key, value in checked.items() if key in _COMPARED}
        _same_dtype(name, checked, shared[0].kind.dtypes, position)
    elif not shared and "_fp32_" in row and not own:
        _same_dtype(name, checked, (f32,), position)


def _same_dtype(name: str, operands: Mapping[str, Described], allowed: tuple[Dtype, ...], position: Position | None) -> None:
    found = {value.dtype for value in operands.values()}
    told = ", ".join(f"{key} {value.text}" for key, value in operands.items())
    if len(found) > 1 and not allowed == (f32,):
        raise UnsupportedDtypeError(
            f"the operands of {name} have different data types: {told}", position=position, help="convert one with k.tiu.cast"
        )
    if allowed and not found <= set(allowed):
        names = " or ".join(dtype.name for dtype in allowed)
        raise UnsupportedDtypeError(f"{name} works on {names}, not on {told}", position=position, help="convert with k.tiu.cast")
