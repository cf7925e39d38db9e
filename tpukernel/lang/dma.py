"""`k.dma`: the engine that moves tensors between system memory and local memory, destination first.

A tensor of the system with fewer than four dimensions counts as (n, c, h, w) like this: (c, h, w) with one n, (r, w) with the rows over the
channels, (c,) with one number per channel.
"""

from __future__ import annotations

from typing import Literal

from tpukernel.dtypes import u32
from tpukernel.lang.errors import LayoutMismatchError, OperandTypeError, ShapeMismatchError
from tpukernel.lang.expr import Expr, multiply
from tpukernel.lang.ir import Attribute
from tpukernel.lang.operations import Operations
from tpukernel.lang.symbols import here
from tpukernel.lang.tensors import Global, Tensor, Tile
from tpukernel.lang.trace import After, Token

__all__ = ["DmaOps"]


class DmaOps(Operations):
    """Copies between memories, with and without a change of the order of dimensions."""

    def load(self, dst: Tile, src: Global, *, fill: float | None = None, after: After = None) -> Token:
        """dst = src, from system memory, of one shape and data type.

        Args:
            dst: a buffer, or a matrix.
            src: of the same shape. For a buffer of layout WEIGHT also (oc, record), as `tpukernel.packed_weights` makes it: weights of
                16 and 8 bits in the usual order are moved element by element, which is slow.
            fill: put this number into the whole buffer first; a matrix needs it when its last channel is not full.
            after: operations to wait for.
        """
        if fill is not None:
            self.fill(dst, fill, after=after)
        if _is_matrix(dst):
            return self._matrix("load", "tpu_gdma_matrix_S2L", {"dst": dst, "src": src}, dst, src, after)
        return self._emit("load", "tpu_gdma_cpy_S2L", {"dst": dst, "src": src}, after=after)

    def store(self, dst: Global, src: Tile, *, after: After = None) -> Token:
        """dst = src, to system memory, of one shape and data type."""
        if _is_matrix(src):
            return self._matrix("store", "tpu_gdma_matrix_L2S", {"dst": dst, "src": src}, src, dst, after)
        return self._emit("store", "tpu_gdma_cpy_L2S", {"dst": dst, "src": src}, after=after)

    def copy(self, dst: Tensor, src: Tensor, *, after: After = None) -> Token:
        """dst = src between any two memories, of one shape and data type."""
        return self._emit("copy", f"tpu_gdma_cpy_{_places(dst, src)}", {"dst": dst, "src": src}, after=after)

    def fill(self, dst: Tensor, value: float, *, after: After = None) -> Token:
        """dst = value, in local or system memory."""
        where = "local" if isinstance(dst, Tile) else "system"
        return self._emit("fill", f"tpu_gdma_set_C_{where}", {"dst": dst}, {"C": value}, after)

    def transpose(self, dst: Tensor, src: Tensor, axes: Literal["nc", "cw"] = "nc", *, after: After = None) -> Token:
        """dst = src with n and c, or c and w, exchanged; between any two memories."""
        return self._emit("transpose", f"tpu_gdma_cpy_{axes}_trans_{_places(dst, src)}", {"dst": dst, "src": src}, after=after)

    def broadcast(self, dst: Tile, src: Tensor, *, after: After = None) -> Token:
        """dst[n, c] = src[n, 0]: one channel, (n, 1, h, w), into each of up to 64 lanes."""
        where = "L2L" if isinstance(src, Tile) else "S2L"
        return self._emit("broadcast", f"tpu_gdma_channel_bcast_{where}", {"dst": dst, "src": src}, after=after)

    def load_transposed(self, dst: Tile, src: Global, *, fill: float | None = None, after: After = None) -> Token:
        """dst = src transposed: src is (columns, rows) in system memory, dst a matrix (rows, columns) with the columns over the lanes.

        `fill` as of `load`.
        """
        if fill is not None:
            self.fill(dst, fill, after=after)
        return self._transposed("load_transposed", "tpu_gdma_matrix_trans_S2L", "dst", dst, src, after)

    def store_transposed(self, dst: Global, src: Tile, *, after: After = None) -> Token:
        """dst = src transposed: src is a matrix (rows, columns) with the columns over the lanes, dst (columns, rows) in system memory."""
        return self._transposed("store_transposed", "tpu_gdma_matrix_trans_L2S", "src", src, dst, after)

    # ------------------------------------------------------------------ by index and by mask

    def gather(self, dst: Tensor, param: Tensor, index: Tensor, *, missing: float = 0, after: After = None) -> Token:
        """dst[0, c, h] = param[0, c, index[0, c, h, 0]], lines of w elements; `missing` where the index is not below the lines of param.

        Args:
            dst: (1, c, h, w), in any memory; in local memory with the elements of a line side by side.
            param: (1, c, any, w), of the type of dst, in any memory.
            index: (1, c, h, 1) u32, in any memory.
            missing: number where an index is too large.
            after: operations to wait for.
        """
        self._need_dtype("gather", "index", index, u32)
        self._need_dtype("gather", "param", param, dst.dtype)
        attributes: dict[str, Attribute] = {
            "C": missing,
            "param_h": param.view.shape[2],
            "index_is_local": isinstance(index, Tile),
        }
        operands = {"output": dst, "param": param, "index": index}
        return self._emit("gather", f"tpu_gdma_h_gather_{_places(dst, param)}", operands, attributes, after)

    def scatter(self, dst: Tensor, param: Tensor, index: Tensor, *, after: After = None) -> Token:
        """dst[0, c, index[0, c, h, 0]] = param[0, c, h], lines of w elements, in the order of h; other lines stay as they are.

        dst is (1, c, any, w), param (1, c, h, w), index (1, c, h, 1) u32, each in any memory.
        """
        self._need_dtype("scatter", "index", index, u32)
        self._need_dtype("scatter", "param", param, dst.dtype)
        attributes: dict[str, Attribute] = {"param_h": param.view.shape[2], "index_is_local": isinstance(index, Tile)}
        operands = {"output": dst, "param": param, "index": index}
        return self._emit("scatter", f"tpu_gdma_h_scatter_{_places(dst, param)}", operands, attributes, after)

    def mask_select(self, dst: Global, src: Tensor, mask: Tensor, *, after: After = None) -> Token:
        """dst = the elements of src whose mask is not 0, in the order of (n, c, h, w), without gaps; what lies behind stays as it is.

        mask has the shape of src; dst is of the type of src and has room for all of it, in any shape. The number of elements is written
        nowhere. `k.dma.fill` what stays, if it is an output.
        """
        self._need_dtype("mask_select", "dst", dst, src.dtype)
        attributes: dict[str, Attribute] = {"mask_in_lmem": isinstance(mask, Tile)}
        row = f"tpu_gdma_mask_select_{_places(dst, src)}"
        return self._emit("mask_select", row, {"dst": dst, "src": src, "mask": mask}, attributes | self._of("src", src), after)

    def nonzero(self, dst: Global, src: Tensor, *, first: int = 0, after: After = None) -> Token:
        """dst = `first` plus the positions, in the order of (n, c, h, w), of the elements of src that are not 0; u32, without gaps.

        dst has room for all positions, in any shape; what lies behind stays as it is, and the number of them is written nowhere.
        """
        self._need_dtype("nonzero", "dst", dst, u32)
        attributes: dict[str, Attribute] = {"base_idx": first}
        return self._emit(
            "nonzero", f"tpu_gdma_nonzero_{_places(dst, src)}", {"dst": dst, "src": src}, attributes | self._of("src", src), after
        )

    # ------------------------------------------------------------------ parts

    def _of(self, operand: str, tensor: Tensor) -> dict[str, Attribute]:
        """The shape of a call whose result has another one."""
        if len(tensor.view.shape) != 4:
            raise ShapeMismatchError(f"{operand} is {tensor!r}", position=here(), help="give a tensor of four dimensions (n, c, h, w)")
        return {"shape": tensor.view.shape}

    def _transposed(self, name: str, row: str, place: str, matrix: Tile, system: Global, after: After) -> Token:
        if not _is_matrix(matrix):
            raise LayoutMismatchError(
                f"{place} of dma.{name} is {matrix!r}, no matrix with the columns over the lanes",
                position=here(),
                help='make it with k.matrix(rows, columns, dtype, over_lanes="columns")',
            )
        rows, columns = matrix.view.shape
        kept = self._two_dimensions(name, system)
        prefix, other = ("src", "dst") if place == "dst" else ("dst", "src")
        # The sizes of the call are those of its source.
        source = (columns, rows) if place == "dst" else (rows, columns)
        attributes: dict[str, Attribute] = {
            "src_rows": source[0],
            "src_cols": source[1],
            f"{other}_cols_per_channel": matrix.local.cols_per_channel,
            f"{prefix}_row_stride": self._row_stride(system, kept[0]),
        }
        return self._emit(name, row, {place: matrix, prefix: system}, attributes, after)

    def _two_dimensions(self, name: str, rows: Global) -> list[int]:
        """The dimensions of system memory that are the rows and columns of a matrix."""
        kept = [place for place, span in enumerate(rows.view.spans) if span.kept]
        if len(kept) != 2:
            raise OperandTypeError(
                f"dma.{name} of a matrix takes two dimensions of system memory, not {rows!r}",
                position=here(),
                help="index the other dimensions with numbers",
            )
        if kept[1] != len(rows.view.spans) - 1:
            raise OperandTypeError(
                f"dma.{name} of a matrix: the columns of {rows!r} do not lie one after the other",
                position=here(),
                help="take the last dimension as the columns",
            )
        return kept

    def _matrix(self, name: str, row: str, operands: dict[str, Tensor], matrix: Tile, rows: Global, after: After) -> Token:
        kept = self._two_dimensions(name, rows)
        attributes: dict[str, Attribute] = {
            "rows": matrix.view.shape[0],
            "cols": matrix.view.shape[1],
            "cols_per_channel": matrix.local.cols_per_channel,
            "row_stride": self._row_stride(rows, kept[0]),
        }
        return self._emit(name, row, operands, attributes, after)

    def _row_stride(self, tensor: Global, axis: int) -> Expr:
        """Elements from one row of a parameter to the next."""
        stride: Expr = 1
        for size in self._tracer.shapes[tensor.name][axis + 1 :]:
            stride = multiply(stride, size)
        return stride


def _is_matrix(tensor: Tensor) -> bool:
    return isinstance(tensor, Tile) and tensor.local.cols_per_channel is not None


def _places(dst: Tensor, src: Tensor) -> str:
    letters = ["L" if isinstance(each, Tile) else "S" for each in (src, dst)]
    return "2".join(letters)
