"""The elementwise operations that AR and VC share, as vector code; the definition is `interpreter.elementwise`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tpukernel.dtypes import Dtype, bf16
from tpukernel.isa.arith_op import BITWISE, LEADING, MOVES, SATURATING, SELECTS, SHIFTS, ArithOp
from tpukernel.isa.rounding import Rounding
from tpukernel.sim.jit.ir import I1, I32, I64, Value, integer
from tpukernel.sim.jit.nest_kernel import Elementwise
from tpukernel.sim.jit.numerics import casts, compare, floats, ints, newton
from tpukernel.sim.jit.numerics.ints import Wide

__all__ = ["Request", "operation"]


@dataclass(frozen=True)
class Request:
    """An operation with everything that its code depends on.

    Attributes:
        op: the operation.
        dst: type of the result.
        sources: types of the sources in order: `src0`, `src1`, then the value of a select or the shift, then (of MAC) the old result.
        rounding, iterations: as in the instruction.
        shift: whether the shift of the result is known to be none ("none"), to the left ("left"), to the right ("right"), or anything
            ("any").
        shifts: of MAC: its constant.
    """

    op: ArithOp
    dst: Dtype
    sources: tuple[Dtype, ...]
    rounding: Rounding = Rounding.HALF_EVEN
    iterations: int = 0
    shift: str = "none"
    shifts: int = 0

    @property
    def key(self) -> str:
        types = ".".join(dtype.name for dtype in (self.dst, *self.sources))
        return f"arith.{self.op.name}.{types}.{int(self.rounding)}.{self.iterations}.{self.shift}.{self.shifts}"


@lru_cache(maxsize=1024)
def operation(request: Request) -> Elementwise:
    """The operation as something that a nest can execute."""
    op, dst, a = request.op, request.dst, request.sources[0]
    body = _float_body(request) if a.is_float or op is ArithOp.CAST or op in SELECTS or op in MOVES else _integer_body(request)
    return Elementwise(
        key=request.key,
        results=(dst.itemsize,),
        sources=tuple(dtype.itemsize for dtype in request.sources),
        body=lambda values: [body(values)],
        width=_width(request),
        vectors=4 if op in _COMPUTED and not a.is_float else 2,  # widened integers fill the vectors that they are loaded with
    )


def _width(request: Request) -> int:
    op, widest = request.op, max(request.dst.bits, *(dtype.bits for dtype in request.sources))
    if op is ArithOp.CAST:
        return casts.width(request.sources[0], request.dst)
    if request.sources[0].is_float:
        return widest if op in MOVES or op is ArithOp.ABS else 32
    if op in _COMPUTED:
        return _exact_width(request)
    if op in SHIFTS or op in (ArithOp.MAC, ArithOp.MUL_HIGH):
        return 64
    return 32 if op is ArithOp.ROTATE else widest


# ---------------------------------------------------------------------------- floats, and any type

Emit = Callable[[Sequence[Value]], Value]
Binary = Callable[[Value, Value, Dtype], Value]


def _float_body(request: Request) -> Emit:
    op, dst, a_type = request.op, request.dst, request.sources[0]
    if op in _FLOAT:
        binary = _FLOAT[op]
        return lambda values: binary(values[0], values[1], dst)
    match op:
        case ArithOp.SELECT_GREATER | ArithOp.SELECT_EQUAL | ArithOp.SELECT_LESS:
            holds = _HOLDS[op]
            return lambda values: holds(values[0], values[1], a_type).choose(values[2], 0)
        case ArithOp.COPY | ArithOp.COPY_MB:
            return lambda values: values[0]
        case ArithOp.CAST:
            return lambda values: casts.cast(values[0], a_type, dst, request.rounding)
        case ArithOp.MAC:
            return lambda values: floats.add(floats.multiply(values[0], values[1], dst), values[2], dst)
        case ArithOp.DIV:
            return lambda values: newton.divide(values[0], values[1], request.iterations)
        case ArithOp.ABS:
            return lambda values: floats.magnitude(values[0])
        case _:
            raise NotImplementedError(op)


def _absolute_difference(a: Value, b: Value, dtype: Dtype) -> Value:
    one, other = floats.subtract(a, b, dtype), floats.subtract(b, a, dtype)
    first = compare.greater(a, b, dtype) if dtype == bf16 else compare.greater(one, one.like(0), dtype)
    return first.choose(one, other)


_FLOAT: Mapping[ArithOp, Binary] = {
    ArithOp.ADD: floats.add,
    ArithOp.SUB: floats.subtract,
    ArithOp.MUL: floats.multiply,
    ArithOp.MAX: compare.maximum,
    ArithOp.MIN: compare.minimum,
    ArithOp.ABS_DIFF: _absolute_difference,
}
_HOLDS: Mapping[ArithOp, Binary] = {
    ArithOp.SELECT_GREATER: compare.greater,
    ArithOp.SELECT_EQUAL: compare.equal,
    ArithOp.SELECT_LESS: compare.less,
}

# ---------------------------------------------------------------------------- integers

_PRODUCTS = {ArithOp.MUL, ArithOp.MULS}
_COMPUTED = {ArithOp.ADD, ArithOp.SUB} | _PRODUCTS | SATURATING
_SUMS = {ArithOp.ADD, ArithOp.ADDS}


def _exact_width(request: Request) -> int:
    """Bits in which a sum, difference or product is exact (or, where it wraps, has the bits of the result), and can be shifted right."""
    a, b = request.sources[:2]
    if request.op not in SATURATING and request.shift in ("none", "left"):
        return request.dst.bits if request.shift == "none" else 32  # so that it can be shifted by 31
    if request.shift in ("left", "any"):
        return 32 if _saturates_in_32_bits(request) else 64
    if request.op in _PRODUCTS:
        if request.shift == "none" and a.bits == b.bits == 16:
            return 32 if a.is_signed or b.is_signed else 64
        return 32 if a.bits + b.bits <= 24 else 64
    return 32 if max(a.bits, b.bits) <= 16 else 64


def _saturates_in_32_bits(request: Request) -> bool:
    """Whether it is a sum of at most 17 bits that is shifted to the left."""
    narrow = max(dtype.bits for dtype in request.sources[:2]) <= 16 and (request.dst.is_signed or request.dst.bits < 32)
    return narrow and request.shift == "left" and request.op in SATURATING - _PRODUCTS


def _integer_body(request: Request) -> Emit:
    op, dst, a_type = request.op, request.dst, request.sources[0]
    if op in _COMPUTED:
        return _computed(request)
    if op in (ArithOp.MAX, ArithOp.MIN):
        extreme = compare.maximum if op is ArithOp.MAX else compare.minimum
        return lambda values: extreme(values[0], values[1], a_type)
    if op in BITWISE:
        return _BITWISE[op]
    if op in LEADING:
        return lambda values: _leading(values[0], dst, ones=op is ArithOp.LEADING_ONES)
    match op:
        case ArithOp.MAC:
            return lambda values: _mac(request, values)
        case ArithOp.LOGIC_SHIFT | ArithOp.ARITH_SHIFT:
            return lambda values: ints.wrap(
                ints.shift(Wide(ints.exact(values[0], a_type)), values[1].trunc(integer(8)).sext(I64), request.rounding), dst
            )
        case ArithOp.ROTATE:
            return lambda values: _rotate(values[0], values[1])
        case ArithOp.MUL_HIGH:
            return lambda values: _multiply_high(request, values)
        case ArithOp.ABS:
            return lambda values: _absolute(values[0], a_type)
        case _:
            raise NotImplementedError(op)


def _computed(request: Request) -> Emit:
    op, dst, (a_type, b_type) = request.op, request.dst, request.sources[:2]
    width = _exact_width(request)

    def emit(values: Sequence[Value]) -> Value:
        if request.shift == "none" and op in SATURATING - _PRODUCTS and a_type == b_type == dst:
            name = f"{'s' if dst.is_signed else 'u'}{'add' if op in _SUMS else 'sub'}.sat"
            return values[0].intrinsic(name, values[1])
        a, b = (_fitted(value, dtype, width) for value, dtype in zip(values[:2], (a_type, b_type), strict=True))
        unsigned = width == 64 and op in _PRODUCTS and a_type.name == b_type.name == "u32"
        wide = Wide(a * b if op in _PRODUCTS else a + b if op in _SUMS else a - b, unsigned)
        if request.shift == "none":
            return ints.saturate(wide, dst) if op in SATURATING else ints.wrap(wide, dst)
        amount = values[2].sext(integer(width))
        if request.shift == "right":
            wide = ints.shift_right(wide, amount.like(0) - amount, request.rounding)
        elif op is ArithOp.MULS:
            return ints.shift_saturated(wide, amount, request.rounding, dst)
        elif _saturates_in_32_bits(request):
            return ints.shift_left_saturated(wide.value, amount & 31, dst)
        elif request.shift == "left":
            wide = Wide(wide.value << (amount & 31), wide.unsigned)
        else:
            wide = ints.shift(wide, amount, request.rounding)
        return ints.saturate(wide, dst) if op in SATURATING else ints.wrap(wide, dst)

    return emit


def _fitted(value: Value, dtype: Dtype, width: int) -> Value:
    return value.trunc(integer(width)) if dtype.bits >= width else ints.exact(value, dtype, width)


_BITWISE: Mapping[ArithOp, Emit] = {
    ArithOp.NOT: lambda values: ~values[0],
    ArithOp.AND: lambda values: values[0] & values[1],
    ArithOp.OR: lambda values: values[0] | values[1],
    ArithOp.XOR: lambda values: values[0] ^ values[1],
}


def _absolute(value: Value, dtype: Dtype) -> Value:
    return value.compare("slt", 0).choose(value.like(0) - value, value) if dtype.is_signed else value


def _leading(value: Value, dst: Dtype, *, ones: bool) -> Value:
    bits = ~value if ones else value
    lanes = f"v{bits.type.lanes}i{bits.type.bits}"
    never_zero = bits.function.constant(I1, 0)
    return bits.function.call(f"llvm.ctlz.{lanes}", bits.type, [bits, never_zero]).trunc(integer(dst.bits))


def _rotate(value: Value, amount: Value) -> Value:
    word, signed = value.zext(I32), amount.trunc(integer(8)).sext(I32)
    size = signed.compare("slt", 0).choose(signed.like(0) - signed, signed)
    far, near = size & 31, (size.like(value.type.bits) - size) & 31
    left, right = word << far | word.lshr(near), word.lshr(far) | word << near
    return signed.compare("slt", 0).choose(right, left).trunc(integer(value.type.bits))


def _product(request: Request, values: Sequence[Value]) -> Wide:
    return ints.multiply(values[0], request.sources[0], values[1], request.sources[1])


def _multiply_high(request: Request, values: Sequence[Value]) -> Value:
    wide = _product(request, values)
    places = wide.value.like(8 * request.sources[0].itemsize - 1)
    return ints.saturate(ints.shift_right(wide, places, request.rounding), request.dst)


def _mac(request: Request, values: Sequence[Value]) -> Value:
    dst, shifts = request.dst, request.shifts
    left, right = shifts & 63 if dst.bits == 16 else 0, shifts >> 8 & 0xFF
    product = _product(request, values)
    total = Wide((ints.exact(values[2], dst) << left) + product.value, product.unsigned)
    if right:
        total = ints.shift_right(total, total.value.like(right), request.rounding)
    bytes_to_16_bits = request.sources[0].itemsize == request.sources[1].itemsize == 1 and dst.bits == 16
    return ints.saturate(total, dst) if bytes_to_16_bits else ints.wrap(total, dst)
