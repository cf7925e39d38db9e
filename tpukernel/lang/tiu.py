"""`k.tiu`: operations of the tensor unit on local memory, destination first.

Operands of elementwise operations have the shape of the result; a size of 1 in n, h or w is repeated. A number stands for all elements.
"""

from __future__ import annotations

from typing import Final, Literal

from tpukernel.dtypes import f32, i8, i16, i32, u8, u16
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.channels import ChannelOps
from tpukernel.lang.convolution import ConvolutionOps
from tpukernel.lang.errors import OperandTypeError
from tpukernel.lang.functions import FunctionOps
from tpukernel.lang.gathers import GatherOps
from tpukernel.lang.ir import Attribute
from tpukernel.lang.lanes import LaneOps
from tpukernel.lang.matrices import MatrixOps
from tpukernel.lang.operations import Source
from tpukernel.lang.pooling import PoolingOps
from tpukernel.lang.quantize import QuantizationOps
from tpukernel.lang.symbols import here
from tpukernel.lang.tensors import Tensor, Tile
from tpukernel.lang.trace import After, Token

__all__ = ["TiuOps"]

Form = Literal["tensor", "constant", "reversed"]

_BINARY: Final[dict[tuple[str, Literal["float", "int"], Form], str]] = {
    ("add", "float", "tensor"): "tpu_bdc_fp_add",
    ("add", "float", "constant"): "tpu_bdc_fp_add_C",
    ("add", "float", "reversed"): "tpu_bdc_fp_add_C",
    ("add", "int", "tensor"): "tpu_bdc_int_add",
    ("add", "int", "constant"): "tpu_bdc_int_add_C",
    ("add", "int", "reversed"): "tpu_bdc_int_add_C",
    ("sub", "float", "tensor"): "tpu_bdc_fp_sub",
    ("sub", "float", "constant"): "tpu_bdc_fp_sub_C",
    ("sub", "float", "reversed"): "tpu_bdc_fp_C_sub",
    ("sub", "int", "tensor"): "tpu_bdc_int_sub",
    ("sub", "int", "constant"): "tpu_bdc_int_sub_C",
    ("sub", "int", "reversed"): "tpu_bdc_int_C_sub",
    ("mul", "float", "tensor"): "tpu_bdc_fp_mul",
    ("mul", "float", "constant"): "tpu_bdc_fp_mul_C",
    ("mul", "float", "reversed"): "tpu_bdc_fp_mul_C",
    ("mul", "int", "tensor"): "tpu_bdc_int_mul",
    ("mul", "int", "constant"): "tpu_bdc_int_mul_C",
    ("mul", "int", "reversed"): "tpu_bdc_int_mul_C",
    ("div", "float", "tensor"): "tpu_bdc_fp32_div",
    ("div", "float", "constant"): "tpu_bdc_fp32_div_C",
    ("div", "float", "reversed"): "tpu_bdc_fp32_C_div",
    ("diff_abs", "float", "tensor"): "tpu_bdc_fp_diff_abs",
    ("diff_abs", "float", "constant"): "tpu_bdc_fp_diff_abs_C",
    ("diff_abs", "float", "reversed"): "tpu_bdc_fp_diff_abs_C",
}
"""The function for an operation, the kind of numbers, and what the two operands are."""


