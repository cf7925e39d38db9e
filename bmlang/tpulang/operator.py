"""What all operators of TpuLang share: checks of their arguments, their tensors among the operators of `bmlang`, and their results."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any, Final, ParamSpec, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from bmlang.graph.graph import Array
from bmlang.layers.errors import OperatorArgumentError, OperatorDtypeError
from bmlang.layers.tensor import Operand, here
from bmlang.layers.tensor import Tensor as Value
from bmlang.tpulang.dtypes import DTYPES
from bmlang.tpulang.graph import Operator, current
from bmlang.tpulang.tensor import Numbers, Scalar, Tensor, Whole

__all__ = [
    "BYTES", "FLOATS", "OPERATORS", "Number", "check", "coefficient", "data_of", "given", "is_bytes", "known", "lists", "made", "needs",
    "number_of", "operand", "operator", "plain", "single", "value", "whole",
]  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")
Number = float | int
FLOATS: Final = ("float32", "float16", "bfloat16")
BYTES: Final = ("int8", "uint8")
OPERATORS: Final[dict[str, Callable[..., object]]] = {}
"""All operators by name."""
_running: ContextVar[str] = ContextVar("running", default="")


def operator(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: the function is an operator of TpuLang. Its arguments have the types that it says, and the graph notes the call."""
    name = function.__name__
    OPERATORS[name] = function
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: P.args, **keywords: P.kwargs) -> R:
        if _running.get():  # an operator that is made of others is one operator
            return function(*args, **keywords)
        graph = current()
        try:
            bound = signature.bind(*args, **keywords)
        except TypeError as error:
            raise OperatorArgumentError(f"{name}: {error}", position=here(), help=f"it is {name}{_told(signature)}") from None
        hints = _hints(function)
        for each, given in bound.arguments.items():
            if given is not None and not _fits(given, hints[each]):
                raise OperatorArgumentError(f"{each} of {name} is {_shown(given)}", position=here(), help=f"it is {name}{_told(signature)}")
        token = _running.set(name)
        try:
            found = function(*args, **keywords)
        finally:
            _running.reset(token)
        graph.operators.append(Operator(name, tuple(_tensors(bound.arguments)), tuple(_tensors(cast("object", found))), here()))
        return found

    return call


@cache
def _hints(function: Callable[..., object]) -> Mapping[str, object]:
    return get_type_hints(function)


def _told(signature: inspect.Signature) -> str:
    return str(signature).partition(" ->")[0].replace("'", "").replace("~", "")


def _shown(given: object) -> str:
    return f"a numpy array of shape {list(cast('Array', given).shape)}" if isinstance(given, np.ndarray) else repr(given)


