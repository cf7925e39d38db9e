"""How an operation would be written: which arguments of `tiu.add` give this row, these operands and attributes.

Methods make operations of arguments; nobody tells the way back. It is searched: arguments are put together from what the operation holds,
the method is called with them, and what it makes is compared. So what is printed is known to parse to the same, and a new method needs
nothing here. What was found for one operation is tried first for the next one of its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeAlias

from tpukernel.chips.bm1684x import BM1684X
from tpukernel.dtypes import Dtype
from tpukernel.errors import TpuError
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.builder import Builder
from tpukernel.lang.expr import Call, Comparison, Expr, Logic, Sum, Var
from tpukernel.lang.ir import Attribute, Op, Operand, View
from tpukernel.lang.symbols import Size, SymBool, SymInt, at_place, size_of
from tpukernel.lang.tensors import Tensor
from tpukernel.lang.text.operations import OperationParameter, accepts, choices, operation
from tpukernel.lang.trace import Tracer
from tpukernel.source import Position

__all__ = ["Arguments", "Recovery", "Spoken", "spoken", "tensor_of"]

Spoken: TypeAlias = "Tensor | Size | float | SymBool | str | Dtype | Rounding | tuple[Size, ...] | None"
"""An argument as an author gives it."""

MAX_COST: Final = 12
"""Unlikely choices together after which nobody looks further."""
MAX_TRIALS: Final = 4000
"""Calls after which an operation is taken for one that no method makes."""
_HERE: Final = Position("<printer>")
_FAILURES: Final = (TpuError, AttributeError, IndexError, TypeError, ValueError)
"""What a method raises whose arguments do not fit together."""


@dataclass(frozen=True)
class Arguments:
    """The arguments of an operation: those without a name, and those with one."""

    values: tuple[Spoken, ...]
    named: Mapping[str, Spoken]


@dataclass(frozen=True)
class _Choice:
    """Where an argument comes from: a key of the operation (operands, then attributes), a word, or the default."""

    key: str | None = None
    word: str | bool | None = None


_DEFAULT: Final = _Choice()


def spoken(value: Attribute) -> Spoken:
    """An attribute as an author gives it."""
    match value:
        case Comparison() | Logic():
            return SymBool(value)
        case Var() | Call() | Sum():
            return SymInt(value)
        case tuple():
            return tuple(size_of(each) for each in value)
        case _:
            return value


@dataclass
class Recovery:
    """Finds the arguments of the operations of one kernel.

    Attributes:
        shapes: whole shapes of the parameters by name.
    """

    shapes: Mapping[str, tuple[Expr, ...]]
    _known: dict[object, tuple[_Choice, ...]] = field(default_factory=dict[object, "tuple[_Choice, ...]"])

    def arguments(self, op: Op, tensors: Mapping[str, Tensor]) -> Arguments | None:
        """The arguments with which the operation's method makes it; None where it does not.

        Args:
            op: the operation.
            tensors: parameters and buffers by name.
        """
        group, _, name = op.name.partition(".")
        parameters = operation(group, name)
        if parameters is None:
            return None
        pool = {f"operand {key}": tensor_of(value, tensors) for key, value in op.operands}
        pool |= {f"attribute {key}": spoken(value) for key, value in op.attributes}
        kind = (op.name, op.row, tuple(pool))
        known = self._known.get(kind)
        candidates = [list(_candidates(parameter, pool)) for parameter in parameters]
        trials = (each for cost in range(MAX_COST) for each in _assignments(candidates, cost))
        for choices_ in (*((known,) if known is not None else ()), *islice(trials, MAX_TRIALS)):
            given = {
                parameter.name: pool[choice.key] if choice.key is not None else choice.word
                for parameter, choice in zip(parameters, choices_, strict=True)
                if choice != _DEFAULT
            }
            if self._makes(op, given):
                self._known[kind] = choices_
                return _written(parameters, given)
        return None

    def _makes(self, op: Op, given: Mapping[str, Spoken]) -> bool:
        tracer = Tracer(BM1684X)
        tracer.shapes.update(self.shapes)
        group, _, name = op.name.partition(".")
        builder = Builder(tracer)
        with at_place(_HERE):
            try:
                getattr(builder.tiu if group == "tiu" else builder.dma, name)(**given)
            except _FAILURES:
                return False
        made = tracer.blocks[0]
        return len(made) == 1 and isinstance(made[0], Op) and _content(made[0]) == _content(op)


def tensor_of(value: Operand, tensors: Mapping[str, Tensor]) -> Spoken:
    """An operand as an author gives it."""
    return tensors[value.base].box(value) if isinstance(value, View) else value


def _content(op: Op) -> tuple[object, ...]:
    """What makes an operation, with the types and signs of numbers: 1, 1.0 and True are equal in Python, and so are 0.0 and -0.0."""
    return op.name, op.row, op.operands, op.attributes, repr((op.operands, op.attributes))


def _assignments(candidates: Sequence[Sequence[_Choice]], cost: int, used: frozenset[str] = frozenset()) -> Iterator[tuple[_Choice, ...]]:
    """Ways to give the parameters what the operation holds, each thing once; a candidate that is not the likeliest one has a cost."""
    if not candidates:
        if cost == 0:
            yield ()
        return
    price = 0
    for choice in candidates[0]:
        if price > cost:
            return
        if choice.key not in used:
            taken = used if choice.key is None else used | {choice.key}
            for others in _assignments(candidates[1:], cost - price, taken):
                yield (choice, *others)
            price += 1


def _candidates(parameter: OperationParameter, pool: Mapping[str, Spoken]) -> Iterator[_Choice]:
    """What a parameter may have been given: what is called like it, then the default, then what is of its kind."""
    fitting = [key for key, value in pool.items() if accepts(parameter.hint, value)]
    named = [key for key in fitting if _alike(key.partition(" ")[2], parameter.name)]
    yield from (_Choice(key) for key in named)
    if not parameter.required:
        yield _DEFAULT
    yield from (_Choice(word=word) for word in choices(parameter.hint) if parameter.required or word != parameter.default)
    yield from (_Choice(key) for key in fitting if key not in named)


def _alike(key: str, name: str) -> bool:
    """Whether a parameter of a row is called like one of a method: pad_val and pad_value, result_relu and relu."""
    return key.startswith(name) or name.startswith(key) or key.endswith(f"_{name}")


def _written(parameters: tuple[OperationParameter, ...], given: Mapping[str, Spoken]) -> Arguments:
    """The arguments in order, without those that are the default."""
    kept = {
        parameter.name: given[parameter.name]
        for parameter in parameters
        if parameter.name in given and (parameter.required or repr(given[parameter.name]) != repr(parameter.default))
    }
    values: list[Spoken] = []
    for parameter in parameters:
        if parameter.keyword or parameter.name not in kept:
            break
        values.append(kept.pop(parameter.name))
    return Arguments(tuple(values), kept)
