"""Packing the left factor of 16-bit floats: numbers, codes and exponents of each group (see `groups`)."""

from __future__ import annotations

from dataclasses import dataclass

from tpukernel.dtypes import Dtype
from tpukernel.sim.interpreter.numerics.accumulate import GROUP
from tpukernel.sim.jit.ir import F32, I16, I32, I64, PTR, Function, Type, Value
from tpukernel.sim.jit.llvm import ENTRY, Target
from tpukernel.sim.jit.numerics import floats
from tpukernel.sim.jit.products.groups import NO_CODE, ZERO_EXPONENT, GroupBlock, digits_of, exponent_of, marked_special
from tpukernel.sim.jit.products.left import LeftHead
from tpukernel.sim.jit.products.record import pointer_of, table_of, word_of

__all__ = ["GroupLeftKernel"]

_WORDS = Type("i32", GROUP)


@dataclass(frozen=True)
class GroupLeftKernel:
    """Packs blocks of rows; each is a unit of work.

    Attributes:
        dtype: f16 or bf16.
    """

    dtype: Dtype
    ieee: bool = False

    @property
    def key(self) -> str:
        return f"left.groups.{self.dtype.name}"

    def emit(self, target: Target) -> str:
        block = GroupBlock(target)
        function = Function(ENTRY, [PTR, I64, I64], I64, target)
        record, first, last = function.arguments
        groups = word_of(record, LeftHead.RUNS)
        source, to = pointer_of(record, LeftHead.FROM), pointer_of(record, LeftHead.TO)
        rows, k_table, counts = (table_of(record, word) for word in (LeftHead.ROWS, LeftHead.K, LeftHead.COUNTS))
        block_bytes = word_of(record, LeftHead.ROW_BYTES)
        buffer = function.alloca(2 * GROUP)
        with function.loop(first, last, maybe_none=True) as unit:
            carried = [to.offset(unit.index * block_bytes), k_table, counts]
            with function.loop(0, groups, carried=carried) as group:
                packed, k_at, count_at = group.values
                limits = [function.constant(I32, 255), function.constant(I32, 0)]
                with function.loop(0, block.rows, carried=limits) as row:
                    place = source.offset(rows.offset((unit.index * block.rows + row.index) << 3).load(I64, 8))
                    bits = self._gather(function, place, k_at, count_at, buffer)
                    exponent = self._pack(function, block, bits, packed, row.index)
                    row.next = [row.values[0].umin(exponent), row.values[1].intrinsic("umax", exponent)]
                packed.offset(block.least).store(row.values[0], 4)
                packed.offset(block.most).store(marked_special(row.values[1]), 4)
                group.next = [packed.offset(block.bytes), k_at.offset(8 * GROUP), count_at.offset(16)]
        function.ret(0)
        return str(function)

    def _gather(self, function: Function, place: Value, k_at: Value, count_at: Value, buffer: Value) -> Value:
        """The bits of the 32 numbers of a row, zeros where there are fewer."""
        vector = Type("i16", GROUP)
        run, single, end = (function.label(name) for name in ("run", "single", "end"))
        count = count_at.load(I64, 8)
        function.branch_if(count_at.offset(8).load(I64, 8).compare("ne", 0), run, single)
        function.block(run)
        whole = place.offset(k_at.load(I64, 8)).load(vector)
        function.branch(end)
        function.block(single)
        buffer.store(function.constant(vector, 0))
        with function.loop(0, count) as k:
            found = place.offset(k_at.offset(k.index << 3).load(I64, 8)).load(I16)
            buffer.offset(k.index << 1).store(found)
        gathered, after = buffer.load(vector), function.here
        function.branch(end)
        function.block(end)
        return function.phi([(whole, run), (gathered, after)])

    def _pack(self, function: Function, block: GroupBlock, bits: Value, packed: Value, row: Value) -> Value:
        """Pack a row; its exponent."""
        numbers = floats.widen(bits, self.dtype).bitcast(I32)
        exponents = exponent_of(numbers)
        greatest = function.call(f"llvm.vector.reduce.umax.v{GROUP}i32", I32, [exponents])
        none = greatest.compare("eq", 0)
        greatest = none.choose(ZERO_EXPONENT, greatest)
        fill = none.choose(greatest.like(-1025), NO_CODE).splat(GROUP)
        codes = (((exponents - greatest.splat(GROUP)) << 11) - _reciprocal(digits_of(numbers))).smax(NO_CODE)
        codes = exponents.compare("eq", 0).choose(fill, codes)
        packed.offset(block.exponents).offset(row << 2).store(greatest.like(0) - greatest, 4)
        place = packed.offset(row * (4 * GROUP))
        place.store(numbers, 4)
        place.offset(block.codes).store(codes & 0xFFFF | codes << 16, 4)
        return greatest


def _reciprocal(digits: Value) -> Value:
    """2**21 divided by 1024 .. 2047, rounded up. The quotient in f32 is exact enough to tell: its fraction is 0 or at least 1/2047."""
    function = digits.function
    one = function.constant(Type("float", GROUP), 2.0**21)
    divisor = digits.convert("sitofp", F32)
    quotient = function.emit(divisor.type, f"fdiv {one}, {divisor.text}")
    whole = quotient.convert("fptosi", I32)
    return whole - quotient.compare("ogt", whole.convert("sitofp", F32)).convert("sext", I32)
