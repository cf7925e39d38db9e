"""Convolutions over all channels: floats, 8-bit integers with zero points, 8-bit integers with a shift, and their transposes.

A convolution in groups is one operation for each group: the input channels of a group are loaded to a buffer of their own (inputs other
than f32 start in lane 0), and the result is stored to the channels of the group.
"""

from __future__ import annotations

from tpukernel.dtypes import f32, i8, i16, i32, u8, u16, u32
from tpukernel.lang.errors import OperandTypeError
from tpukernel.lang.ir import Attribute
from tpukernel.lang.operations import Operations
from tpukernel.lang.symbols import SymBool, condition_of, here
from tpukernel.lang.tensors import Tensor, Tile
from tpukernel.lang.trace import After, Token
from tpukernel.lang.windows import ONCE, UNPADDED, Padding, Pair, taps, window

__all__ = ["ConvolutionOps"]

BYTES = (i8, u8)


class ConvolutionOps(Operations):
    """dst (n, oc, oh, ow) = src (n, ic, h, w) convolved with weight (oc, ic, kh, kw) of layout WEIGHT.

    oh is (h + padding - (kh - 1) * dilation - 1) // stride + 1, likewise ow; dst has exactly this shape. Padding is 0 to 15, stride and
    dilation are 1 to 15. A transposed convolution with stride s puts s - 1 elements between neighbours of src (`insert`, 0 to 14), rotates
    the kernel by 180 degrees, and is padded by (kh - 1) * dilation - p where the convolution has the padding p.
    """

    def conv2d(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None = None,
        *,
        stride: Pair = ONCE,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        accumulate: SymBool | bool = False,
        after: After = None,
    ) -> Token:
        """dst = src convolved with weight, plus bias; floats.

        Args:
            dst: (n, oc, oh, ow), of the type of src or f32.
            src: (n, ic, h, w), f32, f16 or bf16; the last two are added up in f32.
            weight: (oc, ic, kh, kw) of layout WEIGHT, of the type of src.
            bias: (1, oc, 1, 1) f32 of layout COMPACT.
            stride: rows and columns from one window to the next, 1 to 15.
            padding: zeros at top, bottom, left, right, 0 to 15.
            dilation: distance of neighbouring taps, 1 to 15.
            accumulate: add to what dst holds; dst is f32 then.
            after: operations to wait for.
        """
        around = window(taps(weight), padding, dilation, stride=stride)
        return self._float_conv("conv2d", "tpu_bdc_fp_conv2d", dst, src, weight, bias, around, accumulate, after)

    def deconv2d(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None = None,
        *,
        insert: Pair,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        accumulate: SymBool | bool = False,
        after: After = None,
    ) -> Token:
        """dst = src with `insert` zeros between neighbours, convolved with weight rotated by 180 degrees, plus bias; floats.

        Operands as of `conv2d`; weight is (oc, ic, kh, kw) here, too.
        """
        around = window(taps(weight), padding, dilation, insert=insert)
        return self._float_conv("deconv2d", "tpu_bdc_fp_conv2d_for_deconv2d", dst, src, weight, bias, around, accumulate, after)

    # ------------------------------------------------------------------ 8-bit integers

    def conv2d_asym(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        *,
        zero_point: Tile | int = 0,
        pad_value: Tile | int = 0,
        stride: Pair = ONCE,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        accumulate: SymBool | bool = False,
        after: After = None,
    ) -> Token:
        """dst = src convolved with (weight - zero_point), 8-bit integers, where padding is pad_value.

        Args:
            dst: (n, oc, oh, ow), i32, or i16 (u16 of unsigned operands with the zero point 0), which saturates.
            src: (n, ic, h, w), i8 or u8, from lane 0 on.
            weight: (oc, ic, kh, kw) of layout WEIGHT, i8 or u8.
            zero_point: a number of the type of weight, or (1, oc, 1, 1) of layout COMPACT. It is subtracted under padding, too.
            pad_value: a number of the type of src, or (1, ic, 1, 2) of layout COMPACT: a pair (pad value, unused) per channel. Tensors are
                given for both this and `zero_point`, or for none.
            stride: rows and columns from one window to the next, 1 to 15.
            padding: rows at top and bottom, columns at left and right, 0 to 15.
            dilation: distance of neighbouring taps, 1 to 15.
            accumulate: add to what dst holds; 32 bits only.
            after: operations to wait for.
        """
        around = window(taps(weight), padding, dilation, stride=stride)
        return self._zero_pointed("conv2d_asym", "conv2d", dst, src, weight, zero_point, pad_value, None, around, accumulate, after)

    def deconv2d_asym(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        *,
        insert: Pair,
        zero_point: Tile | int = 0,
        pad_value: Tile | int = 0,
        insert_value: int = 0,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        accumulate: SymBool | bool = False,
        after: After = None,
    ) -> Token:
        """dst = src with `insert` elements between neighbours, convolved with (weight - zero_point) rotated by 180 degrees.

        Operands as of `conv2d_asym`. The elements between are `insert_value`, or the second of each pair in a tensor `pad_value`.
        """
        around = window(taps(weight), padding, dilation, insert=insert)
        row = "conv2d_for_deconv2d"
        return self._zero_pointed("deconv2d_asym", row, dst, src, weight, zero_point, pad_value, insert_value, around, accumulate, after)

    def conv2d_sym(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None = None,
        *,
        right_shift: int,
        relu: bool = False,
        stride: Pair = ONCE,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        after: After = None,
    ) -> Token:
        """dst = (src convolved with weight, plus bias) >> right_shift, rounded half up and saturated; padding is 0.

        Args:
            dst: (n, oc, oh, ow) of 8 or 16 bits: signed when src, weight or bias is, with `relu` always unsigned.
            src: (n, ic, h, w), i8 or u8, from lane 0 on.
            weight: (oc, ic, kh, kw) of layout WEIGHT, i8 or u8.
            bias: (1, oc, 1, 1) of 16 bits, of layout COMPACT.
            right_shift: 0 to 31.
            relu: negative results become 0.
            stride: rows and columns from one window to the next, 1 to 15.
            padding: rows at top and bottom, columns at left and right, 0 to 15.
            dilation: distance of neighbouring taps, 1 to 15.
            after: operations to wait for.
        """
        around = window(taps(weight), padding, dilation, stride=stride)
        return self._shifted("conv2d_sym", "tpu_bdc_int8_sym_quant_conv2d", dst, src, weight, bias, around, right_shift, relu, after)

    def deconv2d_sym(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None = None,
        *,
        insert: Pair,
        right_shift: int,
        relu: bool = False,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        after: After = None,
    ) -> Token:
        """dst = (src with `insert` zeros between neighbours, convolved with weight rotated by 180 degrees, plus bias) >> right_shift.

        Operands as of `conv2d_sym`.
        """
        around = window(taps(weight), padding, dilation, insert=insert)
        row = "tpu_bdc_int8_sym_quant_conv2d_for_deconv2d"
        return self._shifted("deconv2d_sym", row, dst, src, weight, bias, around, right_shift, relu, after)

    # ------------------------------------------------------------------ parts

    def _float_conv(
        self,
        name: str,
        row: str,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None,
        around: dict[str, Attribute],
        accumulate: SymBool | bool,
        after: After,
    ) -> Token:
        self._need_dtype(name, "weight", weight, src.dtype)
        self._need_dtype(name, "dst", dst, src.dtype, f32)
        if bias is not None:
            self._need_dtype(name, "bias", bias, f32)
        add = condition_of(accumulate)
        if add is not False:
            self._need_dtype(f"{name} with accumulate", "dst", dst, f32)
        attributes = {"output_c": weight.view.shape[0], "has_bias": bias is not None, "result_add": add}
        return self._emit(name, row, {"output": dst, "input": src, "weight": weight, "bias": bias}, attributes | around, after)

    def _zero_pointed(
        self,
        name: str,
        row: str,
        dst: Tile,
        src: Tile,
        weight: Tile,
        zero_point: Tile | int,
        pad_value: Tile | int,
        insert_value: int | None,
        around: dict[str, Attribute],
        accumulate: SymBool | bool,
        after: After,
    ) -> Token:
        self._need_dtype(name, "src", src, *BYTES)
        self._need_dtype(name, "weight", weight, *BYTES)
        attributes = {"output_c": weight.view.shape[0], "result_add": condition_of(accumulate)} | around
        signed = src.dtype.is_signed or weight.dtype.is_signed or isinstance(zero_point, Tensor) or zero_point != 0
        self._need_dtype(name, "dst", dst, *((i32, i16) if signed else (i32, u32, u16)))
        operands = {"output": dst, "input": src, "weight": weight}
        if isinstance(zero_point, Tensor) and isinstance(pad_value, Tensor):
            self._need_dtype(name, "pad_value", pad_value, src.dtype)
            pads = "pad" if insert_value is None else "pad_insert"
            operands |= {"kzp": zero_point, pads: pad_value}
            return self._emit(name, f"tpu_bdc_int8_asym_pc_quant_{row}", operands, attributes, after)
        if isinstance(zero_point, Tensor) or isinstance(pad_value, Tensor):
            raise OperandTypeError(
                f"tiu.{name} has numbers per channel for one of zero_point and pad_value only: {zero_point!r}, {pad_value!r}",
                position=here(),
                help="give two tensors or two numbers; k.tiu.fill makes a tensor of a number",
            )
        attributes |= {"kzp_val": zero_point, "kzp_dtype": weight.dtype, "pad_val": pad_value}
        if insert_value is not None:
            attributes["insert_val"] = insert_value
        return self._emit(name, f"tpu_bdc_int8_asym_quant_{row}", operands, attributes, after)

    def _shifted(
        self,
        name: str,
        row: str,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None,
        around: dict[str, Attribute],
        right_shift: int,
        relu: bool,
        after: After,
    ) -> Token:
        self._need_dtype(name, "src", src, *BYTES)
        self._need_dtype(name, "weight", weight, *BYTES)
        if bias is None:  # the function has a type for it all the same, whose sign counts
            absent: dict[str, Attribute] = {"bias_dtype": i16 if src.dtype.is_signed or weight.dtype.is_signed else u16}
        else:
            self._need_dtype(name, "bias", bias, i16, u16)
            absent = {}
        attributes = {
            "output_c": weight.view.shape[0],
            "rshift": right_shift,
            "has_bias": bias is not None,
            "result_relu": relu,
        }
        operands = {"output": dst, "input": src, "weight": weight, "bias": bias}
        return self._emit(name, row, operands, attributes | around | absent, after)
