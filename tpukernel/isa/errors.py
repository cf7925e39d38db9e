"""Errors of the instruction layer: streams that cannot be read, values that cannot be encoded, instructions that the chip forbids.

Codes: ISA101-109 reading a stream, ISA110-119 encoding, ISA120-139 legality of one instruction, ISA140-149 programs,
ISA150 files with streams.
"""

from __future__ import annotations

from tpukernel.errors import TpuError

__all__ = [
    "OperandAlignmentError",
    "AttributeRangeError",
    "ChipSupportError",
    "DeadlockError",
    "DependencyError",
    "EndCommandError",
    "EngineError",
    "FieldRangeError",
    "FieldValueError",
    "IsaError",
    "LaneMismatchError",
    "LegalityError",
    "LocalRangeError",
    "OperandConflictError",
    "OperandDtypeError",
    "OperandKindError",
    "OperandLayoutError",
    "OperandShapeError",
    "ParallelSectionError",
    "StreamError",
    "StreamSourceError",
    "SystemRangeError",
    "TrailingBytesError",
    "TruncatedStreamError",
    "UnknownCommandError",
    "UnsupportedCommandError",
]


class IsaError(TpuError):
    """Base of the errors of the instruction layer."""


class StreamError(IsaError):
    """Base of the errors found while reading a command stream. `engine` and `offset` (bytes) say where."""

    def __init__(self, message: str, *, engine: str, offset: int, help: str | None = None) -> None:
        super().__init__(message, where=f"{engine} stream, offset {offset} (0x{offset:x})", help=help)
        self.engine = engine
        self.offset = offset


class TruncatedStreamError(StreamError, code="ISA101"):
    """The stream ends in the middle of a command."""


class UnknownCommandError(StreamError, code="ISA102"):
    """The bytes at this place are no command of the chip: no such operation code or sub-operation."""


class UnsupportedCommandError(StreamError, code="ISA103"):
    """A command that the chip's tables know, but that the official library never emits and nobody has measured."""


class FieldValueError(StreamError, code="ISA104"):
    """A field of a command holds a number without a meaning, for example a data type that does not exist."""


class TrailingBytesError(StreamError, code="ISA105"):
    """Bytes other than zero follow the end command of a stream."""


class ChipSupportError(IsaError, code="ISA110"):
    """The chip has no such instruction, or its instructions are not described."""


class FieldRangeError(IsaError, code="ISA111"):
    """A value does not fit the bits that the command has for it."""


class OperandConflictError(IsaError, code="ISA112"):
    """Two operands ask for different values of a thing that the command holds only once, for example a dimension they share."""


class EndCommandError(IsaError, code="ISA113"):
    """Commands follow the end command of a stream."""


class EngineError(IsaError, code="ISA114"):
    """Commands of different engines were put into one stream, or a stream of an engine that does not exist was asked for."""


class LegalityError(IsaError):
    """Base of the errors for instructions that the chip forbids.

    Attributes:
        instruction: name of the instruction, for example `arith.add`.
        operand: the operand or attribute that breaks the rule.
        rule: name of the rule, as `Instruction.rules` lists it.
    """

    def __init__(self, message: str, *, instruction: str = "", operand: str = "", rule: str = "", help: str | None = None) -> None:
        super().__init__(message, help=help)
        self.instruction = instruction
        self.operand = operand
        self.rule = rule


class OperandDtypeError(LegalityError, code="ISA120"):
    """The unit cannot work on operands of this type, or not on this combination of types."""


class OperandAlignmentError(LegalityError, code="ISA121"):
    """An operand starts at an address that its layout forbids."""


class LocalRangeError(LegalityError, code="ISA122"):
    """An operand lies outside the local memory or reaches over the end of its lanes."""


class LaneMismatchError(LegalityError, code="ISA123"):
    """Operands of one instruction start in different lanes."""


class OperandShapeError(LegalityError, code="ISA124"):
    """The shapes of the operands do not fit together, or a dimension is outside what the unit takes."""


class AttributeRangeError(LegalityError, code="ISA125"):
    """An attribute (padding, stride, rounding mode, iteration count, ...) is outside what the unit takes."""


class OperandKindError(LegalityError, code="ISA126"):
    """An operand is missing, is one too many, or is a constant where the unit needs a tensor (or the other way round)."""


class OperandLayoutError(LegalityError, code="ISA127"):
    """The unit cannot read or write this operand in this layout or with these strides."""


class SystemRangeError(LegalityError, code="ISA128"):
    """An operand of a DMA command lies outside every memory of the chip, or runs over the end of one."""


class DependencyError(IsaError, code="ISA140"):
    """The command numbers of a program are not what the engines can work on: not ascending, or waiting for a command that never comes."""


class DeadlockError(IsaError, code="ISA141"):
    """Two commands wait for each other."""


class ParallelSectionError(IsaError, code="ISA142"):
    """A parallel section was opened inside another one, or something was done in it that needs the engines in order."""


class StreamSourceError(IsaError, code="ISA150"):
    """A file was given for its command streams, and no registered reader knows its format."""
