"""What the groups of operations `k.tiu` and `k.dma` share: an operation becomes a statement that names a row of the function table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NoReturn

from tpukernel.dtypes import Dtype
from tpukernel.lang.errors import UnknownOperationError, UnsupportedDtypeError
from tpukernel.lang.ir import Attribute, Number, Operand
from tpukernel.lang.operands import Described, check_operands
from tpukernel.lang.symbols import here
from tpukernel.lang.tensors import Tensor, Tile
from tpukernel.lang.trace import After, Token, Tracer

__all__ = ["OTHER_NAMES", "Operations", "Source", "near_operations", "unknown_member", "unknown_operation"]

Source = Tile | float
"""A tensor in local memory, or a number for all elements."""

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


def _described(value: Tensor | Number) -> Described:
    if not isinstance(value, Tensor):
        return Described(None, None, repr(value))
    return Described("local" if isinstance(value, Tile) else "system", value.dtype, repr(value))


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
        check_operands(f"{self._group}.{name}", row, {key: _described(value) for key, value in given.items()}, here())
        known: dict[str, Operand] = {key: value.view if isinstance(value, Tensor) else value for key, value in given.items()}
        return self._tracer.op(f"{self._group}.{name}", row, known, dict(attributes or {}), after=after)

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
