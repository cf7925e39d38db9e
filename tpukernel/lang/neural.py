"""Operations of the tensor unit on more than single elements: per channel, over windows, products of matrices."""

from __future__ import annotations

from typing import Literal

from tpukernel.lang.errors import OperandTypeError, ShapeMismatchError
from tpukernel.lang.expr import Expr, compare, negated, show
from tpukernel.lang.functions import FunctionOps
from tpukernel.lang.ir import Attribute
from tpukernel.lang.symbols import Size, SymBool, condition_of, expr_of, here
from tpukernel.lang.tensors import Tile
from tpukernel.lang.trace import After, Token

__all__ = ["NeuralOps", "Pair", "Padding"]

Pair = tuple[Size, Size]
"""Rows and columns."""
Padding = tuple[Size, Size, Size, Size]
"""Top, bottom, left, right."""
Axes = Literal["h", "w", "hw"]


def _sizes(values: tuple[Size, ...]) -> tuple[Expr, ...]:
    return tuple(expr_of(value) for value in values)


class NeuralOps(FunctionOps):
    """Per channel, windows, matrices."""

    # ------------------------------------------------------------------ one number per channel

    def scale(self, dst: Tile, src: Tile, scale: Tile, *, after: After = None) -> Token:
        """dst = src * scale; scale is (1, c, 1, 1) of layout COMPACT."""
        return self._emit("scale", "tpu_bdc_fp_scale", {"dst": dst, "src": src, "scale": scale}, after=after)

    def bias(self, dst: Tile, src: Tile, bias: Tile, *, after: After = None) -> Token:
        """dst = src + bias; bias is (1, c, 1, 1) of layout COMPACT."""
        return self._emit("bias", "tpu_bdc_fp_bias", {"dst": dst, "src": src, "bias": bias}, after=after)

    def scale_bias(self, dst: Tile, src: Tile, scale: Tile, bias: Tile, *, after: After = None) -> Token:
        """dst = src * scale + bias; scale and bias are (1, c, 1, 1) of layout COMPACT. The product is rounded before the sum."""
        operands = {"dst": dst, "src": src, "scale": scale, "bias": bias}
        return self._emit("scale_bias", "tpu_bdc_fp_scale_bias", operands, after=after)

    def prelu(self, dst: Tile, src: Tile, alpha: float, *, after: After = None) -> Token:
        """dst = src where it is above 0, else alpha * src."""
        return self._emit("prelu", "tpu_bdc_prelu", {"dst": dst, "src": src}, {"alpha": alpha}, after)

    # ------------------------------------------------------------------ windows

    def conv2d(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None = None,
        *,
        stride: Pair = (1, 1),
        padding: Padding = (0, 0, 0, 0),
        dilation: Pair = (1, 1),
        accumulate: SymBool | bool = False,
        after: After = None,
    ) -> Token:
        """dst = src convolved with weight, plus bias; floats.

        Args:
            dst: (n, oc, oh, ow), of the type of src or f32.
            src: (n, ic, h, w).
            weight: (oc, ic, kh, kw) of layout WEIGHT.
            bias: (1, oc, 1, 1) f32 of layout COMPACT.
            stride: rows and columns from one window to the next, 1 to 15.
            padding: zeros at top, bottom, left, right, 0 to 15.
            dilation: distance of neighbouring taps, 1 to 15.
            accumulate: add to what dst holds (f32).
            after: operations to wait for.
        """
        kernel = weight.view.shape[2:]
        attributes: dict[str, Attribute] = {
            "output_c": weight.view.shape[0],
            "kernel": kernel,
            "padding": _sizes(padding),
            "stride": _sizes(stride),
            "dilation": _sizes(dilation),
            "has_bias": bias is not None,
            "result_add": condition_of(accumulate),
        }
        operands = {"output": dst, "input": src, "weight": weight, "bias": bias}
        return self._emit("conv2d", "tpu_bdc_fp_conv2d", operands, attributes, after)

    def depthwise2d(
        self,
        dst: Tile,
        src: Tile,
        weight: Tile,
        bias: Tile | None = None,
        *,
        stride: Pair = (1, 1),
        padding: Padding = (0, 0, 0, 0),
        dilation: Pair = (1, 1),
        after: After = None,
    ) -> Token:
        """dst = each channel of src convolved with its own kernel, plus its bias; floats.

        weight is (1, c, kh, kw) and bias (1, c, 1, 1), both of layout COMPACT and of the type of src. The rest as in `conv2d`.
        """
        attributes: dict[str, Attribute] = {
            "kernel": weight.view.shape[2:],
            "padding": _sizes(padding),
            "stride": _sizes(stride),
            "dilation": _sizes(dilation),
            "has_bias": bias is not None,
        }
        operands = {"output": dst, "input": src, "weight": weight, "bias": bias}
        return self._emit("depthwise2d", "tpu_bdc_fp_depthwise2d", operands, attributes, after)

    def max_pool2d(
        self,
        dst: Tile,
        src: Tile,
        kernel: Pair,
        *,
        stride: Pair = (1, 1),
        padding: Padding = (0, 0, 0, 0),
        pad_value: float | None = None,
        after: After = None,
    ) -> Token:
        """dst = the largest element of each window; f32, f16, bf16, i8, u8. Padding is `pad_value`, by default the smallest number."""
        row = "tpu_bdc_fp_max_pool2d" if src.dtype.is_float else "tpu_bdc_int8_max_pool2d"
        smallest = float("-inf") if src.dtype.is_float else src.dtype.limits[0]
        extra: dict[str, Attribute] = {"pad_val": smallest if pad_value is None else pad_value}
        return self._pool("max_pool2d", row, dst, src, kernel, stride, padding, extra, after)

    def avg_pool2d(
        self,
        dst: Tile,
        src: Tile,
        kernel: Pair,
        scale: float,
        *,
        stride: Pair = (1, 1),
        padding: Padding = (0, 0, 0, 0),
        after: After = None,
    ) -> Token:
        """dst = the sum of element * scale over each window, floats, each step rounded; scale is 1 / taps for an average."""
        return self._pool("avg_pool2d", "tpu_bdc_fp_avg_pool2d", dst, src, kernel, stride, padding, {"scale": scale}, after)

    def reduce_sum(self, dst: Tile, src: Tile, axes: Axes = "w", *, scale: float = 1.0, after: After = None) -> Token:
        """dst = the sum of element * scale over h, w or both, floats; dst has size 1 there. Every step is rounded to the type.

        Over channels: transpose (`k.dma.transpose`, `cw_transpose`), so that they lie along w.
        """
        kernel = self._reduced("reduce_sum", dst, src, axes)
        return self._pool("reduce_sum", "tpu_bdc_fp_avg_pool2d", dst, src, kernel, (1, 1), (0, 0, 0, 0), {"scale": scale}, after)

    def reduce_max(self, dst: Tile, src: Tile, axes: Axes = "w", *, after: After = None) -> Token:
        """dst = the largest element over h, w or both; f32, f16, bf16, i8, u8. dst has size 1 there."""
        kernel = self._reduced("reduce_max", dst, src, axes)
        row = "tpu_bdc_fp_max_pool2d" if src.dtype.is_float else "tpu_bdc_int8_max_pool2d"
        return self._pool("reduce_max", row, dst, src, kernel, (1, 1), (0, 0, 0, 0), {"pad_val": 0}, after)

    def _reduced(self, name: str, dst: Tile, src: Tile, axes: Axes) -> Pair:
        """The window that covers the axes."""
        for axis, place in (("h", 2), ("w", 3)):
            if axis in axes and negated(compare("==", dst.view.shape[place], 1)) is not False:
                raise ShapeMismatchError(
                    f"tiu.{name} over {axes} makes one of {axis}, but dst is {dst!r}",
                    position=here(),
                    help=f"make it with size 1 in {axis}",
                )
        _, _, h, w = src.shape
        return (h if "h" in axes else 1, w if "w" in axes else 1)

    def _pool(
        self,
        name: str,
        row: str,
        dst: Tile,
        src: Tile,
        kernel: Pair,
        stride: Pair,
        padding: Padding,
        extra: dict[str, Attribute],
        after: After,
    ) -> Token:
        attributes: dict[str, Attribute] = {
            "kernel": _sizes(kernel),
            "padding": _sizes(padding),
            "stride": _sizes(stride),
            "dilation": (1, 1),
        }
        return self._emit(name, row, {"output": dst, "input": src}, attributes | extra, after)

    # ------------------------------------------------------------------ matrices

    def matmul(
        self,
        dst: Tile,
        left: Tile,
        right: Tile,
        bias: Tile | None = None,
        *,
        accumulate: SymBool | bool = False,
        transpose_left: bool = False,
        transpose_right: bool = False,
        after: After = None,
    ) -> Token:
        """dst = left @ right (+ bias), matrices made by `k.matrix`.

        f32: the columns lie over the lanes; left may be transposed, and `bias` is a matrix of one row. f16, bf16: the rows lie over the
        lanes; dst is of their type or f32 (made with `over_lanes="rows"`), right may be transposed.

        Args:
            dst: (rows, columns).
            left: (rows, depth), or (depth, rows) with `transpose_left`.
            right: (depth, columns), or (columns, depth) with `transpose_right`.
            bias: (1, columns), f32 only.
            accumulate: add to what dst holds; f32 results only.
            transpose_left: multiply the transpose of left, f32 only.
            transpose_right: multiply the transpose of right, f16 and bf16 only.
            after: operations to wait for.
        """
        for name, matrix in (("dst", dst), ("left", left), ("right", right)):
            if len(matrix.view.shape) != 2:
                raise ShapeMismatchError(f"{name} of tiu.matmul is {matrix!r}, no matrix", position=here(), help="make it with k.matrix")
        add = condition_of(accumulate)
        if left.local.cols_per_channel is not None:
            return self._rows_in_n(dst, left, right, bias, add, transpose_left, transpose_right, after)
        if bias is not None or transpose_left:
            raise OperandTypeError(
                "tiu.matmul of matrices with rows over the lanes has no bias and no transposed left side",
                position=here(),
                help="add the bias to the result; transpose with k.dma.transpose",
            )
        rows, depth = left.view.shape
        attributes: dict[str, Attribute] = {"left_rows": rows, "left_cols": depth}
        operands = {"output": dst, "left": left, "right": right}
        if transpose_right:
            if add is not False:
                raise OperandTypeError("tiu.matmul cannot accumulate with transpose_right", position=here(), help="transpose while loading")
            self._agree(dst, (rows, right.view.shape[0]), right, (right.view.shape[0], depth))
            attributes["right_rows"] = right.view.shape[0]
            return self._emit("matmul", "tpu_bdc_fp_mm_R_trans", operands, attributes, after)
        self._agree(dst, (rows, right.view.shape[1]), right, (depth, right.view.shape[1]))
        return self._emit("matmul", "tpu_bdc_fp_mm", operands, attributes | {"right_cols": right.view.shape[1], "result_add": add}, after)

    def _rows_in_n(
        self,
        dst: Tile,
        left: Tile,
        right: Tile,
        bias: Tile | None,
        add: Attribute,
        transpose_left: bool,
        transpose_right: bool,
        after: After,
    ) -> Token:
        if transpose_right:
            raise OperandTypeError("tiu.matmul has no transposed right side of f32", position=here(), help="transpose while loading")
        left_rows, left_cols = left.view.shape
        rows, depth = (left_cols, left_rows) if transpose_left else (left_rows, left_cols)
        self._agree(dst, (rows, right.view.shape[1]), right, (depth, right.view.shape[1]))
        attributes: dict[str, Attribute] = {
            "left_rows": left_rows,
            "left_cols": left_cols,
            "right_cols": right.view.shape[1],
            "left_cols_per_channel": left.local.cols_per_channel,
            "right_cols_per_channel": right.local.cols_per_channel,
            "has_bias": bias is not None,
            "result_add": add,
        }
        row = "tpu_bdc_fp32_mm_L_trans" if transpose_left else "tpu_bdc_fp32_mm"
        return self._emit("matmul", row, {"output": dst, "left": left, "right": right, "bias": bias}, attributes, after)

    def _agree(self, dst: Tile, dst_shape: tuple[Expr, Expr], right: Tile, right_shape: tuple[Expr, Expr]) -> None:
        """Sizes that are known to differ are refused here; the others when the kernel is elaborated."""
        for name, matrix, wanted in (("dst", dst, dst_shape), ("right", right, right_shape)):
            if any(compare("==", have, want) is False for have, want in zip(matrix.view.shape, wanted, strict=True)):
                told = " x ".join(show(size) for size in wanted)
                message = f"{name} of tiu.matmul is {matrix!r}, but has to be {told}"
                raise ShapeMismatchError(
                    message, position=here(), help="dst is (rows, columns), left (rows, depth), right (depth, columns)"
                )

    # ------------------------------------------------------------------ numbers

    def iota(self, dst: Tile, *, start: int = 0, step: int = 1, after: After = None) -> Token:
        """dst[0, c, 0, i] = start + i * step in every channel; dst is (1, c, 1, w) i32."""
        if len(dst.view.shape) != 4:
            raise ShapeMismatchError(f"dst of tiu.iota is {dst!r}, not (1, c, 1, w)", position=here(), help="make it with k.local")
        _, channels, _, width = dst.view.shape
        attributes: dict[str, Attribute] = {"npu_num": channels, "start": start, "step": step, "num": width}
        return self._emit("iota", "tpu_bdc_arithmetic_sequence_bcast", {"dst": dst}, attributes, after)
