"""What the groups of operations `k.tiu` and `k.dma` share: an operation becomes a statement that names a row of the function table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Final, NoReturn

from tpukernel.api.function import Function, Parameter, rows
from tpukernel.dtypes import Dtype, f32
from tpukernel.lang.errors import OperandTypeError, UnknownOperationError, UnsupportedDtypeError
from tpukernel.lang.ir import Attribute, Number, Operand
from tpukernel.lang.symbols import here
from tpukernel.lang.tensors import Global, Tensor, Tile
from tpukernel.lang.trace import After, Token, Tracer

__all__ = ["Operations", "Source", "near_operations", "operand_name", "row_of", "unknown_member", "unknown_operation"]

Source = Tile | float
"""A tensor in local memory, or a number for all elements."""

_SHARED: Final = frozenset({"dtype", "left_right_dtype", "src0_src1_dtype"})
"""Parameters that give one data type for several operands."""
_NUMBERED: Final = frozenset({"index", "mask", "count", "roi"})
"""Operands that say which elements are meant; they are of types of their own."""


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


OTHER_NAMES: Final[Mapping[str, str]] = {
    "plus": "add",
    "fadd": "add",
    "subtract": "sub",
    "minus": "sub",
    "fsub": "sub",
    "multiply": "mul",
    "times": "mul",
    "fmul": "mul",
    "divide": "div",
    "true_divide": "div",
    "fdiv": "div",
    "negative": "neg",
    "absolute": "abs",
    "maximum": "max",
    "fmax": "max",
    "minimum": "min",
    "fmin": "min",
    "sum": "reduce_sum",
    "amax": "reduce_max",
    "astype": "cast",
    "convert": "cast",
    "dot": "matmul",
    "mm": "matmul",
    "conv": "conv2d",
    "convolution": "conv2d",
    "read": "load",
    "write": "store",
    "memset": "fill",
    "zeros": "fill",
    "move": "copy",
    "where": "select_greater",
    "maxpool": "max_pool2d",
    "avgpool": "avg_pool2d",
    "permute": "transpose",
}
"""How operations are called elsewhere (numpy, other kernel languages): their name here."""


def near_operations(name: str, groups: Mapping[str, type]) -> list[str]:
    """Operations of these groups whose names are like this one, the nearest first, each as `k.group.name`."""
    known = {member: group for group, kind in reversed([*groups.items()]) for member in _public(kind)}
    near = [each for each in (name, OTHER_NAMES.get(name.lower(), "")) if each in known]
    near += [each for each in get_close_matches(name, known, 3) if each not in near]
    return [f"k.{known[each]}.{each}" for each in near[:3]]


def unknown_operation(name: str, near: Sequence[str]) -> UnknownOperationError:
    """There is no such operation."""
    help = f"did you mean {' or '.join(near)}?" if near else "the documentation lists all; k.call takes every TPUKernel function"
    return UnknownOperationError(f"there is no operation {name}", position=here(), help=help)


def unknown_member(name: str, builder: type, groups: Mapping[str, type]) -> UnknownOperationError:
    """There is no such thing as `k.<name>`; perhaps there is `k.tiu.<name>`."""
    near = near_operations(name, groups)
    if not any(each.endswith((f".{name}", f".{OTHER_NAMES.get(name)}")) for each in near):
        near = [f"k.{each}" for each in get_close_matches(name, [*groups, *_public(builder)], 1)] + near
    return unknown_operation(f"k.{name}", near[:3])


def _public(kind: type) -> list[str]:
    return [each for each in dir(kind) if not each.startswith("_")]


class Operations:
    """A group of operations.

    Args:
        tracer: takes the operations.
        group: the name of the group in messages.
    """

    def __init__(self, tracer: Tracer, group: str) -> None:
        self._tracer = tracer
        self._group = group

    if not TYPE_CHECKING:  # so that type checkers know exactly the operations that there are

        def __getattr__(self, name: str) -> NoReturn:
            raise unknown_operation(f"k.{self._group}.{name}", near_operations(name, {self._group: type(self)}))

    def _emit(
        self,
        name: str,
        row: str,
        operands: Mapping[str, Tensor | Number | None],
        attributes: Mapping[str, Attribute] | None = None,
        after: After = None,
    ) -> Token:
        """Add an operation; operands that are None are left out."""
        given = {key: value for key, value in operands.items() if value is not None}
        self._check(f"{self._group}.{name}", row, given)
        known: dict[str, Operand] = {key: value.view if isinstance(value, Tensor) else value for key, value in given.items()}
        return self._tracer.op(f"{self._group}.{name}", row, known, dict(attributes or {}), after=after)

    def _check(self, name: str, row: str, operands: Mapping[str, Tensor | Number]) -> None:
        """Operands are of the kinds and data types that the row takes."""
        parameters = row_of(row).parameters
        for parameter in parameters:
            value = operands.get(operand_name(parameter))
            wanted = {"local": Tile, "system": Global}.get(parameter.kind.name)
            if wanted is not None and value is not None and not isinstance(value, wanted):
                memory = "local memory (k.local)" if wanted is Tile else "system memory (a parameter of the kernel)"
                raise OperandTypeError(
                    f"{operand_name(parameter)} of {name} is {value!r}, but it has to be a tensor in {memory}",
                    position=here(),
                    help="copy it with k.dma.load or k.dma.store" if isinstance(value, Tensor) else "give a tensor",
                )
        own = {parameter.name.removesuffix("_dtype") for parameter in parameters if parameter.name.endswith("_dtype")}
        shared = [parameter.kind.dtypes for parameter in parameters if parameter.name in _SHARED]
        checked = {key: value for key, value in operands.items() if isinstance(value, Tensor) and key not in own | _NUMBERED}
        if shared:
            self._same_dtype(name, checked, shared[0])
        elif "_fp32_" in row and not own:
            self._same_dtype(name, checked, (f32,))

    def _same_dtype(self, name: str, operands: Mapping[str, Tensor], allowed: tuple[Dtype, ...]) -> None:
        found = {value.dtype for value in operands.values()}
        told = ", ".join(f"{key} {value!r}" for key, value in operands.items())
        if len(found) > 1 and not allowed == (f32,):
            raise UnsupportedDtypeError(
                f"the operands of {name} have different data types: {told}", position=here(), help="convert one with k.tiu.cast"
            )
        if allowed and not found <= set(allowed):
            names = " or ".join(dtype.name for dtype in allowed)
            raise UnsupportedDtypeError(f"{name} works on {names}, not on {told}", position=here(), help="convert with k.tiu.cast")

    def _need_dtype(self, name: str, operand: str, tensor: Tensor, *allowed: Dtype) -> None:
        """One operand has one of these data types."""
        if tensor.dtype not in allowed:
            names = " or ".join(dtype.name for dtype in allowed)
            raise UnsupportedDtypeError(
                f"{operand} of {self._group}.{name} is {tensor!r}, but has to be {names}",
                position=here(),
                help="make it of that type, or convert with k.tiu.cast",
            )

    def _refuse(self, name: str, message: str, help: str) -> UnsupportedDtypeError:
        return UnsupportedDtypeError(f"{self._group}.{name} {message}", position=here(), help=help)
