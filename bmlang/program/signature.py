"""The signature of a function: tensors, then plain values as keywords."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from keyword import iskeyword
from types import FunctionType
from typing import cast

import numpy as np

from bmlang.graph.graph import Array
from bmlang.program.errors import FunctionArgumentError, FunctionSignatureError
from tpukernel.dtypes import Dtype
from tpukernel.source import Position

__all__ = ["Signature", "value_key"]


PLAIN = (bool, int, float, complex, str, bytes, type(None), Dtype, Enum, FunctionType)
"""Values that do not change."""


@dataclass(frozen=True)
class Signature:
    """What a function takes.

    Attributes:
        name: of the function, and of the net that it becomes.
        inputs: names of its tensors.
        defaults: its keywords with their defaults; `inspect.Parameter.empty` for none.
        position: where it begins.
    """

    name: str
    inputs: tuple[str, ...]
    defaults: Mapping[str, object]
    position: Position

    @classmethod
    def of(cls, python: Callable[..., object]) -> Signature:
        """The signature of a Python function.

        Raises:
            FunctionSignatureError: it cannot be a function of BMLang.
        """
        if not isinstance(python, FunctionType):
            raise FunctionSignatureError(f"{python!r} is no Python function", help="put @bm.function before a def")
        name, position = python.__name__, Position(python.__code__.co_filename, python.__code__.co_firstlineno)
        if not name.isidentifier() or iskeyword(name):
            raise FunctionSignatureError(f"a function is called {name}", position=position, help="write it with def: its net has its name")
        inputs: list[str] = []
        defaults: dict[str, object] = {}
        for parameter in inspect.signature(python).parameters.values():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                defaults[parameter.name] = parameter.default
            elif parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                raise FunctionSignatureError(
                    f"function {name} takes any number of arguments ({_bare(parameter)})", position=position, help="name its tensors"
                )
            elif parameter.default is not inspect.Parameter.empty:
                raise FunctionSignatureError(
                    f"tensor {parameter.name} of function {name} has a default",
                    position=position,
                    help="plain values come behind a `*` as keywords",
                )
            else:
                inputs.append(parameter.name)
        return cls(name, tuple(inputs), defaults, position)

    def keywords(self, given: Mapping[str, object]) -> dict[str, object]:
        """The values of all keywords.

        Raises:
            FunctionArgumentError: one is missing or unknown.
        """
        return self.bound([None] * len(self.inputs), given)[1]

    def bound(self, args: Sequence[object], keywords: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
        """Tensors and keywords by name.

        Raises:
            FunctionArgumentError: an argument is missing, unknown, or given twice.
        """
        if len(args) > len(self.inputs):
            raise FunctionArgumentError(
                f"function {self.name} takes {len(self.inputs)} tensors, not {len(args)}", help=f"give {', '.join(self.inputs) or 'none'}"
            )
        placed = dict(zip(self.inputs, args, strict=False))
        given = {name: placed.get(name, keywords.get(name)) for name in self.inputs if name in placed or name in keywords}
        attrs = {name: keywords.get(name, default) for name, default in self.defaults.items()}
        unknown = keywords.keys() - set(self.inputs) - attrs.keys()
        missing = [name for name in self.inputs if name not in given]
        missing += [name for name, value in attrs.items() if value is inspect.Parameter.empty]
        twice = [name for name in placed if name in keywords]
        if unknown or missing or twice:
            what = f"has no argument {', '.join(sorted(unknown))}" if unknown else f"needs {', '.join(missing)}"
            what = what if unknown or missing else f"got {', '.join(twice)} twice"
            raise FunctionArgumentError(
                f"function {self.name} {what}", help=f"its arguments are {', '.join([*self.inputs, *self.defaults]) or 'none'}"
            )
        return given, attrs


def _bare(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(annotation=inspect.Parameter.empty)


def value_key(value: object) -> object:
    """Something hashable that is equal for values that a function cannot tell apart; arrays by their contents.

    What may change without notice has a key that nothing else has.
    """
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        array = np.require(np.asarray(cast("Array", value)), requirements="C")
        return "array", array.dtype.str, array.shape, sha256(array.reshape(-1).view(np.uint8).data).digest()
    if isinstance(value, Mapping):
        return "mapping", tuple((value_key(key), value_key(each)) for key, each in cast("Mapping[object, object]", value).items())
    if isinstance(value, list | tuple):
        return type(cast("object", value)), tuple(map(value_key, cast("Sequence[object]", value)))
    if isinstance(value, PLAIN):
        return type(value), value, repr(value) if isinstance(value, float) else None  # 0.0 == -0.0
    return object()
