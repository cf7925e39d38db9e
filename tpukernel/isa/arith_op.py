"""The operations of AR and what they have in common."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["BITWISE", "LEADING", "MOVES", "SATURATING", "SELECTS", "SHIFTABLE", "SHIFTS", "UNARY", "ArithOp"]


class ArithOp(IntEnum):
    """The operations of AR. On integers ADDS, SUBS and MULS saturate, while ADD, SUB and MUL wrap."""

    MUL = 0
    NOT = 1
    ADD = 2
    SUB = 3
    MAX = 4
    """MAX and MIN can carry a shift, which has no effect."""
    MIN = 5
    LOGIC_SHIFT = 6
    AND = 7
    OR = 8
    XOR = 9
    SELECT_GREATER = 10
    SELECT_EQUAL = 11
    DIV = 12
    SELECT_LESS = 13
    CAST = 14
    ADDS = 15
    SUBS = 16
    MAC = 18
    COPY = 19
    MULS = 20
    ARITH_SHIFT = 21
    ROTATE = 22
    MUL_HIGH = 23
    ABS = 26
    ABS_DIFF = 27
    COPY_MB = 28
    """Copies the first n of the source to every n."""
    LEADING_ZEROS = 29
    LEADING_ONES = 30


SATURATING = frozenset({ArithOp.ADDS, ArithOp.SUBS, ArithOp.MULS})
"""Integers only."""

SHIFTABLE = frozenset({ArithOp.ADD, ArithOp.SUB, ArithOp.MUL, ArithOp.MAX, ArithOp.MIN, ArithOp.MAC}) | SATURATING
"""On integers these can take a shift of the exact result as third source."""

SELECTS = frozenset({ArithOp.SELECT_GREATER, ArithOp.SELECT_EQUAL, ArithOp.SELECT_LESS})
"""Compare two sources; the third one is the value where the comparison holds, elsewhere the result is 0."""

SHIFTS = frozenset({ArithOp.LOGIC_SHIFT, ArithOp.ARITH_SHIFT})
"""Shift the first source by the second one, to the right where that is negative."""

BITWISE = frozenset({ArithOp.NOT, ArithOp.AND, ArithOp.OR, ArithOp.XOR})

LEADING = frozenset({ArithOp.LEADING_ZEROS, ArithOp.LEADING_ONES})
"""Count the leading bits of that value."""

MOVES = frozenset({ArithOp.COPY, ArithOp.COPY_MB})

UNARY = frozenset({ArithOp.NOT, ArithOp.CAST, ArithOp.ABS}) | LEADING | MOVES
"""Operations of one source."""
