"""Which operands the operations of AR take.

Source: assertions of the official library (its functions called with all combinations of types) and, for what it has no function for, runs
of its C model compared with numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Constant, LocalTensor
from tpukernel.dtypes import DTYPES, Dtype, bf16, f16, f32, i8
from tpukernel.isa.arith_op import BITWISE, LEADING, SATURATING, SELECTS, SHIFTABLE, SHIFTS, UNARY, ArithOp
from tpukernel.isa.errors import AttributeRangeError, OperandDtypeError, OperandKindError, OperandLayoutError
from tpukernel.isa.instruction import Instruction
from tpukernel.isa.rounding import Rounding
from tpukernel.isa.rules import Rule, attribute_range, dtypes_by_op, operand_count, placement, rule, same_lane

__all__ = ["ARITH_RULES", "result_signed"]

Types = tuple[Dtype, ...]
Broken = Iterator[tuple[str, str, str | None]]

_ALL = tuple(DTYPES.values())
_INTEGERS = tuple(dtype for dtype in _ALL if dtype.is_int)
_FLOATS = tuple(dtype for dtype in _ALL if dtype.is_float)
_UNSIGNED = tuple(dtype for dtype in _ALL if not dtype.is_signed)

CAST_ROUNDINGS = (Rounding.HALF_EVEN, Rounding.HALF_AWAY, Rounding.TOWARD_ZERO, Rounding.DOWN, Rounding.UP)
LARGEST_SHIFT = 32


def _same(dtype: Dtype) -> Types:
    return (dtype,)


def _same_width(dtype: Dtype) -> Types:
    """The type itself; for an integer also with the other sign."""
    return tuple(other for other in _INTEGERS if other.bits == dtype.bits) if dtype.is_int else (dtype,)


def _any_integer(dtype: Dtype) -> Types:
    return _INTEGERS if dtype.is_int else (dtype,)


def _integer_no_wider(dtype: Dtype) -> Types:
    return tuple(other for other in _INTEGERS if other.bits <= dtype.bits)


def _shift_amount(dtype: Dtype) -> Types:
    return tuple(other for other in _integer_no_wider(dtype) if other.is_signed)


def _no_wider(dtype: Dtype) -> Types:
    return tuple(other for other in _ALL if other.bits <= dtype.bits)


def _accumulator(dtype: Dtype) -> Types:
    return tuple(other for other in _INTEGERS if other.bits > 8) if dtype.is_int else (dtype,)


def _cast_target(dtype: Dtype) -> Types:
    return tuple(other for other in _ALL if {dtype, other} != {f16, bf16})


@dataclass(frozen=True)
class _Signature:
    """The types of `src0`, and those of `dst` and `src1` for a given type of `src0`."""

    src0: Types
    dst: Callable[[Dtype], Types]
    src1: Callable[[Dtype], Types] = _same


_EXTREMES = frozenset({ArithOp.MAX, ArithOp.MIN})
_ARITHMETIC = _Signature(_ALL, _any_integer, _any_integer)
_SIGNATURES: dict[ArithOp, _Signature] = {
    **dict.fromkeys((ArithOp.ADD, ArithOp.SUB, ArithOp.MUL), _ARITHMETIC),
    **dict.fromkeys(SATURATING, _Signature(_INTEGERS, _any_integer, _any_integer)),
    **dict.fromkeys(_EXTREMES, _Signature(_ALL, _same, _same)),
    **dict.fromkeys(BITWISE, _Signature(_INTEGERS, _same_width, _same_width)),
    **dict.fromkeys(SELECTS, _Signature(_ALL, _no_wider, _same)),
    **dict.fromkeys((ArithOp.COPY, ArithOp.ABS), _Signature(_ALL, _same_width)),
    ArithOp.COPY_MB: _Signature(_FLOATS, _same),  # of integers the C model destroys its own memory, depending on the shape
    **dict.fromkeys(LEADING, _Signature(_INTEGERS, _integer_no_wider)),
    ArithOp.ARITH_SHIFT: _Signature(_INTEGERS, _any_integer, _shift_amount),
    ArithOp.LOGIC_SHIFT: _Signature(_UNSIGNED, _any_integer, _shift_amount),
    ArithOp.ROTATE: _Signature(_INTEGERS, _same_width, _integer_no_wider),
    ArithOp.MUL_HIGH: _Signature(_INTEGERS, _same_width, _integer_no_wider),
    ArithOp.MAC: _Signature(_ALL, _accumulator, _any_integer),
    ArithOp.ABS_DIFF: _Signature(_FLOATS, _same, _same),
    ArithOp.DIV: _Signature((f32,), _same, _same),
    ArithOp.CAST: _Signature(_ALL, _cast_target),
}


def _op(instruction: Instruction) -> ArithOp:
    return cast("ArithOp", instruction.value_of("op"))


def _dtype(instruction: Instruction, name: str) -> Dtype | None:
    value = instruction.value_of(name)
    return value.dtype if isinstance(value, LocalTensor | Constant) else None


def _allowed(instruction: Instruction) -> Iterator[tuple[str, Types]]:
    signature, op = _SIGNATURES[_op(instruction)], _op(instruction)
    src0, dst = _dtype(instruction, "src0"), _dtype(instruction, "dst")
    yield "src0", signature.src0
    if src0 in signature.src0:
        yield "src1", signature.src1(src0)
        yield "dst", signature.dst(src0)
    if dst is not None:
        yield "src2", _same_width(dst) if op in SELECTS else (i8,)


_SIGN_MATTERS = SATURATING | SHIFTS | {ArithOp.MAC, ArithOp.MUL_HIGH}
"""A wrapping sum, difference or product has the same bits with either sign (the library negates unsigned integers so). Shifts wrap, too,
but the library refuses a result of another sign."""


def result_signed(op: ArithOp, src0: bool, src1: bool) -> bool | None:
    """Whether an integer result is signed, from the signs of the sources; None where it has the sign of `src0`, or any."""
    if op in (ArithOp.SUB, ArithOp.SUBS):
        return True
    if op in SHIFTS:
        return src0
    if op in SHIFTABLE - _EXTREMES or op is ArithOp.MUL_HIGH:
        return src0 or src1
    return None


def _wrong_sign(instruction: Instruction, chip: Chip) -> Broken:
    src0, src1, dst = (_dtype(instruction, name) for name in ("src0", "src1", "dst"))
    if _op(instruction) not in _SIGN_MATTERS or src0 is None or src1 is None or dst is None or dst.is_float:
        return
    signed = result_signed(_op(instruction), src0.is_signed, src1.is_signed)
    if signed is not None and signed != dst.is_signed:
        yield "dst", f"dst of {instruction.title} of {src0} and {src1} has type {dst}", f"use {'i' if signed else 'u'}{dst.bits}"


def _float_shift(instruction: Instruction, chip: Chip) -> Broken:
    src0 = _dtype(instruction, "src0")
    if _op(instruction) in SHIFTABLE and instruction.value_of("src2") is not None and src0 is not None and src0.is_float:
        yield "src2", f"{instruction.title} of {src0} has no shift", "leave out src2"


def _tensor_src2(instruction: Instruction, chip: Chip) -> Broken:
    if (_op(instruction) in SELECTS or _op(instruction) is ArithOp.MAC) and isinstance(instruction.value_of("src2"), LocalTensor):
        yield "src2", f"{instruction.title} needs a constant as src2, not a tensor", None


def _repeated_result(instruction: Instruction, chip: Chip) -> Broken:
    dst = instruction.value_of("dst")
    if not isinstance(dst, LocalTensor) or dst.strides is None:
        return
    for name, size, stride in zip("nchw", dst.shape, dst.strides, strict=True):
        if stride == 0 and size > 1:
            yield "dst", f"the {name} stride of dst of {instruction.title} is 0, but {name} is {size}", "results need a place each"


def _cast_rounding(instruction: Instruction, chip: Chip) -> Broken:
    rounding = instruction.value_of("rounding")
    if _op(instruction) is ArithOp.CAST and isinstance(rounding, Rounding) and rounding not in CAST_ROUNDINGS:
        names = ", ".join(known.name for known in CAST_ROUNDINGS)
        yield "rounding", f"{instruction.title} cannot round {rounding.name}", f"use {names}"


def _far_shift(instruction: Instruction, chip: Chip) -> Broken:
    amount = instruction.value_of("src1")
    if _op(instruction) in SHIFTS and isinstance(amount, Constant) and abs(amount.value) > LARGEST_SHIFT:
        yield "src1", f"{instruction.title} by {amount.value}", f"shift by {-LARGEST_SHIFT} to {LARGEST_SHIFT}"


def _source_counts(instruction: Instruction) -> tuple[int, int]:
    op = _op(instruction)
    if op in UNARY:
        return 1, 1
    if op in SELECTS:
        return 3, 3
    return 2, 3 if op in SHIFTABLE else 2


ARITH_RULES: tuple[Rule, ...] = (
    operand_count("One source for one-operand operations, three for selects, two or (with a shift) three for the rest.", _source_counts),
    dtypes_by_op("The types are those of the table: floats do not mix, integers do where the operation is arithmetic.", _allowed),
    rule(
        "result_sign",
        "A saturated integer sum or product is signed when a source is; a difference always is; a shifted value is when its source is.",
        OperandDtypeError,
        _wrong_sign,
    ),
    rule("integer_shift", "Only integer results can be shifted (`src2`).", OperandKindError, _float_shift),
    rule("constant_src2", "`src2` of selects and of MAC is a constant.", OperandKindError, _tensor_src2),
    placement,
    same_lane,
    rule(
        "result_strides",
        "`dst` has no stride 0, except along a dimension of size 1.",
        OperandLayoutError,
        _repeated_result,
    ),
    rule("cast_rounding", "CAST rounds HALF_EVEN, HALF_AWAY, TOWARD_ZERO, DOWN or UP.", AttributeRangeError, _cast_rounding),
    rule("shift_range", "A constant shift is -32 to 32.", AttributeRangeError, _far_shift),
    attribute_range("iterations", 1, 4),
)
"""The rules of `Arith`."""
