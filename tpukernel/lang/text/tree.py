"""The syntax tree of kernels as text: what the parser makes, and what is written down for a builder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tpukernel.source import Position

__all__ = [
    "AssertNode",
    "AttributeNode",
    "Binary",
    "BufferNode",
    "CallNode",
    "Compare",
    "Connective",
    "Dots",
    "InstructionNode",
    "Invocation",
    "KernelNode",
    "LetNode",
    "Plain",
    "LoopNode",
    "Member",
    "Name",
    "Negative",
    "OpNode",
    "ParallelNode",
    "ParamNode",
    "PrintNode",
    "RawNode",
    "Sized",
    "SpanNode",
    "StatementNode",
    "Subscript",
    "TensorNode",
    "TupleNode",
    "ValueNode",
    "WhenNode",
]


@dataclass(frozen=True, slots=True)
class Node:
    """Anything that has a place in the text."""

    position: Position


# ---------------------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name; `quoted` in backquotes, so that it is one of the author's, whatever the language has."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Plain(Node):
    """A number or a string."""

    value: int | float | str


@dataclass(frozen=True, slots=True)
class Negative(Node):
    """-value."""

    value: ValueNode


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """A chain of operators of one precedence, from left to right: first op value op value ..."""

    first: ValueNode
    rest: tuple[tuple[str, ValueNode], ...]


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """left op right."""

    op: str
    left: ValueNode
    right: ValueNode


@dataclass(frozen=True, slots=True)
class Connective(Node):
    """Conditions joined by `and` or `or`, or the opposite of one."""

    op: Literal["and", "or", "not"]
    values: tuple[ValueNode, ...]


@dataclass(frozen=True, slots=True)
class Invocation(Node):
    """A function of values: min(a, b)."""

    function: Name
    values: tuple[ValueNode, ...]


@dataclass(frozen=True, slots=True)
class Member(Node):
    """value.name."""

    value: ValueNode
    name: Name


@dataclass(frozen=True, slots=True)
class Dots(Node):
    """`...` between brackets: all dimensions that are not named."""


@dataclass(frozen=True, slots=True)
class SpanNode(Node):
    """start:stop between brackets."""

    start: ValueNode | None
    stop: ValueNode | None


@dataclass(frozen=True, slots=True)
class Sized(Node):
    """start:+size between brackets."""

    start: ValueNode | None
    size: ValueNode


@dataclass(frozen=True, slots=True)
class Subscript(Node):
    """value[...]."""

    value: ValueNode
    indices: tuple[IndexNode, ...]


@dataclass(frozen=True, slots=True)
class TupleNode(Node):
    """(a, b, ...)."""

    values: tuple[ValueNode, ...]


ValueNode = Name | Plain | Negative | Binary | Compare | Connective | Invocation | Member | Subscript | TupleNode
IndexNode = ValueNode | SpanNode | Sized | Dots


# ---------------------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Option(Node):
    """A word with a value behind a buffer or tensor."""

    word: str
    value: ValueNode


@dataclass(frozen=True, slots=True)
class BufferNode(Node):
    """local<dtype>[shape] options."""

    kind: str
    dtype: Name
    shape: tuple[ValueNode, ...]
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class LetNode(Node):
    """let names = value; several names are for as many buffers."""

    names: tuple[Name, ...]
    value: BufferNode | ValueNode


@dataclass(frozen=True, slots=True)
class LoopNode(Node):
    """for or pipeline."""

    kind: str
    var: Name
    start: ValueNode
    stop: ValueNode
    step: ValueNode | None
    buffers: ValueNode | None
    body: tuple[StatementNode, ...]


@dataclass(frozen=True, slots=True)
class WhenNode(Node):
    """when condition { ... }."""

    condition: ValueNode
    body: tuple[StatementNode, ...]


@dataclass(frozen=True, slots=True)
class ParallelNode(Node):
    """parallel { ... }."""

    body: tuple[StatementNode, ...]


@dataclass(frozen=True, slots=True)
class AssertNode(Node):
    """assert condition, message;"""

    condition: ValueNode
    message: ValueNode | None


@dataclass(frozen=True, slots=True)
class PrintNode(Node):
    """print values;"""

    values: tuple[ValueNode, ...]


@dataclass(frozen=True, slots=True)
class LabelNode(Node):
    """%text."""

    text: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """What stands between the parentheses of an operation."""

    values: tuple[ValueNode, ...]
    named: tuple[tuple[Name, ValueNode], ...]


@dataclass(frozen=True, slots=True)
class OpNode(Node):
    """An operation of a group: %label = tiu.add(arguments) after %other;"""

    label: LabelNode | None
    group: Name
    name: Name
    arguments: Arguments
    after: tuple[LabelNode, ...]


@dataclass(frozen=True, slots=True)
class CallNode(Node):
    """A TPUKernel function: %label = call function(arguments) as group.name after %other;"""

    label: LabelNode | None
    function: Name
    arguments: Arguments
    alias: str | None
    after: tuple[LabelNode, ...]


@dataclass(frozen=True, slots=True)
class TensorNode(Node):
    """A tensor with its address, for raw instructions."""

    memory: str
    dtype: Name
    shape: tuple[ValueNode, ...]
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class InstructionNode(Node):
    """An instruction as it is: family.op(operand = tensor, attribute = value)."""

    family: Name
    op: Name | None
    values: tuple[tuple[Name, TensorNode | ValueNode], ...]


@dataclass(frozen=True, slots=True)
class RawNode(Node):
    """Instructions that belong together: raw instruction, instruction;"""

    instructions: tuple[InstructionNode, ...]


StatementNode = LetNode | LoopNode | WhenNode | ParallelNode | AssertNode | PrintNode | OpNode | CallNode | RawNode


# ---------------------------------------------------------------------------- kernels


@dataclass(frozen=True, slots=True)
class ParamNode(Node):
    """A tensor of a kernel."""

    direction: Literal["in", "out", "inout"]
    name: Name
    dtype: Name
    shape: tuple[ValueNode, ...]


@dataclass(frozen=True, slots=True)
class AttributeNode(Node):
    """A keyword of a kernel; a constant, where it has no type."""

    name: Name
    type: Name | None
    default: ValueNode | None


@dataclass(frozen=True, slots=True)
class KernelNode(Node):
    """A kernel."""

    name: Name
    params: tuple[ParamNode, ...]
    attributes: tuple[AttributeNode, ...]
    body: tuple[StatementNode, ...]
    doc: str | None = None
