"""`k.dma`: the engine that moves tensors between system memory and local memory, destination first.

A tensor of the system with fewer than four dimensions counts as (n, c, h, w) like this: (c, h, w) with one n, (r, w) with the rows over the
channels, (c,) with one number per channel.
"""

from __future__ import annotations

from typing import Literal

from tpukernel.lang.errors import OperandTypeError
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
            dst: a buffer of any layout but WEIGHT, or a matrix.
            src: of the same shape.
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
        return self._emit(f"transpose_{axes}", f"tpu_gdma_cpy_{axes}_trans_{_places(dst, src)}", {"dst": dst, "src": src}, after=after)

    def broadcast(self, dst: Tile, src: Tensor, *, after: After = None) -> Token:
        """dst[n, c] = src[n, 0]: one channel, (n, 1, h, w), into each of up to 64 lanes."""
        where = "L2L" if isinstance(src, Tile) else "S2L"
        return self._emit("broadcast", f"tpu_gdma_channel_bcast_{where}", {"dst": dst, "src": src}, after=after)

    def _matrix(self, name: str, row: str, operands: dict[str, Tensor], matrix: Tile, rows: Global, after: After) -> Token:
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