def _fits(given: object, hint: object) -> bool:
    """Whether a value is of an annotated type; numbers of numpy count as Python's."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(given, each) for each in args)
    if origin is Mapping:
        return isinstance(given, Mapping)
    if origin is not None:  # a sequence
        return isinstance(given, list | tuple) and all(_fits(each, args[0]) for each in cast("Sequence[object]", given))
    if hint is float:
        return isinstance(given, float | int | np.floating | np.integer) and not isinstance(given, bool)
    if hint is int:
        return isinstance(given, int | np.integer) and not isinstance(given, bool)
    return hint is object or hint is Any or isinstance(given, cast("type", hint))


def _tensors(given: object) -> Sequence[Tensor]:
    if isinstance(given, Tensor):
        return [given]
    parts: Sequence[object] = ()
    if isinstance(given, Mapping):
        parts = list(cast("Mapping[str, object]", given).values())
    elif isinstance(given, list | tuple):
        parts = cast("Sequence[object]", given)
    return [tensor for each in parts for tensor in _tensors(each)]


# ---------------------------------------------------------------------- arguments


def check(right: bool, said: str, advice: str) -> None:
    """The arguments are right.

    Args:
        right: whether they are.
        said: what is wrong, without the name of the operator.
        advice: what to do.

    Raises:
        OperatorArgumentError: otherwise.
    """
    if not right:
        raise OperatorArgumentError(f"{_running.get()}: {said}", position=here(), help=advice)


def needs(tensor: Tensor | Scalar, *dtypes: str) -> None:
    """The tensor is of one of these types.

    Raises:
        OperatorDtypeError: otherwise.
    """
    if tensor.dtype not in dtypes:
        told = tensor.name if isinstance(tensor, Tensor) else repr(tensor)
        raise OperatorDtypeError(
            f"{_running.get()} does not work on {told}, which is {tensor.dtype}", position=here(), help=f"it works on {', '.join(dtypes)}"
        )


def is_bytes(*tensors: Tensor | Scalar) -> bool:
    """Whether all are integers of 8 bits."""
    return all(tensor.dtype in BYTES for tensor in tensors)


def value(tensor: Tensor) -> Value:
    """The tensor among the operators of `bmlang`."""
    return current().value(tensor)


def known(tensor: Tensor, what: str) -> Array:
    """The data of a coefficient.

    Raises:
        OperatorArgumentError: it is none.
    """
    check(tensor.ttype == "coeff", f"{what} {tensor.name} is no coefficient", 'declare it with ttype="coeff" and data=')
    value(tensor)  # it is part of the graph, with its name
    return data_of(tensor)


def coefficient(tensor: Tensor, what: str) -> Value:
    """A coefficient among the operators of `bmlang`.

    Raises:
        OperatorArgumentError: it is none.
    """
    known(tensor, what)
    return value(tensor)


def data_of(tensor: Tensor) -> Array:
    """The data of a tensor that has some."""
    assert tensor.buffer is not None  # noqa: S101
    return tensor.buffer


def operand(given: Tensor | Scalar | Number) -> Operand:
    """What an operator of `bmlang` takes for a tensor, a scalar or a number."""
    if isinstance(given, Tensor):
        return value(given)
    return np.asarray(given.value, DTYPES[given.dtype].numpy) if isinstance(given, Scalar) else given


def number_of(given: Scalar | Number) -> Number:
    """A number, be it a scalar or not."""
    return given.value if isinstance(given, Scalar) else given


def lists(given: Sequence[int] | int | None, default: Sequence[int], what: str) -> list[int]:
    """Numbers for each dimension: those given, one for all, or the default.

    Raises:
        OperatorArgumentError: there are too many or too few.
    """
    found = [given] * len(default) if isinstance(given, int) else list(default if given is None else given)
    check(len(found) == len(default), f"{what} is {found}", f"give {len(default)} numbers")
    return found


def given(found: Numbers | None, what: str) -> Numbers:
    """A scale that has to be there.

    Raises:
        OperatorArgumentError: it is not.
    """
    check(found is not None, f"{what} is missing", "give it, or declare it with the tensor")
    assert found is not None  # noqa: S101
    return found


def single(found: Numbers | None, what: str) -> float:
    """A scale or zero point of which there may be one only.

    Raises:
        OperatorArgumentError: there is none, or there are several.
    """
    one = plain(given(found, what))
    check(isinstance(one, int | float), f"{what} is {found}", "give one number: TpuLang has no list here, either")
    assert isinstance(one, int | float)  # noqa: S101
    return one


def plain(given: Numbers) -> Numbers:
    """One number where there is a list of one."""
    return given if isinstance(given, int | float) or len(given) != 1 else given[0]


def whole(given: Numbers, what: str) -> Whole:
    """Numbers that have to be whole, of any type; one where there is a list of one.

    Raises:
        OperatorArgumentError: one is not.
    """
    several = [given] if isinstance(given, float | int) else list(given)
    check(all(float(each).is_integer() for each in several), f"{what} is {given}", "give whole numbers")
    integers = [int(each) for each in several]
    return integers[0] if len(integers) == 1 else integers


# ---------------------------------------------------------------------- results


def made(found: Value, name: str | None, scale: Numbers | None = None, zero_point: Whole | None = None) -> Tensor:
    """The result of an operator.

    Args:
        found: what was computed.
        name: the name that the user gives it.
        scale, zero_point: what its integers mean.
    """
    return current().add(found, name, _running.get(), scale, zero_point)
