"""The operations of `k.tiu` and `k.dma` as a text sees them: parameters and kinds of values, taken from the methods."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Final, Literal, Union, cast, get_args, get_origin, get_type_hints

from tpukernel.dtypes import Dtype
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.dma import DmaOps
from tpukernel.lang.errors import OperandTypeError, UnknownOperationError
from tpukernel.lang.operations import Operations
from tpukernel.lang.symbols import SymBool, SymInt
from tpukernel.lang.tensors import Global, Tensor, Tile
from tpukernel.lang.text import tree
from tpukernel.lang.text.errors import TextArgumentError, TextNameError, TextValueError
from tpukernel.lang.text.values import Scope, Value, kind_of
from tpukernel.lang.tiu import TiuOps

__all__ = ["GROUPS", "OperationParameter", "accepts", "arguments_of", "choices", "operation", "parameters_of"]

GROUPS: Final[Mapping[str, type[Operations]]] = {"tiu": TiuOps, "dma": DmaOps}


@dataclass(frozen=True)
class OperationParameter:
    """A parameter of an operation.

    Attributes:
        name: its name.
        hint: its annotation.
        required: whether it has no default.
        default: its default.
        keyword: whether it is given by name only.
    """

    name: str
    hint: object
    required: bool
    default: object
    keyword: bool


def operation(group: str, name: str) -> tuple[OperationParameter, ...] | None:
    """The parameters of an operation besides `after`; None where there is none of that name."""
    return None if name not in _names(group) else parameters_of(group, name)


@cache
def _names(group: str) -> frozenset[str]:
    found = inspect.getmembers(GROUPS[group], inspect.isfunction) if group in GROUPS else []
    return frozenset(name for name, _ in found if not name.startswith("_"))


@cache
def parameters_of(group: str, name: str) -> tuple[OperationParameter, ...]:
    """The parameters of an operation that there is, besides `after`."""
    method = getattr(GROUPS[group], name)
    hints = get_type_hints(method)
    found = [each for each in inspect.signature(method).parameters.values() if each.name not in ("self", "after")]
    return tuple(
        OperationParameter(each.name, hints[each.name], each.default is each.empty, each.default, each.kind is each.KEYWORD_ONLY)
        for each in found
    )


# ---------------------------------------------------------------------------- kinds of values


def _alternatives(hint: object) -> tuple[object, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def choices(hint: object) -> tuple[str | bool, ...]:
    """The words or switches of which a parameter takes one; empty where it takes something else."""
    found: list[str | bool] = []
    for each in _alternatives(hint):
        if get_origin(each) is Literal:
            found += get_args(each)
        elif each is bool:
            found += (False, True)
    return tuple(found)


def accepts(hint: object, value: object) -> bool:
    """Whether a parameter with this annotation takes a value."""
    return any(_accepts(each, value) for each in _alternatives(hint))


def _accepts(hint: object, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool | Rounding)
    if hint is None or hint is type(None):
        return value is None
    if hint is float:
        return is_number
    if hint is int:
        return is_number and isinstance(value, int)
    if get_origin(hint) is Literal:
        return isinstance(value, str | bool) and value in get_args(hint)
    if get_origin(hint) is tuple:
        wanted = get_args(hint)
        return isinstance(value, tuple) and _accepts_all(wanted, cast("tuple[object, ...]", value))
    if get_origin(hint) is Sequence:
        return isinstance(value, tuple) and all(accepts(get_args(hint)[0], each) for each in cast("tuple[object, ...]", value))
    return isinstance(hint, type) and isinstance(value, hint)


def _accepts_all(wanted: tuple[object, ...], values: tuple[object, ...]) -> bool:
    if wanted[-1] is ...:
        return all(accepts(wanted[0], each) for each in values)
    return len(values) == len(wanted) and all(accepts(hint, each) for hint, each in zip(wanted, values, strict=True))


_KINDS: Final = (
    (Tile, "a tensor in local memory (let ... = local<...>[...])"),
    (Global, "a tensor in system memory (a parameter of the kernel)"),
    (Tensor, "a tensor"),
    (float, "a number"),
    (SymInt, "a size"),
    (int, "an integer"),
    (SymBool, "a condition"),
    (Rounding, f"a rounding ({', '.join(each.name.lower() for each in Rounding)})"),
    (Dtype, "a data type"),
    (str, "a string"),
)


def _in_words(hint: object) -> str:
    """What a parameter takes, in words."""
    alternatives = _alternatives(hint)
    told = [words for kind, words in _KINDS if kind in alternatives and not (kind is int and SymInt in alternatives)]
    told += [", ".join(f'"{each}"' if isinstance(each, str) else str(each).lower() for each in choices(hint))] if choices(hint) else []
    for each in alternatives:
        if get_origin(each) is tuple:
            told.append(f"({', '.join(_in_words(inside) for inside in get_args(each))})")
    return " or ".join(told) or "something else"


# ---------------------------------------------------------------------------- arguments


def arguments_of(node: tree.OpNode, scope: Scope) -> dict[str, Value]:
    """The arguments of an operation by the names of its parameters.

    Raises:
        TextNameError: there is no such group.
        UnknownOperationError: there is no such operation.
        TextArgumentError: arguments are missing, or are too many.
        TextValueError, OperandTypeError: one is of a kind that the operation does not take.
    """
    group, name = node.group.text, node.name.text
    if group not in GROUPS:
        raise TextNameError(f"there are no operations `{group}`", position=node.group.position, help=f"there are {' and '.join(GROUPS)}")
    parameters = operation(group, name)
    if parameters is None:
        near = get_close_matches(name, _names(group), 3)
        raise UnknownOperationError(
            f"there is no operation {group}.{name}",
            position=node.position,
            help=f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(_names(group)))}",
        )
    found: dict[str, Value] = {}
    for parameter, value in _bound(node, parameters):
        found[parameter.name] = _checked(node, parameter, scope.value(value), value, _usage(node, parameters))
    missing = [parameter.name for parameter in parameters if parameter.required and parameter.name not in found]
    if missing:
        raise TextArgumentError(f"{group}.{name} needs {', '.join(missing)}", position=node.position, help=_usage(node, parameters))
    return found


def _bound(node: tree.OpNode, parameters: Sequence[OperationParameter]) -> list[tuple[OperationParameter, tree.ValueNode]]:
    """Which parameter each argument is for."""
    title = f"{node.group.text}.{node.name.text}"
    positional = [parameter for parameter in parameters if not parameter.keyword]
    values = node.arguments.values
    if len(values) > len(positional):
        message = f"{title} takes {len(positional)} arguments without a name, not {len(values)}"
        raise TextArgumentError(message, position=values[len(positional)].position, help=_usage(node, parameters))
    found = list(zip(positional, values, strict=False))
    for name, value in node.arguments.named:
        parameter = next((each for each in parameters if each.name == name.text), None)
        if parameter is None:
            raise TextArgumentError(f"{title} has no `{name.text}`", position=name.position, help=_usage(node, parameters))
        if any(each is parameter for each, _ in found):
            raise TextArgumentError(f"{name.text} of {title} is given twice", position=name.position, help="give it once")
        found.append((parameter, value))
    return found


def _usage(node: tree.OpNode, parameters: Sequence[OperationParameter]) -> str:
    told = [each.name if each.required else f"{each.name}=..." for each in parameters]
    return f"write {node.group.text}.{node.name.text}({', '.join(told)})"


def _checked(node: tree.OpNode, parameter: OperationParameter, value: Value, given: tree.ValueNode, usage: str) -> Value:
    if accepts(parameter.hint, value):
        return value
    title = f"{parameter.name} of {node.group.text}.{node.name.text}"
    wanted = _in_words(parameter.hint)
    if isinstance(value, Tensor):
        help = "copy it with dma.load or dma.store" if set(_alternatives(parameter.hint)) & {Tile, Global} else f"give {wanted}"
        raise OperandTypeError(f"{title} is {value!r}, but it has to be {wanted}", position=given.position, help=help)
    told = repr(value) if isinstance(value, int | float | SymInt) and not isinstance(value, bool | Rounding) else kind_of(value)
    raise TextValueError(f"{title} is {told}, but it has to be {wanted}", position=given.position, help=usage)
