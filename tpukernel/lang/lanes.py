"""Operations of the tensor unit between the lanes, products of vectors with every pair of elements, and sequences of numbers."""

from __future__ import annotations

from typing import Literal

from tpukernel.dtypes import f32, i32, u32
from tpukernel.lang.errors import OperandTypeError, ShapeMismatchError
from tpukernel.lang.ir import Attribute
from tpukernel.lang.operations import Operations
from tpukernel.lang.symbols import here
from tpukernel.lang.tensors import Tile
from tpukernel.lang.trace import After, Token

__all__ = ["LaneOps", "OuterComparison", "OuterOp"]

OuterOp = Literal["add", "sub", "mul", "div", "max", "min", "and", "or", "xor"]
OuterComparison = Literal["greater", "greater_equal", "less", "less_equal", "equal", "not_equal"]


class LaneOps(Operations):
    """What crosses lanes."""

    def lane_broadcast(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = the one channel of src, (n, 1, h, w), in every channel."""
        return self._emit("lane_broadcast", "tpu_bdc_npu_bcast", {"dst": dst, "src": src}, after=after)

    def lane_copy(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = src, from any lane to any other; one channel at a time."""
        return self._emit("lane_copy", "tpu_bdc_cpy_cross_npu", {"dst": dst, "src": src}, after=after)

    def cw_transpose(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst[n, c, h, w] = src[n, w, h, c]; the layout of dst is LINE_ALIGNED."""
        return self._emit("cw_transpose", "tpu_bdc_cw_trans", {"dst": dst, "src": src}, after=after)

    def wc_transpose(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst[n, c, h, w] = src[n, w, h, c]; dst starts in lane 0."""
        return self._emit("wc_transpose", "tpu_bdc_wc_trans", {"dst": dst, "src": src}, after=after)

    def outer(self, op: OuterOp, dst: Tile, a: Tile, b: Tile, *, saturate: bool = True, after: After = None) -> Token:
        """dst[i, j] = a[i] op b[j], for every pair of elements of two vectors.

        Args:
            op: the operation; `div` is of f32. `and`, `or`, `xor` work on bits.
            dst: a matrix (length of a, length of b) with the columns over the lanes, as many per channel as b has. Floats: of the type of
                a and b. Integers: signed if a or b is, for `sub` in any case.
            a: a matrix (1, length) with the columns over the lanes.
            b: a matrix (1, length) with the columns over the lanes.
            saturate: limit sums, differences and products of integers to the range of dst instead of wrapping.
            after: operations to wait for.
        """
        attributes = self._vectors("outer", dst, a, b)
        operands = {"dst": dst, "src0": a, "src1": b}
        if op == "div":
            for name, matrix in (("dst", dst), ("a", a), ("b", b)):
                self._need_dtype("outer div", name, matrix, f32)
            return self._emit("outer", "tpu_bdc_fp32_vc_div", operands, attributes, after)
        if op in ("add", "sub", "mul") and not dst.dtype.is_float:
            return self._emit("outer", f"tpu_bdc_int_vc_{op}", operands, attributes | {"saturation": saturate}, after)
        prefix = "tpu_bdc_fp_vc" if op in ("add", "sub", "mul") else "tpu_bdc_vc"
        return self._emit("outer", f"{prefix}_{op}", operands, attributes, after)

    def outer_compare(self, op: OuterComparison, dst: Tile, a: Tile, b: Tile, *, value: float = 1, after: After = None) -> Token:
        """dst[i, j] = value where a[i] op b[j] holds, else 0; vectors and matrix as of `outer`."""
        attributes = self._vectors("outer_compare", dst, a, b) | {"true_val": value}
        return self._emit("outer_compare", f"tpu_bdc_vc_{op}", {"dst": dst, "src0": a, "src1": b}, attributes, after)

    # ------------------------------------------------------------------ numbers

    def iota(self, dst: Tile, *, start: int = 0, step: int = 1, after: After = None) -> Token:
        """dst[0, c, 0, i] = start + i * step in every channel; dst is (1, c, 1, w) i32."""
        if len(dst.view.shape) != 4:
            raise ShapeMismatchError(f"dst of tiu.iota is {dst!r}, not (1, c, 1, w)", position=here(), help="make it with k.local")
        _, channels, _, width = dst.view.shape
        attributes: dict[str, Attribute] = {"npu_num": channels, "start": start, "step": step, "num": width}
        self._need_dtype("iota", "dst", dst, i32, u32)
        return self._emit("iota", "tpu_bdc_arithmetic_sequence_bcast", {"dst": dst}, attributes, after)

    def channel_iota(self, dst: Tile, *, start: int = 0, step: int = 1, after: After = None) -> Token:
        """dst[0, c, 0, 0] = start + c * step; dst is (1, c, 1, 1) i32, of layout COMPACT or EU_ALIGNED."""
        if len(dst.view.shape) != 4:
            raise ShapeMismatchError(f"dst of tiu.channel_iota is {dst!r}, not (1, c, 1, 1)", position=here(), help="make it with k.local")
        self._need_dtype("channel_iota", "dst", dst, i32, u32)
        attributes: dict[str, Attribute] = {"start": start, "step": step, "num": dst.view.shape[1]}
        aligned = "_aligned" if dst.local.layout.name == "EU_ALIGNED" else ""
        return self._emit("channel_iota", f"tpu_bdc_arithmetic_sequence_distribute{aligned}", {"dst": dst}, attributes, after)

    # ------------------------------------------------------------------ parts

    def _vectors(self, name: str, dst: Tile, a: Tile, b: Tile) -> dict[str, Attribute]:
        for operand, matrix in (("dst", dst), ("a", a), ("b", b)):
            if matrix.local.cols_per_channel is None:
                raise OperandTypeError(
                    f"{operand} of tiu.{name} is {matrix!r}, no matrix with the columns over the lanes",
                    position=here(),
                    help=f'make it with k.matrix(rows, columns, {matrix.dtype.name}, over_lanes="columns")',
                )
        return {
            "src0_len": a.view.shape[1],
            "src1_len": b.view.shape[1],
            "src0_len_per_channel": a.local.cols_per_channel,
            "src1_len_per_channel": b.local.cols_per_channel,
        }
