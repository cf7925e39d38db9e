"""Windows over each channel on its own: depthwise convolutions, pooling, reductions over h and w."""

from __future__ import annotations

from typing import Literal

from tpukernel.dtypes import i8, i32, u8, u16, u32
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.errors import ShapeMismatchError
from tpukernel.lang.expr import compare, negated
from tpukernel.lang.ir import Attribute
from tpukernel.lang.operations import Operations
from tpukernel.lang.symbols import here
from tpukernel.lang.tensors import Tensor, Tile
from tpukernel.lang.trace import After, Token
from tpukernel.lang.windows import NONE, ONCE, UNPADDED, Padding, Pair, sizes, taps, window

__all__ = ["Axes", "PoolingOps"]

Axes = Literal["h", "w", "hw"]


class PoolingOps(Operations):
    """dst (n, c, oh, ow) = what the windows of each channel of src (n, c, h, w) come to.

    oh is (h + padding - (kh - 1) * dilation - 1) // stride + 1, likewise ow; dst has exactly this shape. Padding is 0 to 15, stride and
    dilation are 1 to 15, insert is 0 to 14. The cost is one cycle for each tap, lane and EU, three if both strides are above 1.
    """

    # ------------------------------------------------------------------ depthwise convolutions

    def depthwise2d(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None = None,
        *,
        stride: Pair = ONCE,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        insert: Pair = NONE,
        after: After = None,
    ) -> Token:
        """dst = each channel of src convolved with its own kernel, plus its bias; floats. Each product and each sum is rounded to the type.

        weight is (1, c, kh, kw) and bias (1, c, 1, 1), both of layout COMPACT and of the type of src; padding is 0. `insert` zeros come
        between neighbours of src first.
        """
        attributes: dict[str, Attribute] = {"has_bias": bias is not None}
        operands = {"output": dst, "input": src, "weight": weight, "bias": bias}
        if insert == NONE:
            attributes |= window(taps(weight), padding, dilation, stride=stride)
            return self._emit("depthwise2d", "tpu_bdc_fp_depthwise2d", operands, attributes, after)
        attributes |= window(taps(weight), padding, dilation, stride=stride, insert=insert, insert_name="ins")
        return self._emit("depthwise2d", "tpu_bdc_fp_ins_depthwise", operands, attributes, after)

    def depthwise_deconv2d(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None = None,
        *,
        insert: Pair,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        after: After = None,
    ) -> Token:
        """dst = each channel of src with `insert` zeros inserted, convolved with its kernel rotated by 180 degrees, plus its bias.

        Operands as of `depthwise2d`.
        """
        attributes: dict[str, Attribute] = {"has_bias": bias is not None, "kernel_is_const": False}
        attributes |= window(taps(weight), padding, dilation, insert=insert)
        self._need_dtype("depthwise_deconv2d", "weight", weight, src.dtype)
        self._need_dtype("depthwise_deconv2d", "dst", dst, src.dtype)
        operands = {"output": dst, "input": src, "weight": weight, "bias": bias}
        return self._emit("depthwise_deconv2d", "tpu_bdc_fp_depthwise_for_deconv2d", operands, attributes, after)

    def depthwise2d_int(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile | int,
        bias: Tile | None = None,
        *,
        kernel: Pair | None = None,
        right_shift: int = 0,
        relu: bool = False,
        rounding: Rounding = Rounding.HALF_UP,
        pad_value: Tile | int = 0,
        stride: Pair = ONCE,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        after: After = None,
    ) -> Token:
        """dst = (each channel of src convolved with its own kernel, plus its bias) >> right_shift; 8-bit integers, saturated.

        Args:
            dst: (n, c, oh, ow) of 8, 16 or 32 bits: signed when src, weight or bias is, with `relu` always unsigned.
            src: (n, c, h, w), i8 or u8.
            weight: (1, c, kh, kw) of layout COMPACT, i8 or u8; or an i8 number for all taps, with `kernel`.
            bias: (1, c, 1, 1), i32 or u32, of layout COMPACT.
            kernel: rows and columns of the kernel, where weight is a number.
            right_shift: 0 to 31.
            relu: negative results become 0.
            rounding: of the shift.
            pad_value: a number of the type of src, or (1, c, 1, 2) of layout COMPACT: a pair (pad value, unused) per channel.
            stride: rows and columns from one window to the next, 1 to 15.
            padding: rows at top and bottom, columns at left and right, 0 to 15.
            dilation: distance of neighbouring taps, 1 to 15.
            after: operations to wait for.
        """
        around = window(taps(weight) if isinstance(weight, Tensor) else kernel or ONCE, padding, dilation, stride=stride)
        return self._integer_depthwise(
            "depthwise2d_int", "depthwise2d", dst, src, weight, bias, pad_value, around, right_shift, relu, rounding, after
        )

    def depthwise_deconv2d_int(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None = None,
        *,
        insert: Pair,
        right_shift: int = 0,
        relu: bool = False,
        rounding: Rounding = Rounding.HALF_UP,
        pad_value: Tile | int = 0,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        after: After = None,
    ) -> Token:
        """dst = (each channel of src with elements inserted, convolved with its rotated kernel, plus its bias) >> right_shift.

        The kernel is rotated by 180 degrees. Operands as of `depthwise2d_int`.
        The inserted elements are 0, or the second of each pair in a tensor `pad_value`.
        """
        around = window(taps(weight), padding, dilation, insert=insert)
        row = "depthwise_for_deconv2d"
        return self._integer_depthwise(
            "depthwise_deconv2d_int", row, dst, src, weight, bias, pad_value, around, right_shift, relu, rounding, after
        )

    # ------------------------------------------------------------------ pooling

    def max_pool2d(
        self,
        dst: Tile,
        src: Tile,
        kernel: Pair,
        *,
        stride: Pair = ONCE,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        pad_value: float | None = None,
        after: After = None,
    ) -> Token:
        """dst = the largest element of each window; f32, f16, bf16, i8, u8. Padding is `pad_value`, by default the smallest number.

        Floats: a window without an element above it comes to the smallest finite number, not to -inf.
        """
        smallest = float("-inf") if src.dtype.is_float else src.dtype.limits[0]
        attributes = {"pad_val": smallest if pad_value is None else pad_value} | window(kernel, padding, dilation, stride=stride)
        return self._emit("max_pool2d", _max_row(src), {"output": dst, "input": src}, attributes, after)

    def avg_pool2d(
        self,
        dst: Tile,
        src: Tile,
        kernel: Pair,
        scale: float,
        *,
        stride: Pair = ONCE,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        insert: Pair = NONE,
        after: After = None,
    ) -> Token:
        """dst = the sum of element * scale over each window, floats, each step rounded; scale is 1 / taps for an average.

        Padding is 0. `insert` zeros come between neighbours of src first.
        """
        attributes: dict[str, Attribute] = {"scale": scale}
        operands = {"output": dst, "input": src}
        if insert == NONE:
            attributes |= window(kernel, padding, dilation, stride=stride)
            return self._emit("avg_pool2d", "tpu_bdc_fp_avg_pool2d", operands, attributes, after)
        attributes |= window(kernel, padding, dilation, stride=stride, insert=insert, insert_name="ins")
        return self._emit("avg_pool2d", "tpu_bdc_fp_ins_avg_pool2d", operands, attributes, after)

    def avg_pool2d_int(
        self,
        dst: Tile,
        src: Tile,
        kernel: Pair,
        scale: int = 1,
        *,
        right_shift: int = 0,
        stride: Pair = ONCE,
        padding: Padding = UNPADDED,
        dilation: Pair = ONCE,
        insert: Pair = NONE,
        after: After = None,
    ) -> Token:
        """dst = (scale * the sum over each window) >> right_shift, rounded half up and saturated; padding and inserted elements are 0.

        Args:
            dst: (n, c, oh, ow) of 8, 16 or 32 bits, signed as src is.
            src: (n, c, h, w), i8 or u8.
            kernel: rows and columns of the window.
            scale: 0 to 255.
            right_shift: 0 to 31.
            stride: rows and columns from one window to the next, 1 to 15.
            padding: rows at top and bottom, columns at left and right, 0 to 15.
            dilation: distance of neighbouring taps, 1 to 15.
            insert: zeros between neighbours of src, 0 to 14.
            after: operations to wait for.
        """
        attributes: dict[str, Attribute] = {"scale": scale, "rshift": right_shift}
        operands = {"output": dst, "input": src}
        self._need_dtype("avg_pool2d_int", "src", src, i8, u8)
        if insert == NONE:
            attributes |= window(kernel, padding, dilation, stride=stride)
            return self._emit("avg_pool2d_int", "tpu_bdc_int8_avg_pool2d", operands, attributes, after)
        attributes |= window(kernel, padding, dilation, stride=stride, insert=insert, insert_name="ins")
        return self._emit("avg_pool2d_int", "tpu_bdc_int8_ins_avg_pool2d", operands, attributes, after)

    # ------------------------------------------------------------------ regions of interest

    def roi_max_pool2d(self, dst: Tile, src: Tile, regions: Tile, kernel: Pair, outside: float, *, after: After = None) -> Token:
        """dst = the largest element of the window at each region, where elements outside the region count as `outside`.

        Args:
            dst: (n, c, 1, count), of the type of src.
            src: (n, c, h, w); f32, f16, bf16, i8 or u8.
            regions: (1, count, 1, 4) u16 of layout COMPACT: x and y of the first and of the last element of each region. The window starts
                at the first one.
            kernel: rows and columns of the window.
            outside: what elements outside of the region count as.
            after: operations to wait for.
        """
        row = "tpu_bdc_fp_roi_max_pool2d" if src.dtype.is_float else "tpu_bdc_int8_roi_max_pool2d"
        attributes: dict[str, Attribute] = {"except_val": outside}
        return self._regions("roi_max_pool2d", row, dst, src, regions, kernel, attributes, after)

    def roi_avg_pool2d(
        self, dst: Tile, src: Tile, regions: Tile, kernel: Pair, scale: float, outside: float = 0, *, after: After = None
    ) -> Token:
        """dst = the sum of element * scale over the window at each region; operands as of `roi_max_pool2d`.

        Of i8 and u8 the scale is 0 to 255, and dst has 16 bits, signed as src is.
        """
        row = "tpu_bdc_fp_roi_avg_pool2d" if src.dtype.is_float else "tpu_bdc_int8_roi_avg_pool2d"
        attributes: dict[str, Attribute] = {"except_val": outside, "scale": scale}
        return self._regions("roi_avg_pool2d", row, dst, src, regions, kernel, attributes, after)

    # ------------------------------------------------------------------ reductions

    def reduce_sum(self, dst: Tile, src: Tile, axes: Axes = "w", *, scale: float = 1.0, after: After = None) -> Token:
        """dst = the sum of element * scale over h, w or both, floats; dst has size 1 there. Every step is rounded to the type.

        i8 and u8: dst is i32 or u32, and the scale 1. Over channels: transpose (`k.dma.transpose`, `cw_transpose`), so that they lie along
        w. The cost is one cycle per lane for each 64 bytes of a row of dst and each element that is added.
        """
        around = window(self._reduced("reduce_sum", dst, src, axes), UNPADDED, ONCE, stride=ONCE)
        operands = {"output": dst, "input": src}
        if src.dtype.is_float:
            return self._emit("reduce_sum", "tpu_bdc_fp_avg_pool2d", operands, {"scale": scale} | around, after)
        self._need_dtype("reduce_sum of integers", "src", src, i8, u8)
        self._need_dtype("reduce_sum of integers", "dst", dst, i32, u32)
        if scale != 1:
            raise self._refuse("reduce_sum", f"has no scale for integers, and src is {src!r}", "use k.tiu.requant_int behind it")
        return self._emit("reduce_sum", "tpu_bdc_int8_avg_pool2d", operands, {"scale": 1, "rshift": 0} | around, after)

    def reduce_max(self, dst: Tile, src: Tile, axes: Axes = "w", *, after: After = None) -> Token:
        """dst = the largest element over h, w or both; f32, f16, bf16, i8, u8. dst has size 1 there.

        No result is -inf, as in `max_pool2d`.
        """
        around = window(self._reduced("reduce_max", dst, src, axes), UNPADDED, ONCE, stride=ONCE)
        return self._emit("reduce_max", _max_row(src), {"output": dst, "input": src}, {"pad_val": 0} | around, after)

    # ------------------------------------------------------------------ parts

    def _reduced(self, name: str, dst: Tile, src: Tile, axes: Axes) -> Pair:
        """The window that covers the axes."""
        for tensor in (dst, src):
            if len(tensor.view.shape) != 4:
                raise ShapeMismatchError(f"tiu.{name} works on (n, c, h, w), not on {tensor!r}", position=here(), help="use k.local")
        for axis, place in (("h", 2), ("w", 3)):
            if axis in axes and negated(compare("==", dst.view.shape[place], 1)) is not False:
                raise ShapeMismatchError(
                    f"tiu.{name} over {axes} makes one of {axis}, but dst is {dst!r}",
                    position=here(),
                    help=f"make it with size 1 in {axis}",
                )
        _, _, h, w = src.shape
        return (h if "h" in axes else 1, w if "w" in axes else 1)

    def _integer_depthwise(
        self,
        name: str,
        row: str,
        dst: Tile,
        src: Tile,
        weight: Tile | int,
        bias: Tile | None,
        pad_value: Tile | int,
        around: dict[str, Attribute],
        right_shift: int,
        relu: bool,
        rounding: Rounding,
        after: After,
    ) -> Token:
        self._need_dtype(name, "src", src, i8, u8)
        attributes: dict[str, Attribute] = {
            "rshift": right_shift,
            "has_bias": bias is not None,
            "result_relu": relu,
            "rounding_mode": rounding,
        }
        if bias is None:
            attributes["bias_dtype"] = i32
        else:
            self._need_dtype(name, "bias", bias, i32, u32)
        operands = {"output": dst, "input": src, "bias": bias}
        if isinstance(weight, Tensor):
            self._need_dtype(name, "weight", weight, i8, u8)
            operands["weight"] = weight
        else:
            row += "_kernel_const"
            attributes |= {"C": weight, "weight_dtype": i8}
        if isinstance(pad_value, Tensor):
            if not isinstance(weight, Tensor):
                raise self._refuse(name, "has no padding per channel with a number for the kernel", "make a weight tensor with k.tiu.fill")
            self._need_dtype(name, "pad_value", pad_value, src.dtype)
            operands["pad"] = pad_value
            return self._emit(name, f"tpu_bdc_int8_pc_pad_{row}", operands, attributes | around, after)
        return self._emit(name, f"tpu_bdc_int8_{row}", operands, attributes | {"pad_val": pad_value} | around, after)

    def _regions(
        self, name: str, row: str, dst: Tile, src: Tile, regions: Tile, kernel: Pair, extra: dict[str, Attribute], after: After
    ) -> Token:
        self._need_dtype(name, "regions", regions, u16)
        attributes = {"kernel": sizes(kernel), "output_w": dst.view.shape[3]} | extra
        return self._emit(name, row, {"output": dst, "input": src, "roi": regions}, attributes, after)


def _max_row(src: Tile) -> str:
    return "tpu_bdc_fp_max_pool2d" if src.dtype.is_float else "tpu_bdc_int8_max_pool2d"