class TiuOps(FunctionOps, ChannelOps, ConvolutionOps, PoolingOps, MatrixOps, QuantizationOps, GatherOps, LaneOps):
    """Operations of the tensor unit."""

    # ------------------------------------------------------------------ two operands

    def add(
        self,
        dst: Tile,
        a: Source,
        b: Source,
        *,
        shift: Tile | int = 0,
        rounding: Rounding = Rounding.HALF_AWAY,
        saturate: bool = True,
        after: After = None,
    ) -> Token:
        """dst = a + b. Integers of any widths: shifted by `shift` (to the right, rounded, if negative), then limited or wrapped.

        `shift` may also be (1, c, 1, 1) i8 of layout COMPACT: one for each channel.
        """
        return self._arithmetic("add", dst, a, b, shift, rounding, saturate, after)

    def sub(
        self,
        dst: Tile,
        a: Source,
        b: Source,
        *,
        shift: Tile | int = 0,
        rounding: Rounding = Rounding.HALF_AWAY,
        saturate: bool = True,
        after: After = None,
    ) -> Token:
        """dst = a - b. Integers as in `add`."""
        return self._arithmetic("sub", dst, a, b, shift, rounding, saturate, after)

    def mul(
        self,
        dst: Tile,
        a: Source,
        b: Source,
        *,
        shift: Tile | int = 0,
        rounding: Rounding = Rounding.HALF_AWAY,
        saturate: bool = True,
        after: After = None,
    ) -> Token:
        """dst = a * b. Integers as in `add`."""
        return self._arithmetic("mul", dst, a, b, shift, rounding, saturate, after)

    def div(self, dst: Tile, a: Source, b: Source, *, iterations: int | None = None, after: After = None) -> Token:
        """dst = a / b, f32, within 5.4 ULP (measured).

        `iterations` of Newton's method, 1 to 4, instead of 3: 8 cycles each, besides 7.
        """
        if iterations is None:
            return self._arithmetic("div", dst, a, b, 0, Rounding.HALF_AWAY, True, after)
        row = _BINARY["div", "float", self._form("div", a, b)].replace("_div", "_tunable_div").replace("_C_tunable_div", "_tunable_C_div")
        self._need_dtype("div", "dst", dst, f32)
        return self._two("div", row, dst, a, b, {"num_iter": iterations}, after)

    def diff_abs(self, dst: Tile, a: Source, b: Source, *, after: After = None) -> Token:
        """dst = `abs(a - b)`, floats."""
        return self._arithmetic("diff_abs", dst, a, b, 0, Rounding.HALF_AWAY, True, after)

    def max(self, dst: Tile, a: Source, b: Source, *, after: After = None) -> Token:
        """dst = the larger one of a and b."""
        return self._symmetric("max", dst, a, b, after)

    def min(self, dst: Tile, a: Source, b: Source, *, after: After = None) -> Token:
        """dst = the smaller one of a and b."""
        return self._symmetric("min", dst, a, b, after)

    def bit_and(self, dst: Tile, a: Source, b: Source, *, after: After = None) -> Token:
        """dst = a & b, bit by bit."""
        return self._symmetric("bit_and", dst, a, b, after)

    def bit_or(self, dst: Tile, a: Source, b: Source, *, after: After = None) -> Token:
        """dst = a | b, bit by bit."""
        return self._symmetric("bit_or", dst, a, b, after)

    def bit_xor(self, dst: Tile, a: Source, b: Source, *, after: After = None) -> Token:
        """dst = a ^ b, bit by bit."""
        return self._symmetric("bit_xor", dst, a, b, after)

    def arithmetic_shift(
        self, dst: Tile, src: Tile, shift: Tile | int, *, rounding: Rounding = Rounding.HALF_AWAY, after: After = None
    ) -> Token:
        """dst = src shifted, to the left if `shift` is positive, else to the right and rounded; integers, which wrap."""
        return self._shift("arithmetic_shift", dst, src, shift, rounding, after)

    def logical_shift(
        self, dst: Tile, src: Tile, shift: Tile | int, *, rounding: Rounding = Rounding.HALF_AWAY, after: After = None
    ) -> Token:
        """dst = src shifted as in `arithmetic_shift`, unsigned types."""
        return self._shift("logical_shift", dst, src, shift, rounding, after)

    def mac(self, dst: Tile, a: Tile, b: Source, *, after: After = None) -> Token:
        """dst = dst + a * b, f32."""
        if isinstance(b, Tensor):
            return self._emit("mac", "tpu_bdc_fp32_mac", {"dst": dst, "src0": a, "src1": b}, after=after)
        return self._emit("mac", "tpu_bdc_fp32_mac_C", {"dst": dst, "src": a}, {"C": float(b)}, after)

    def mac_int(
        self,
        dst: Tile,
        a: Tile,
        b: Tile | int,
        *,
        left_shift: int = 0,
        right_shift: int = 0,
        rounding: Rounding = Rounding.HALF_AWAY,
        after: After = None,
    ) -> Token:
        """dst = ((dst << left_shift) + a * b) >> right_shift, rounded and saturated.

        a and b are i8 or u8, dst has 16 bits and is signed if one of them is; a number b is of the type of a. Shifts are 0 to 31.
        """
        self._need_dtype("mac_int", "a", a, i8, u8)
        attributes: dict[str, Attribute] = {"lshift": left_shift, "rshift": right_shift, "rounding_mode": rounding}
        other = b.dtype if isinstance(b, Tensor) else a.dtype
        self._need_dtype("mac_int", "dst", dst, i16 if a.dtype.is_signed or other.is_signed else u16)
        if isinstance(b, Tensor):
            self._need_dtype("mac_int", "b", b, i8, u8)
            return self._emit("mac_int", "tpu_bdc_int8_mac", {"dst": dst, "src0": a, "src1": b}, attributes, after)
        return self._emit("mac_int", "tpu_bdc_int8_mac_C", {"dst": dst, "src": a}, {"C": b} | attributes, after)

    # ------------------------------------------------------------------ comparisons

    def greater(self, dst: Tile, a: Tile, b: Source, *, value: float = 1, after: After = None) -> Token:
        """dst = value where a > b, else 0."""
        return self._compare("greater", dst, a, b, value, after)

    def greater_equal(self, dst: Tile, a: Tile, b: Source, *, value: float = 1, after: After = None) -> Token:
        """dst = value where a >= b, else 0."""
        return self._compare("greater_equal", dst, a, b, value, after)

    def less(self, dst: Tile, a: Tile, b: Source, *, value: float = 1, after: After = None) -> Token:
        """dst = value where a < b, else 0."""
        return self._compare("less", dst, a, b, value, after)

    def less_equal(self, dst: Tile, a: Tile, b: Source, *, value: float = 1, after: After = None) -> Token:
        """dst = value where a <= b, else 0."""
        return self._compare("less_equal", dst, a, b, value, after)

    def equal(self, dst: Tile, a: Tile, b: Source, *, value: float = 1, after: After = None) -> Token:
        """dst = value where the bits of a and b are equal, else 0."""
        return self._compare("equal", dst, a, b, value, after)

    def not_equal(self, dst: Tile, a: Tile, b: Source, *, value: float = 1, after: After = None) -> Token:
        """dst = value where the bits of a and b differ, else 0."""
        return self._compare("not_equal", dst, a, b, value, after)

    def select_greater(self, dst: Tile, a: Source, b: Source, x: Source, y: Source, *, after: After = None) -> Token:
        """dst = x where a > b, else y; tensors of whole buffers."""
        return self._select("select_greater", "tpu_bdc_greater_select", dst, a, b, x, y, after)

    def select_less(self, dst: Tile, a: Source, b: Source, x: Source, y: Source, *, after: After = None) -> Token:
        """dst = x where a < b, else y; tensors of whole buffers."""
        return self._select("select_less", "tpu_bdc_less_select", dst, a, b, x, y, after)

    def select_equal(self, dst: Tile, a: Source, b: Source, x: Source, y: Source, *, after: After = None) -> Token:
        """dst = x where the bits of a and b are equal, else y; tensors of whole buffers."""
        return self._select("select_equal", "tpu_bdc_equal_select", dst, a, b, x, y, after)

    def max_select(self, dst: Tile, chosen: Tile, a: Source, b: Source, x: Source, y: Source, *, after: After = None) -> Token:
        """dst = the larger one of a and b, and chosen = x where a > b, else y; tensors of whole buffers. Positions of maxima in steps."""
        operands = {"dst0": dst, "dst1": chosen, "src0": a, "src1": b, "src2": x, "src3": y}
        return self._emit("max_select", "tpu_bdc_maximum_greater_select", operands, after=after)

    def min_select(self, dst: Tile, chosen: Tile, a: Source, b: Source, x: Source, y: Source, *, after: After = None) -> Token:
        """dst = the smaller one of a and b, and chosen = x where a < b, else y; tensors of whole buffers."""
        operands = {"dst0": dst, "dst1": chosen, "src0": a, "src1": b, "src2": x, "src3": y}
        return self._emit("min_select", "tpu_bdc_minimum_less_select", operands, after=after)

    # ------------------------------------------------------------------ one operand

    def abs(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = `abs(src)`; the smallest signed integer stays as it is."""
        return self._unary("abs", "tpu_bdc_abs", dst, src, after)

    def neg(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = -src; integers wrap."""
        return self._unary("neg", "tpu_bdc_neg", dst, src, after)

    def bit_not(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = the bits of src reversed, integers."""
        return self._unary("bit_not", "tpu_bdc_not", dst, src, after)

    def copy(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = src."""
        return self._unary("copy", "tpu_bdc_cpy", dst, src, after)

    def relu(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = the larger one of src and 0."""
        return self._unary("relu", "tpu_bdc_relu", dst, src, after)

    def square(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = src * src, floats."""
        return self._unary("square", "tpu_bdc_fp_square", dst, src, after)

    def sign(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = 1, 0 or -1 as src is above, equal to or below 0; dst is not src."""
        return self._unary("sign", "tpu_bdc_sign", dst, src, after)

    def floor(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = the largest integral value that is not above src, floats."""
        return self._unary("floor", "tpu_bdc_fp_floor", dst, src, after)

    def ceil(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = the smallest integral value that is not below src, floats."""
        return self._unary("ceil", "tpu_bdc_fp_ceil", dst, src, after)

    def round(self, dst: Tile, src: Tile, *, rounding: Rounding = Rounding.HALF_EVEN, after: After = None) -> Token:
        """dst = src rounded to an integral value, floats."""
        return self._emit("round", "tpu_bdc_fp_round", {"dst": dst, "src": src}, {"mode": rounding}, after)

    def cast(self, dst: Tile, src: Tile, *, rounding: Rounding = Rounding.HALF_EVEN, after: After = None) -> Token:
        """dst = src in the data type of dst; integers out of range are limited."""
        return self._emit("cast", "tpu_bdc_cast", {"dst": dst, "src": src}, {"mode": rounding}, after)

    def exponent(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = the biased exponent of src, floats: i32 of f32, i16 of f16 and bf16; whole buffers.

        One too many for positive numbers with a significand above 4/3 (measured on the official model).
        """
        self._need_dtype("exponent", "dst", dst, i32 if src.dtype.bits == 32 else i16)
        return self._unary("exponent", "tpu_bdc_fp_exponent_part", dst, src, after)

    def fill(self, dst: Tile, value: float, *, after: After = None) -> Token:
        """dst = value."""
        return self._emit("fill", "tpu_bdc_set_C", {"dst": dst}, {"C": value}, after)

    # ------------------------------------------------------------------ parts

    def _unary(self, name: str, row: str, dst: Tile, src: Tile, after: After) -> Token:
        return self._emit(name, row, {"dst": dst, "src": src}, after=after)

    def _arithmetic(
        self, name: str, dst: Tile, a: Source, b: Source, shift: Tile | int, rounding: Rounding, saturate: bool, after: After
    ) -> Token:
        form = self._form(name, a, b)
        kind = "float" if dst.dtype.is_float else "int"
        row = _BINARY.get((name, kind, form))
        if row is None:
            raise self._refuse(name, f"works on floats, not on {dst!r}", "convert with k.tiu.cast")
        attributes: dict[str, Attribute] = {}
        if kind == "int":
            attributes = {"rounding_mode": rounding, "saturation": saturate}
            if isinstance(shift, Tensor):
                self._need_dtype(name, "shift", shift, i8)
                return self._two(name, row.replace("_int_", "_int_pcs_"), dst, a, b, attributes, after, shift)
            attributes["shift"] = shift
        elif (shift, rounding, saturate) != (0, Rounding.HALF_AWAY, True):
            raise self._refuse(name, f"has shift, rounding and saturate for integers only, and dst is {dst!r}", "leave them out")
        return self._two(name, row, dst, a, b, attributes, after)

    def _symmetric(self, name: str, dst: Tile, a: Source, b: Source, after: After) -> Token:
        suffix = "" if self._form(name, a, b) == "tensor" else "_C"
        return self._two(name, f"tpu_bdc_{name.removeprefix('bit_')}{suffix}", dst, a, b, {}, after)

    def _two(
        self,
        name: str,
        row: str,
        dst: Tile,
        a: Source,
        b: Source,
        attributes: dict[str, Attribute],
        after: After,
        shift: Tile | None = None,
    ) -> Token:
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            return self._emit(name, row, {"dst": dst, "src0": a, "src1": b, "shift": shift}, attributes, after)
        tensor, number = (a, b) if isinstance(a, Tensor) else (b, a)
        value: Attribute = None if isinstance(number, Tensor) else number
        return self._emit(name, row, {"dst": dst, "src": tensor, "shift": shift}, {"C": value} | attributes, after)

    def _form(self, name: str, a: Source, b: Source) -> Form:
        if isinstance(a, Tensor):
            return "tensor" if isinstance(b, Tensor) else "constant"
        if isinstance(b, Tensor):
            return "reversed"
        message = f"tiu.{name} of two numbers, {a!r} and {b!r}"
        raise OperandTypeError(message, position=here(), help="compute it in Python, and use k.tiu.fill")

    def _shift(self, name: str, dst: Tile, src: Tile, shift: Tile | int, rounding: Rounding, after: After) -> Token:
        if isinstance(shift, Tensor):
            operands = {"dst": dst, "src": src, "shift": shift}
            return self._emit(name, f"tpu_bdc_{name}", operands, {"rounding_mode": rounding}, after)
        return self._emit(name, f"tpu_bdc_{name}_C", {"dst": dst, "src": src}, {"C": shift, "rounding_mode": rounding}, after)

    def _compare(self, name: str, dst: Tile, a: Tile, b: Source, value: float, after: After) -> Token:
        if isinstance(b, Tensor):
            return self._emit(name, f"tpu_bdc_{name}", {"dst": dst, "src0": a, "src1": b}, {"true_val": value}, after)
        return self._emit(name, f"tpu_bdc_{name}_C", {"dst": dst, "src": a}, {"C": b, "true_val": value}, after)

    def _select(self, name: str, row: str, dst: Tile, a: Source, b: Source, x: Source, y: Source, after: After) -> Token:
        compared = next((each.dtype for each in (a, b) if isinstance(each, Tensor)), dst.dtype)
        operands = {"dst": dst, "src0": a, "src1": b, "src2": x, "src3": y}
        return self._emit(name, row, operands, {"src0_src1_dtype": compared}, after)
