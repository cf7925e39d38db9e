"""The signature of a kernel: `k`, tensors with a direction, then keywords that are numbers, names and switches."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsInt

from tpukernel.dtypes import Dtype, dtype_of, f32
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.errors import CallError, SignatureError
from tpukernel.lang.ir import Direction
from tpukernel.lang.tensors import In, InOut, Out
from tpukernel.source import Position

__all__ = ["Dtypes", "Infer", "Shapes", "Signature", "TensorSpec"]

Shapes = Mapping[str, Sequence[int]]
"""Shapes of parameters by name."""
Dtypes = Mapping[str, Dtype | str] | Dtype | str | None
"""Data types of parameters by name, or one for all; f32 where nothing is said."""

_DIRECTIONS: Mapping[object, Direction] = {In: "in", Out: "out", InOut: "inout"}
_NAMES: Mapping[str, Direction] = {"In": "in", "Out": "out", "InOut": "inout"}
_VALUES = (int, float, str, bool, Dtype, Rounding, type(None))


@dataclass(frozen=True)
class TensorSpec:
    """Shape and data type of a tensor."""

    shape: tuple[int, ...]
    dtype: Dtype = f32


Infer = Callable[..., TensorSpec | Sequence[TensorSpec]]
"""From the specs of the inputs and the keywords of the kernel to those of the outputs."""


@dataclass(frozen=True)
class Signature:
    """What a kernel takes.

    Attributes:
        name: of the function.
        tensors: direction of each tensor by name, in order.
        defaults: the keywords with their defaults; `inspect.Parameter.empty` for none.
        position: where the function begins.
    """

    name: str
    tensors: Mapping[str, Direction]
    defaults: Mapping[str, object]
    position: Position

    @classmethod
    def of(cls, function: Callable[..., object]) -> Signature:
        """The signature of a function.

        Raises:
            SignatureError: a parameter has no direction, or is of a kind that kernels do not have.
        """
        code = function.__code__
        name, position = function.__name__, Position(code.co_filename, code.co_firstlineno)
        parameters = list(inspect.signature(function).parameters.values())
        if not parameters or parameters[0].kind not in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            raise SignatureError(
                f"kernel {name} has no parameter k", position=position, help=f"write `def {name}(k, x: tpukernel.In, ...):`"
            )
        tensors: dict[str, Direction] = {}
        defaults: dict[str, object] = {}
        for parameter in parameters[1:]:
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                defaults[parameter.name] = parameter.default
                continue
            direction = _direction(parameter.annotation)
            if direction is None or parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                raise SignatureError(
                    f"parameter {parameter.name} of kernel {name} is no tensor with a direction",
                    position=position,
                    help=f"annotate it: `{parameter.name}: tpukernel.In` (or Out, InOut); numbers come behind a `*` as keywords",
                )
            tensors[parameter.name] = direction
        return cls(name, tensors, defaults, position)

    @property
    def inputs(self) -> list[str]:
        """Names of the tensors that the caller gives."""
        return [name for name, direction in self.tensors.items() if direction != "out"]

    @property
    def outputs(self) -> list[str]:
        """Names of the tensors that the caller gets."""
        return [name for name, direction in self.tensors.items() if direction != "in"]

    def keywords(self, given: Mapping[str, object]) -> dict[str, object]:
        """The values of all keywords.

        Raises:
            CallError: one is unknown, missing, or no plain value.
        """
        unknown = given.keys() - self.defaults.keys()
        if unknown:
            known = ", ".join(self.defaults) or "none"
            raise CallError(f"kernel {self.name} has no keyword {', '.join(sorted(unknown))}", help=f"its keywords are: {known}")
        found = {name: given.get(name, default) for name, default in self.defaults.items()}
        for name, value in found.items():
            if value is inspect.Parameter.empty:
                raise CallError(
                    f"kernel {self.name} needs the keyword {name}", help=f"call it with {name}=..., on the command line --attr {name}=..."
                )
            if not isinstance(value, _VALUES) and not (isinstance(value, tuple) and _is_hashable(value)):  # pyright: ignore[reportUnknownArgumentType]
                raise CallError(
                    f"{name} of kernel {self.name} is {value!r}", help="keywords are numbers, strings, data types, or tuples of them"
                )
        return found

    def specs(self, shapes: Shapes, dtypes: Dtypes, keywords: Mapping[str, object], infer: Infer | None) -> dict[str, TensorSpec]:
        """The specs of all tensors: those of outputs that are not given are inferred, by default from the first input.

        Raises:
            CallError: a shape is missing, unknown or empty.
        """
        unknown = shapes.keys() - self.tensors.keys()
        if unknown:
            raise CallError(f"kernel {self.name} has no tensor {', '.join(sorted(unknown))}", help=f"it has {', '.join(self.tensors)}")
        found = {name: TensorSpec(_shape(name, shapes[name]), _dtype(name, dtypes)) for name in self.tensors if name in shapes}
        absent = [name for name in self.inputs if name not in found]
        if absent:
            raise CallError(f"kernel {self.name} needs the shape of {', '.join(absent)}", help="give shapes of all inputs")
        missing = [name for name in self.tensors if name not in found]
        inputs = [found[name] for name in self.inputs]
        if missing:
            found |= dict(zip(missing, self._inferred(missing, inputs, keywords, infer), strict=True))
        return {name: found[name] for name in self.tensors}

    def _inferred(
        self, missing: Sequence[str], inputs: Sequence[TensorSpec], keywords: Mapping[str, object], infer: Infer | None
    ) -> Sequence[TensorSpec]:
        if infer is None:
            if not inputs:
                raise CallError(
                    f"kernel {self.name} has no input that says how large {missing[0]} is", help="give infer=, or shapes of the outputs"
                )
            return [inputs[0]] * len(missing)
        given = infer(*inputs, **keywords)
        specs = [given] if isinstance(given, TensorSpec) else list(given)
        if len(specs) != len(missing):
            raise CallError(
                f"infer of kernel {self.name} gives {len(specs)} outputs, not {len(missing)}", help="one for each Out, in order"
            )
        return specs


def _direction(annotation: object) -> Direction | None:
    if isinstance(annotation, str):
        return _NAMES.get(annotation.rpartition(".")[2].strip("'\""))
    return _DIRECTIONS.get(annotation) if isinstance(annotation, type) else None


def _is_hashable(value: tuple[object, ...]) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _size(size: SupportsInt) -> int:
    """A size as an `int`; one that is a subclass, as those of models that vary, is left as it is."""
    return size if isinstance(size, int) else int(size)


def _shape(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    found = tuple(_size(size) for size in shape)
    if not found or any(size < 1 for size in found):
        raise CallError(f"{name} has shape {found}", help="give one dimension or more, with sizes of 1 or more")
    return found


def _dtype(name: str, dtypes: Dtypes) -> Dtype:
    if isinstance(dtypes, Mapping):
        return dtype_of(dtypes.get(name, f32))
    return f32 if dtypes is None else dtype_of(dtypes)
