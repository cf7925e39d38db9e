"""The table of TPUKernel functions: one row for each function of the public header.

A row is made by a decorator from a Python function with the name and the parameters of the C function::

    @function(FP_BINARY, Arith)
    def tpu_bdc_fp_add(dst_addr: LocalOut, src0_addr: LocalIn, ..., dtype: Dtype) -> Emitted:
        '''dst = src0 + src1.'''
        return ...

The annotations say what each parameter is and whether memory is read or written; the body says which instructions the call becomes and how
the arguments go into their fields. What the chip allows (`Function.problems`) and the cycles (`Function.costs`) follow from these.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Generic, ParamSpec, TypeVar, get_type_hints

from tpukernel.api.arguments import Kind, coerced, kind_of
from tpukernel.api.errors import ArgumentError, ChipFunctionError
from tpukernel.api.recording import located, recorder
from tpukernel.chips.bm1684x import BM1684X
from tpukernel.errors import TpuError
from tpukernel.isa.errors import LegalityError
from tpukernel.isa.instruction import Instruction

if TYPE_CHECKING:
    from tpukernel.cost import Cost

__all__ = ["Emitted", "Function", "HostFunction", "MissingFunction", "Parameter", "Row", "function", "host_function", "missing", "rows"]

Emitted = Sequence[Instruction]
"""The instructions of one call, in order, without numbers."""
P = ParamSpec("P")
R = TypeVar("R")

GROUPS: Final = (
    "Registration and id nodes",
    "Common functions",
    "Synchronization functions",
    "Utilities",
    "GDMA functions",
    "SDMA functions",
    "BDC select functions",
    "BDC floating-point matrix functions",
    "BDC integer matrix functions",
    "BDC floating-point NN functions",
    "BDC integer NN functions",
    "Quantization functions",
    "BDC binary functions",
    "BDC floating-point binary functions",
    "BDC integer binary functions",
    "BDC common functions",
    "BDC cast and rounding functions",
    "BDC unary functions",
    "Special functions",
    "Scatter and gather functions",
    "Activation functions",
    "HAU functions",
)
"""The headings of the public header, in its order."""

_ROWS: Final[dict[str, Row]] = {}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function."""

    name: str
    kind: Kind


class Row:
    """One function of the public header.

    Attributes:
        name: its name in C.
        group: the heading under which the header has it.
    """

    def __init__(self, name: str, group: str) -> None:
        if name in _ROWS:
            raise TypeError(f"{name} is in the table already")
        if group not in GROUPS:
            raise TypeError(f"{name}: the header has no group {group!r}")
        self.name, self.group = name, group
        _ROWS[name] = self

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (self.__doc__ or "").partition("\n")[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class _Called(Row, Generic[P, R]):
    """A row with a Python function behind it."""

    def __init__(self, body: Callable[P, R], group: str) -> None:
        super().__init__(body.__name__, group)
        self._body = body
        self.__name__, self.__qualname__, self.__module__ = body.__name__, body.__qualname__, body.__module__
        self.__doc__, self.__wrapped__ = body.__doc__, body

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters in the order of C."""
        hints = get_type_hints(self._body, include_extras=True)
        return tuple(Parameter(name, kind_of(hints[name])) for name in self._signature.parameters)

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self._body)

    def _checked(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{self.name}: {error}", help=f"its parameters are {', '.join(self._signature.parameters)}") from None
        bound.apply_defaults()
        return {each.name: coerced(self.name, each.name, each.kind, bound.arguments[each.name]) for each in self.parameters}


class Function(_Called[P, Emitted]):
    """A function that emits instructions.

    Attributes:
        emits: the types of the instructions, in the order in which they first appear.
    """

    def __init__(self, body: Callable[P, Emitted], group: str, emits: tuple[type[Instruction], ...]) -> None:
        super().__init__(body, group)
        self.emits = emits

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Emit the instructions into the recording.

        Raises:
            NotRecordingError: there is none.
            ArgumentError: an argument does not fit.
            LegalityError: the chip forbids what the arguments ask for.
        """
        try:
            taker = recorder(self.name)
            taker.emit(self.instructions(*args, **kwargs))
        except TpuError as error:
            raise located(error, self.name) from error.__cause__

    def instructions(self, *args: P.args, **kwargs: P.kwargs) -> Emitted:
        """The instructions of a call, without numbers and without recording them.

        Raises:
            ArgumentError: an argument does not fit.
        """
        return self._body(**self._checked(args, kwargs))  # pyright: ignore[reportCallIssue]

    def problems(self, *args: P.args, **kwargs: P.kwargs) -> list[LegalityError]:
        """Every rule of the chip that a call would break; empty for a legal one.

        Raises:
            ArgumentError: an argument does not fit.
        """
        return [problem for instruction in self.instructions(*args, **kwargs) for problem in instruction.problems(BM1684X)]

    def costs(self, *args: P.args, **kwargs: P.kwargs) -> list[Cost]:
        """What each instruction of a call costs.

        Raises:
            ArgumentError: an argument does not fit.
            UnknownCostError: nobody has measured such instructions.
        """
        from tpukernel.cost import cost_of

        return [cost_of(instruction, BM1684X) for instruction in self.instructions(*args, **kwargs)]


class HostFunction(_Called[P, R]):
    """A function that computes on the host, or that acts on the recording."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return self._body(**self._checked(args, kwargs))  # pyright: ignore[reportCallIssue]
        except TpuError as error:
            raise located(error, self.name) from error.__cause__


class MissingFunction(Row):
    """A function of the header that the chip does not have."""

    def __init__(self, name: str, group: str, why: str) -> None:
        super().__init__(name, group)
        self.why = why
        self.__doc__ = f"Not on the BM1684X: {why}."

    def __call__(self, *_args: object, **_kwargs: object) -> None:
        """Raise ChipFunctionError."""
        error = ChipFunctionError(f"the BM1684X has no {self.name}: {self.why}", help="see the table of functions for what the chip has")
        raise located(error, self.name)


def function(group: str, *emits: type[Instruction]) -> Callable[[Callable[P, Emitted]], Function[P]]:
    """Decorator: a function that emits instructions of these types."""
    return lambda body: Function(body, group, emits)


def host_function(group: str) -> Callable[[Callable[P, R]], HostFunction[P, R]]:
    """Decorator: a function that emits no instruction."""
    return lambda body: HostFunction(body, group)


def missing(name: str, group: str, why: str) -> MissingFunction:
    """The row of a function that the chip does not have; `why` completes "the BM1684X has no ...:"."""
    return MissingFunction(name, group, why)


@cache
def rows() -> Mapping[str, Row]:
    """The whole table by name, in the order of the header's groups."""
    import_module("tpukernel.api")  # makes all rows
    return MappingProxyType(dict(sorted(_ROWS.items(), key=lambda item: GROUPS.index(item[1].group))))
