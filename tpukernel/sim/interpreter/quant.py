"""RQ&DQ: requantisation to narrow integers and dequantisation.

Every step is rounded by itself: of the operations with floating-point constants the conversion, the product and the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from tpukernel.chips.tensors import Constant
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u16
from tpukernel.isa.quant import Quant, QuantOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.interpreter.numerics import floats, ints
from tpukernel.sim.interpreter.numerics.casts import float_to_int, int_to_float
from tpukernel.sim.memory import Array, Memory

__all__ = ["execute"]

_HALFWAY = 1 << 62


def execute(instruction: Quant, memory: Memory) -> None:
    """Compute with the constants of the command, or with those of each channel."""
    src = memory.load(instruction.src)
    if src.dtype == np.uint32:
        src = src.view(np.int32)  # 32 bits are signed whatever the command says
    memory.store(instruction.dst, _OPERATIONS[instruction.op](instruction, memory, src))


def _requant_fp(instruction: Quant, memory: Memory, src: Array) -> Array:
    scale, offset = _constants(instruction, memory, scale=f32, offset=f32)
    number = int_to_float(src, f32, instruction.src_rounding or Rounding.HALF_EVEN)
    return float_to_int(floats.add(floats.multiply(number, scale), offset), instruction.dst.dtype, instruction.rounding)


def _requant_int(instruction: Quant, memory: Memory, src: Array) -> Array:
    dst = instruction.dst.dtype
    multiplier, amount, offset = _constants(instruction, memory, multiplier=i32, shift=i8, offset=_offset_of(dst))
    shifted = _shift(ints.multiply(src, multiplier), amount, instruction.rounding)
    # Far outside every result, but far enough from the ends of 64 bits for the offset not to wrap.
    return ints.saturate(np.clip(shifted, -_HALFWAY, _HALFWAY) + ints.exact(offset), dst)


def _dequant_fp(instruction: Quant, memory: Memory, src: Array) -> Array:
    offset, scale = _constants(instruction, memory, offset=_offset_of(instruction.src.dtype), scale=f32)
    return floats.multiply(int_to_float(ints.exact(src) - ints.exact(offset), f32, instruction.rounding), scale)


def _dequant_int(instruction: Quant, memory: Memory, src: Array) -> Array:
    # A shift that is given once has 16 bits here, and 8 in a table.
    shift = i16 if instruction.table is None else i8
    offset, multiplier, amount = _constants(instruction, memory, offset=_offset_of(instruction.src.dtype), multiplier=i32, shift=shift)
    product = (ints.exact(src) - ints.exact(offset)) * ints.exact(multiplier)
    return ints.saturate(_shift(product, amount, instruction.rounding), instruction.dst.dtype)


def _shift(values: ints.Wide, amount: Array, rounding: Rounding) -> ints.Wide:
    """Shift numbers of 64 bits: to the left by the lowest 6 bits of the amount (AR takes 5), to the right by 63 at most."""
    wide = ints.exact(amount)
    return ints.shift(np.left_shift(values, np.maximum(wide, 0) & 63), np.minimum(wide, 0), rounding)


_OPERATIONS: dict[QuantOp, Callable[[Quant, Memory, Array], Array]] = {
    QuantOp.REQUANT_FP: _requant_fp,
    QuantOp.REQUANT_INT: _requant_int,
    QuantOp.DEQUANT_FP: _dequant_fp,
    QuantOp.DEQUANT_INT: _dequant_int,
}


def _offset_of(narrow: Dtype) -> Dtype:
    """How an integer offset is read: signed as the side without excess bits is."""
    return i16 if narrow.is_signed else u16


def _constants(instruction: Quant, memory: Memory, **dtypes: Dtype) -> list[Array]:
    """The constants, named in the order of the table's columns; of each the lowest bits, read as that type.

    Each is (1, c, 1, 1), or has no dimensions where all channels have the same.
    """
    if instruction.table is not None:
        columns = np.split(memory.load(instruction.table).view(np.uint32), len(dtypes), axis=-1)
    else:
        columns = [np.array(_bits(instruction.value_of(name)), np.uint32) for name in dtypes]
    return [words.astype(f"u{dtype.itemsize}").view(dtype.numpy) for words, dtype in zip(columns, dtypes.values(), strict=True)]


def _bits(value: object) -> int:
    return value.bits if isinstance(value, Constant) else cast("int", value) & 0xFFFF_FFFF
