"""A kernel that is text: its head says what it takes, and its body is written down for each shape."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from tpukernel.dtypes import Dtype, dtype_of, f32
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.builder import Builder
from tpukernel.lang.errors import CallError
from tpukernel.lang.expr import Var, compare
from tpukernel.lang.ir import Direction, Param
from tpukernel.lang.limits import TEXT_LIMIT
from tpukernel.lang.signature import Dtypes, Shapes, Signature, TensorSpec
from tpukernel.lang.symbols import Size, SymInt, at_place, expr_of
from tpukernel.lang.tensors import Tensor
from tpukernel.lang.text import tree
from tpukernel.lang.text.errors import TextDeclarationError, TextNameError
from tpukernel.lang.text.values import Scope, Value, dtype_named, kind_of, sizes_of
from tpukernel.lang.text.words import CONSTANTS
from tpukernel.lang.text.writer import Writer

__all__ = ["TYPES", "TextDefinition"]

_NUMBERS: Final = (int, float)
TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": _NUMBERS,
    "bool": (bool,),
    "str": (str,),
    "dtype": (Dtype,),
    "rounding": (Rounding,),
}
"""Types of keywords, with the Python types of their values."""


def _is_of(kind: str, value: object) -> bool:
    """Whether a value is of the type of a keyword. Conditions and roundings are no numbers, though Python counts them so."""
    return isinstance(value, TYPES[kind]) and not (kind in ("int", "float") and isinstance(value, bool | Rounding))


class TextDefinition:
    """A kernel that is text.

    Args:
        node: its syntax tree.
        source: the text of the whole file.

    Raises:
        TextDeclarationError, TextNameError: the head contradicts itself.
    """

    def __init__(self, node: tree.KernelNode, source: str) -> None:
        self.node, self.source, self.doc = node, source, node.doc
        self.limit: int | None = TEXT_LIMIT
        self._constants = {each.name.text for each in node.attributes if each.type is None}
        self._types = {each.name.text: each.type.text for each in node.attributes if each.type is not None}
        tensors: dict[str, Direction] = {}
        for param in node.params:
            tensors[param.name.text] = param.direction
        self.signature = Signature(node.name.text, tensors, self._defaults(), node.position)
        self._check_head()

    # ------------------------------------------------------------------ the head

    def _defaults(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for each in self.node.attributes:
            if each.type is not None and each.type.text not in TYPES:
                raise TextDeclarationError(
                    f"there is no type {each.type.text} of keywords", position=each.type.position, help=f"take one of {', '.join(TYPES)}"
                )
            if each.default is None:
                if each.type is None:
                    raise TextDeclarationError(
                        f"{each.name.text} has neither type nor value", position=each.position, help=f"write `{each.name.text}: float`"
                    )
                found[each.name.text] = inspect.Parameter.empty
                continue
            value = Scope().value(each.default)
            if each.type is not None and not _is_of(each.type.text, value):
                raise TextDeclarationError(
                    f"{each.name.text} is {kind_of(value)}, but its type is {each.type.text}",
                    position=each.default.position,
                    help="change one",
                )
            found[each.name.text] = value
        return found

    def _check_head(self) -> None:
        """Every name is given once; every name in a dimension is a keyword, or stands alone in some dimension."""
        scope = Scope()
        for each in (*self.node.params, *self.node.attributes):
            scope.define(each.name, 0)
        known = set(scope.names)
        for param in self.node.params:
            for name in (param.dtype, *(size for size in param.shape if isinstance(size, tree.Name))):
                if name.text not in known and not _is_constant(name):
                    scope.define(name, 0)
                    known.add(name.text)
                elif name.text in self.signature.tensors:
                    raise TextNameError(f"`{name.text}` is a tensor", position=name.position, help="take another name for the dimension")
        for param in self.node.params:
            for size in param.shape:
                if not isinstance(size, tree.Name):
                    scope.value(size)

    # ------------------------------------------------------------------ calls

    def keywords(self, given: Mapping[str, object]) -> dict[str, object]:
        values = self.signature.keywords(given)
        for name, value in given.items():
            told = f"{name} of kernel {self.signature.name}"
            if name in self._constants:
                if value != self.signature.defaults[name]:
                    raise CallError(f"{told} is {self.signature.defaults[name]!r} in the text, not {value!r}", help="leave it out")
            elif not _is_of(self._types[name], value):
                raise CallError(f"{told} is {value!r}, but its type is {self._types[name]}", help=f"give a {self._types[name]}")
        return values

    def specs(self, shapes: Shapes, dtypes: Dtypes, keywords: Mapping[str, object]) -> dict[str, TensorSpec]:
        tensors = self.signature.tensors
        unknown = shapes.keys() - tensors.keys()
        if unknown:
            raise CallError(f"kernel {self.signature.name} has no tensor {', '.join(sorted(unknown))}", help=f"it has {', '.join(tensors)}")
        absent = [name for name in self.signature.inputs if name not in shapes]
        if absent:
            raise CallError(f"kernel {self.signature.name} needs the shape of {', '.join(absent)}", help="give shapes of all inputs")
        found: dict[str, tuple[int, ...]] = {name: tuple(int(size) for size in shape) for name, shape in shapes.items()}
        for name, shape in found.items():
            if not shape or min(shape) < 1:
                raise CallError(f"{name} has shape {shape}", help="give one dimension or more, with sizes of 1 or more")
        scope = self._scope(found, keywords)
        for param in self.node.params:
            if param.name.text not in found:
                found[param.name.text] = self._inferred(param, scope, found)
                scope = self._scope(found, keywords)
        self._check_shapes(scope, found)
        types = self._dtypes(dtypes)
        return {name: TensorSpec(found[name], types[name]) for name in tensors}

    def open_params(
        self, unique: Callable[[str], str], rank: Mapping[str, int] | int, dtypes: Dtypes, keywords: Mapping[str, object]
    ) -> Sequence[Param]:
        del rank  # the text says how many dimensions there are
        scope = Scope(names=_values(keywords))
        for param in self.node.params:
            for size in param.shape:
                if isinstance(size, tree.Name) and size.text not in scope.names and not _is_constant(size):
                    scope.names[size.text] = SymInt(Var(unique(size.text)))
        types = self._dtypes(dtypes)
        return [
            Param(param.name.text, param.direction, tuple(expr_of(size) for size in sizes_of(param.shape, scope)), types[param.name.text])
            for param in self.node.params
        ]

    def write(self, k: Builder, tensors: Sequence[Tensor], keywords: Mapping[str, object]) -> None:
        given = dict(zip(self.signature.tensors, tensors, strict=True))
        shapes = {name: tensor.shape for name, tensor in given.items()}
        scope = self._scope(shapes, keywords)
        self._check_shapes(scope, shapes)
        scope.chip = k.chip
        names: dict[str, Value] = dict(given)
        for param in self.node.params:
            dtype = given[param.name.text].dtype
            self._same_type(param, dtype, names)
            if not _is_constant(param.dtype):
                names[param.dtype.text] = dtype
        scope.names |= names
        Writer(k).block(self.node.body, scope.inner())

    # ------------------------------------------------------------------ dimensions and types

    def _scope(self, shapes: Mapping[str, Sequence[Size]], keywords: Mapping[str, object]) -> Scope:
        """The keywords, and the names of dimensions that the shapes give numbers."""
        scope = Scope(names=_values(keywords))
        for param in self.node.params:
            shape = shapes.get(param.name.text)
            if shape is None:
                continue
            if len(shape) != len(param.shape):
                raise CallError(
                    f"{param.name.text} of kernel {self.signature.name} has {len(param.shape)} dimensions, but the shape {tuple(shape)}",
                    help="give an array of that rank",
                )
            for size, number in zip(param.shape, shape, strict=True):
                if isinstance(size, tree.Name) and not _is_constant(size):
                    scope.names.setdefault(size.text, number)
        return scope

    def _inferred(self, param: tree.ParamNode, scope: Scope, found: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """The shape of an output; one of which no dimension is known is like the first input."""
        names = [size.text for size in param.shape if isinstance(size, tree.Name) and size.text not in scope.names]
        first = found[self.signature.inputs[0]] if self.signature.inputs else ()
        if len(names) == len(param.shape) == len(first):
            return first
        try:
            shape = sizes_of(param.shape, scope)
        except TextNameError as error:
            told = f"nothing says how large {param.name.text} of kernel {self.signature.name} is: {error.message}"
            raise CallError(told, help="give its shape, too") from None
        return tuple(size for size in shape if isinstance(size, int))

    def _check_shapes(self, scope: Scope, shapes: Mapping[str, Sequence[Size]]) -> None:
        for param in self.node.params:
            with at_place(param.position):
                wanted = sizes_of(param.shape, scope)
            for axis, (size, number) in enumerate(zip(wanted, shapes[param.name.text], strict=True)):
                if compare("==", expr_of(size), expr_of(number)) is False:
                    raise CallError(
                        f"dimension {axis} of {param.name.text} of kernel {self.signature.name} is {number}, but has to be {size}",
                        help="give shapes that agree with each other and with the kernel",
                    )

    def _dtypes(self, dtypes: Dtypes) -> dict[str, Dtype]:
        """The data types of all tensors: those of the text, and of those with a name what the caller says; f32 where nobody does."""
        named: dict[str, Value] = {}
        found: dict[str, Dtype] = {}
        for param in self.node.params:
            given = dtypes.get(param.name.text) if isinstance(dtypes, Mapping) else None if _is_constant(param.dtype) else dtypes
            if given is not None:
                self._same_type(param, dtype_of(given), named)
                if not _is_constant(param.dtype):
                    named.setdefault(param.dtype.text, dtype_of(given))
        for param in self.node.params:
            dtype = dtype_named(param.dtype, Scope(names=named | {param.dtype.text: named.get(param.dtype.text, f32)}))
            found[param.name.text] = dtype
        return found

    def _same_type(self, param: tree.ParamNode, given: Dtype, named: Mapping[str, Value]) -> None:
        wanted = dtype_named(param.dtype, Scope()) if _is_constant(param.dtype) else named.get(param.dtype.text, given)
        if given != wanted:
            raise CallError(
                f"{param.name.text} of kernel {self.signature.name} is {given!r}, but has to be {wanted!r}", help="convert the array"
            )


def _is_constant(name: tree.Name) -> bool:
    return name.text in CONSTANTS and not name.quoted


def _values(keywords: Mapping[str, object]) -> dict[str, Value]:
    return {name: _value(value) for name, value in keywords.items()}


def _value(value: object) -> Value:
    if isinstance(value, tuple):
        return tuple(_value(each) for each in cast("tuple[object, ...]", value))
    assert value is None or isinstance(value, int | float | str | Dtype | Rounding)  # noqa: S101
    return value
