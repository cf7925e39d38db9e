"""Attributes and rules of the units that slide a window over a tensor: CONV and PorD.

The window runs over the input after `insert` elements were put between neighbours and `padding` elements around them. Their values are
`insert_value` and `pad_value`; or `pad_value` is a tensor with a pair (pad value, insert value) for each channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, cast

from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import LocalTensor
from tpukernel.isa.errors import AttributeRangeError, OperandKindError, OperandShapeError
from tpukernel.isa.format import Bits, BitWriter
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rules import Rule, rule
from tpukernel.isa.spec import REQUIRED, Spec

__all__ = ["Numbers", "number_ranges", "numbers", "window_fits", "window_steps"]

T = TypeVar("T", bound=tuple[int, ...])

When = Callable[[Instruction], bool]
Ranges = Mapping[str, tuple[int, int]]


class Numbers(Spec[tuple[int, ...]]):
    """A tuple of numbers, one field each.

    Args:
        fields: the fields, in the order of the numbers.
        default: the value when none is given; None when it must be given.
        bias: the fields hold value - bias.
        when: tells for an instruction whether the fields mean this; where not, the value is the default.
    """

    can_be_invalid = False

    def __init__(self, fields: tuple[str, ...], default: tuple[int, ...] | None, bias: int, when: When | None) -> None:
        super().__init__(REQUIRED if default is None else default)
        self.fields = fields
        self.bias = bias
        self.when = when

    def read(self, instruction: Instruction, bits: Bits) -> tuple[int, ...]:
        if self.when and not self.when(instruction) and isinstance(self.default, tuple):
            return self.default
        return tuple(bits[field] + self.bias for field in self.fields)

    def write(self, instruction: Instruction, bits: BitWriter, value: tuple[int, ...]) -> None:
        if self.when and not self.when(instruction):
            return  # another value than the default is found when the instruction is read back
        if len(value) != len(self.fields):
            raise OperandKindError(
                f"{self.name} of {instruction.title} is {value}",
                instruction=instruction.title,
                operand=self.name,
                rule="kind",
                help=f"give {len(self.fields)} numbers",
            )
        for field, number in zip(self.fields, value, strict=True):
            bits.put(field, number - self.bias, self.name)


def numbers(fields: tuple[str, ...], kind: type[T], *, default: T | None = None, bias: int = 0, when: When | None = None) -> T:
    """A tuple of numbers (see `Numbers`); `kind` is its type."""
    return cast("T", Numbers(fields, default, bias, when))


def number_ranges(ranges: Ranges) -> Rule:
    """Every number of these attributes lies between the two given ones (both included)."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        for name, (low, high) in ranges.items():
            value = cast("tuple[int, ...]", instruction.value_of(name))
            if not all(low <= number <= high for number in value):
                yield name, f"{name} of {instruction.title} is {value}", f"use {low} to {high}"

    text = ", ".join(f"`{name}` {low} to {high}" for name, (low, high) in ranges.items())
    return rule("ranges", f"Numbers: {text}.", AttributeRangeError, broken)


def window_steps(
    size: tuple[int, int],
    kernel: tuple[int, ...],
    padding: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    insert: tuple[int, ...],
) -> tuple[int, int]:
    """(rows, columns) of the result: how often the window fits into an input of that many. Less than 1 where it does not."""
    top, bottom, left, right = padding
    found: list[int] = []
    for axis, around in ((0, top + bottom), (1, left + right)):
        spread = (size[axis] - 1) * (insert[axis] + 1) + 1 + around
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        found.append((spread - reach) // max(stride[axis], 1) + 1)  # a stride below 1 is a breach of another rule
    return found[0], found[1]


def _steps(instruction: Instruction) -> tuple[int, int]:
    source = cast("LocalTensor", instruction.value_of("input"))
    names = ("kernel", "padding", "stride", "dilation", "insert")
    return window_steps(source.shape[2:], *(cast("tuple[int, ...]", instruction.value_of(name)) for name in names))


def window_fits(when: When | None = None) -> Rule:
    """The result is as large as the window fits into the input after insertion and padding."""

    def broken(instruction: Instruction, chip: Chip) -> Iterator[tuple[str, str, str | None]]:
        if when and not when(instruction):
            return
        dst, steps = cast("LocalTensor", instruction.value_of("dst")), _steps(instruction)
        if dst.shape[2:] != steps:
            found = f"the window fits {steps[0]} x {steps[1]} times" if min(steps) > 0 else "the window is larger than the padded input"
            yield "dst", f"dst of {instruction.title} has {dst.shape[2]} x {dst.shape[3]} elements, but {found}", None

    text = (
        "Rows and columns of `dst` are ((size - 1) * (insert + 1) + 1 + padding - (kernel - 1) * dilation - 1) // stride + 1 of those of "
        "`input`."
    )
    return rule("window", text, OperandShapeError, broken)
