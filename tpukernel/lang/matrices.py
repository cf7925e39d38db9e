"""Products of matrices in the two layouts of `k.matrix`: rows over the lanes (instruction MM2) and columns over the lanes (MM)."""

from __future__ import annotations

from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.errors import LayoutMismatchError, OperandTypeError, ShapeMismatchError
from tpukernel.lang.expr import Expr, compare, show
from tpukernel.lang.ir import Attribute
from tpukernel.lang.operations import Operations
from tpukernel.lang.symbols import SymBool, condition_of, here
from tpukernel.lang.tensors import Tensor, Tile
from tpukernel.lang.trace import After, Token

__all__ = ["MatrixOps"]

Size2 = tuple[Expr, Expr]
INTEGERS = (i8, u8, i16, u16, i32, u32)


class MatrixOps(Operations):
    """dst (rows, columns) = left (rows, depth) @ right (depth, columns).

    With the rows over the lanes a matrix may also be a buffer (1, rows, 1, columns) of layout EU_ALIGNED. Cycles: rows over the lanes
    ceil(rows / 64) * ceil(columns / 4) * ceil(depth / 32), of 8 bits depth / 64; columns over the lanes
    rows * ceil(columns / columns per channel / 64) * depth.
    """

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
        """dst = left @ right (+ bias), matrices of floats made by `k.matrix`.

        f32: the columns lie over the lanes; left may be transposed, and `bias` is a matrix of one row. f16, bf16: the rows lie over the
        lanes; dst is of their type or f32 (made with `over_lanes="rows"`), right may be transposed.

        Args:
            dst: (rows, columns).
            left: (rows, depth), or (depth, rows) with `transpose_left`.
            right: (depth, columns), or (columns, depth) with `transpose_right`.
            bias: (1, columns), f32 only.
            accumulate: add to what dst holds; f32 results only, not with `transpose_right`.
            transpose_left: multiply the transpose of left, f32 only.
            transpose_right: multiply the transpose of right, f16 and bf16 only.
            after: operations to wait for.

        Raises:
            ShapeMismatchError, OperandTypeError, UnsupportedDtypeError, LayoutMismatchError: the matrices do not fit together.
        """
        add = condition_of(accumulate)
        if left.local.cols_per_channel is not None:
            if transpose_right:
                raise OperandTypeError("tiu.matmul has no transposed right side of f32", position=here(), help="transpose while loading")
            for name, matrix in (("dst", dst), ("left", left), ("right", right)):
                self._need_dtype("matmul with the columns over the lanes", name, matrix, f32)
            row = "tpu_bdc_fp32_mm_L_trans" if transpose_left else "tpu_bdc_fp32_mm"
            attributes = self._columns("matmul", dst, left, right, transpose_left)
            attributes |= {"has_bias": bias is not None, "result_add": add}
            return self._emit("matmul", row, {"output": dst, "left": left, "right": right, "bias": bias}, attributes, after)
        if bias is not None or transpose_left:
            raise OperandTypeError(
                "tiu.matmul of matrices with rows over the lanes has no bias and no transposed left side",
                position=here(),
                help="add the bias to the result; transpose with k.dma.transpose",
            )
        self._need_dtype("matmul with the rows over the lanes", "left", left, f16, bf16)
        self._need_dtype("matmul", "right", right, left.dtype)
        self._need_dtype("matmul", "dst", dst, left.dtype, f32)
        if add is not False:
            self._need_dtype("matmul with accumulate", "dst", dst, f32)
        attributes, adds = self._rows("matmul", dst, left, right, transpose_right, add)
        row = "tpu_bdc_fp_mm_R_trans" if transpose_right else "tpu_bdc_fp_mm"
        return self._emit("matmul", row, {"output": dst, "left": left, "right": right}, attributes | adds, after)

    # ------------------------------------------------------------------ integers

    def matmul_asym(
        self,
        dst: Tile,
        left: Tile,
        right: Tile,
        *,
        zero_point: Tile | int = 0,
        transpose_right: bool = False,
        accumulate: SymBool | bool = False,
        after: After = None,
    ) -> Token:
        """dst = left @ (right - zero_point), i32 from 8-bit integers, rows over the lanes.

        Args:
            dst: (rows, columns) i32, made with `over_lanes="rows"`.
            left: (rows, depth), i8 or u8.
            right: (depth, columns), i8 or u8; (columns, depth) with `transpose_right`.
            zero_point: a number of the type of right; or one for each column of dst, of the type of right: a line that every lane holds
                that has a row of right, (1, rows of right up to 64, 1, columns), as `k.dma.broadcast` makes it.
            transpose_right: multiply the transpose of right.
            accumulate: add to what dst holds; not with `transpose_right`.
            after: operations to wait for.
        """
        self._bytes("matmul_asym", dst, left, right)
        attributes, adds = self._rows("matmul_asym", dst, left, right, transpose_right, condition_of(accumulate))
        suffix = "_R_trans" if transpose_right else ""
        return self._zero_points("matmul_asym", suffix, dst, left, right, right.dtype, zero_point, attributes | adds, after)

    def matmul_asym_left(
        self,
        dst: Tile,
        left: Tile,
        right: Tile,
        *,
        zero_point: Tile | int = 0,
        accumulate: SymBool | bool = False,
        after: After = None,
    ) -> Token:
        """dst = (left - zero_point) @ right, i32 from 8-bit integers, rows over the lanes.

        Operands as of `matmul_asym`; zero_point is a number of the type of left, or (1, rows, 1, 1) of layout COMPACT: one for each row.
        """
        self._bytes("matmul_asym_left", dst, left, right)
        rows, depth = self._size("matmul_asym_left", "left", left)
        columns = self._size("matmul_asym_left", "right", right)[1]
        self._agree("matmul_asym_left", dst, (rows, columns), right, (depth, columns))
        attributes: dict[str, Attribute] = {
            "left_rows": depth,
            "left_cols": columns,
            "right_rows": rows,
            "result_add": condition_of(accumulate),
        }
        # The function computes right @ left, with the zero point of what it calls right.
        return self._zero_points("matmul_asym_left", "_all_trans", dst, right, left, left.dtype, zero_point, attributes, after)

    def matmul_sym(
        self,
        dst: Tile,
        left: Tile,
        right: Tile,
        bias: Tile | None = None,
        *,
        right_shift: int = 0,
        left_shift: int = 0,
        relu: bool = False,
        accumulate: SymBool | bool = False,
        transpose_left: bool = False,
        after: After = None,
    ) -> Token:
        """dst = (left @ right + bias) >> right_shift, 8-bit integers, columns over the lanes; rounded half up and saturated.

        Args:
            dst: (rows, columns) of 8 or 16 bits: signed when left, right or bias is, with `relu` always unsigned.
            left: (rows, depth), i8 or u8, or (depth, rows) with `transpose_left`. All matrices are made with `over_lanes="columns"`.
            right: (depth, columns), i8 or u8, with as many columns per channel as dst.
            bias: (1, columns), i16 or u16, with as many columns per channel as dst.
            right_shift: 0 to 255.
            left_shift: what dst holds is shifted so before `accumulate` adds it.
            relu: negative results become 0.
            accumulate: add 16-bit numbers at dst to the sum.
            transpose_left: multiply the transpose of left.
            after: operations to wait for.
        """
        self._need_dtype("matmul_sym", "left", left, i8, u8)
        self._need_dtype("matmul_sym", "right", right, i8, u8)
        signed = left.dtype.is_signed or right.dtype.is_signed or (bias is not None and bias.dtype.is_signed)
        self._need_dtype("matmul_sym", "dst", dst, *((i8, i16) if signed and not relu else (u8, u16)))
        attributes = self._columns("matmul_sym", dst, left, right, transpose_left)
        attributes |= {"lshift": left_shift, "rshift": right_shift, "result_relu": relu}
        attributes |= {"has_bias": bias is not None, "result_add": condition_of(accumulate)}
        if bias is None:
            attributes["bias_dtype"] = i16
        else:
            self._need_dtype("matmul_sym", "bias", bias, i16, u16)
        row = "tpu_bdc_int8_mm_L_trans" if transpose_left else "tpu_bdc_int8_mm"
        return self._emit("matmul_sym", row, {"output": dst, "left": left, "right": right, "bias": bias}, attributes, after)

    def matmul_int(
        self,
        dst: Tile,
        left: Tile,
        right: Tile,
        *,
        shift: Tile | int = 0,
        rounding: Rounding = Rounding.HALF_AWAY,
        transpose_left: bool = False,
        after: After = None,
    ) -> Token:
        """dst = (left @ right) << shift, integers of 8, 16 or 32 bits, columns over the lanes.

        A negative shift goes to the right and rounds.

        Args:
            dst: (rows, columns), i32 when left or right is signed, else u32; saturated.
            left: (rows, depth), or (depth, rows) with `transpose_left`. All matrices are made with `over_lanes="columns"`.
            right: (depth, columns), with as many columns per channel as dst.
            shift: a number, or (1, columns) i8 with as many columns per channel as dst. The chip shifts sums of 32-bit integers only.
            rounding: of shifts to the right.
            transpose_left: multiply the transpose of left.
            after: operations to wait for.
        """
        for name, matrix in (("left", left), ("right", right)):
            self._need_dtype("matmul_int", name, matrix, *INTEGERS)
        self._need_dtype("matmul_int", "dst", dst, i32 if left.dtype.is_signed or right.dtype.is_signed else u32)
        if (isinstance(shift, Tensor) or shift) and left.dtype.bits < 32:
            raise self._refuse("matmul_int", f"shifts sums of 32-bit integers only, not of {left!r}", "shift with k.tiu.arithmetic_shift")
        attributes = self._columns("matmul_int", dst, left, right, transpose_left) | {"rounding_mode": rounding}
        operands = {"output": dst, "left": left, "right": right}
        suffix = "_L_trans" if transpose_left else ""
        if isinstance(shift, Tensor):
            self._need_dtype("matmul_int", "shift", shift, i8)
            return self._emit("matmul_int", f"tpu_bdc_int_pcs_mm{suffix}", operands | {"shift": shift}, attributes, after)
        return self._emit("matmul_int", f"tpu_bdc_int_mm{suffix}", operands, attributes | {"shift": shift}, after)

    # ------------------------------------------------------------------ parts

    def _bytes(self, name: str, dst: Tile, left: Tile, right: Tile) -> None:
        self._need_dtype(name, "left", left, i8, u8)
        self._need_dtype(name, "right", right, i8, u8)
        self._need_dtype(name, "dst", dst, i32)

    def _zero_points(
        self,
        name: str,
        suffix: str,
        dst: Tile,
        left: Tile,
        right: Tile,
        dtype: Dtype,
        zero_point: Tile | int,
        attributes: dict[str, Attribute],
        after: After,
    ) -> Token:
        operands = {"output": dst, "left": left, "right": right}
        attributes |= {"right_zp_dtype": dtype}
        if isinstance(zero_point, Tensor):
            self._need_dtype(name, "zero_point", zero_point, dtype)
            return self._emit(name, f"tpu_bdc_int8_pc_zp_mm{suffix}", operands | {"zp": zero_point}, attributes, after)
        return self._emit(name, f"tpu_bdc_int8_zp_mm{suffix}", operands, attributes | {"zp_val": zero_point}, after)

    def _rows(
        self, name: str, dst: Tile, left: Tile, right: Tile, transpose_right: bool, add: Attribute
    ) -> tuple[dict[str, Attribute], dict[str, Attribute]]:
        """Sizes of matrices with the rows over the lanes; and whether to add, where the function has it."""
        rows, depth = self._size(name, "left", left)
        first, second = self._size(name, "right", right)
        columns = first if transpose_right else second
        self._agree(name, dst, (rows, columns), right, (columns, depth) if transpose_right else (depth, columns))
        attributes: dict[str, Attribute] = {"left_rows": rows, "left_cols": depth}
        if not transpose_right:
            return attributes | {"right_cols": columns}, {"result_add": add}
        if add is not False:
            raise OperandTypeError(f"tiu.{name} cannot accumulate with transpose_right", position=here(), help="transpose while loading")
        return attributes | {"right_rows": columns}, {}

    def _columns(self, name: str, dst: Tile, left: Tile, right: Tile, transpose_left: bool) -> dict[str, Attribute]:
        """Sizes of matrices with the columns over the lanes."""
        for operand, matrix in (("dst", dst), ("left", left), ("right", right)):
            if matrix.local.cols_per_channel is None:
                raise LayoutMismatchError(
                    f"{operand} of tiu.{name} is {matrix!r}, whose rows lie over the lanes, but the columns have to",
                    position=here(),
                    help=f'make it with k.matrix(rows, columns, {matrix.dtype.name}, over_lanes="columns")',
                )
        mine, wanted = dst.local.cols_per_channel, right.local.cols_per_channel
        if mine is not None and wanted is not None and compare("==", mine, wanted) is False:
            raise LayoutMismatchError(
                f"dst of tiu.{name} has {show(mine)} columns per channel, but right {show(wanted)}",
                position=here(),
                help=f"make both with columns_per_channel={show(mine)}",
            )
        left_rows, left_cols = left.view.shape
        rows, depth = (left_cols, left_rows) if transpose_left else (left_rows, left_cols)
        columns = right.view.shape[1]
        self._agree(name, dst, (rows, columns), right, (depth, columns))
        return {
            "left_rows": left_rows,
            "left_cols": left_cols,
            "right_cols": columns,
            "left_cols_per_channel": left.local.cols_per_channel,
            "right_cols_per_channel": wanted,
        }

    def _size(self, name: str, operand: str, matrix: Tile) -> Size2:
        """Rows and columns of a matrix with the rows over the lanes."""
        shape = matrix.view.shape
        if matrix.local.cols_per_channel is not None:
            raise LayoutMismatchError(
                f"{operand} of tiu.{name} is {matrix!r}, whose columns lie over the lanes, but the rows have to",
                position=here(),
                help=f'make it with k.matrix(rows, columns, {matrix.dtype.name}, over_lanes="rows")',
            )
        if len(shape) == 2:
            return shape[0], shape[1]
        if len(shape) == 4 and compare("==", shape[0], 1) is True:
            if compare("==", shape[2], 1) is True:
                return shape[1], shape[3]
            if shape == matrix.local.shape and isinstance(shape[2], int) and isinstance(shape[3], int):  # the rows of a lane lie together
                return shape[1], shape[2] * shape[3]
        raise ShapeMismatchError(
            f"{operand} of tiu.{name} is {matrix!r}, no matrix",
            position=here(),
            help="make it with k.matrix, or as (1, rows, 1, columns), or a whole buffer (1, rows, h, w) of h * w columns",
        )

    def _agree(self, name: str, dst: Tile, dst_shape: Size2, right: Tile, right_shape: Size2) -> None:
        """Sizes that are known to differ are refused here; the others when the kernel is elaborated."""
        for operand, matrix, wanted in (("dst", dst, dst_shape), ("right", right, right_shape)):
            shape = matrix.view.shape if matrix.local.cols_per_channel is not None else self._size(name, operand, matrix)
            if any(compare("==", have, want) is False for have, want in zip(shape, wanted, strict=True)):
                told = " x ".join(show(size) for size in wanted)
                message = f"{operand} of tiu.{name} is {matrix!r}, but has to be {told}"
                raise ShapeMismatchError(
                    message, position=here(), help="dst is (rows, columns), left (rows, depth), right (depth, columns)"
                )
