"""Gather, scatter and select inside the lanes: one element per lane and cycle, or whole lines.

Indices are unsigned and count from 0; one that names no element stops the chip, unless `missing` says what happens where all of its bits
are set. Results and parameters are of one type and, where nothing else is said, of layout EU_ALIGNED.
"""

from __future__ import annotations

from typing import Literal

from tpukernel.dtypes import u8, u16, u32
from tpukernel.lang.expr import Expr
from tpukernel.lang.ir import Attribute
from tpukernel.lang.operations import Operations
from tpukernel.lang.tensors import Tensor, Tile
from tpukernel.lang.trace import After, Token

__all__ = ["GatherOps", "Missing"]

Missing = float | Literal["keep"] | None
"""Where all bits of an index are set: a number, what dst held before ("keep"), or an error (None)."""
UNSIGNED = (u8, u16, u32)


class GatherOps(Operations):
    """dst = elements of param that an index names, or the other way round."""

    # ------------------------------------------------------------------ one index for all channels

    def w_gather(self, dst: Tile, param: Tile, index: Tile, *, missing: Missing = None, after: After = None) -> Token:
        """dst[n, c, 0, i] = param[n, c, 0, index[i]]; dst is (n, c, 1, w), param (n, c, 1, any).

        index is (1, w, 1, 1) of layout COMPACT, u8 or u16: its elements lie over the lanes, from lane 0 on.
        """
        self._need_dtype("w_gather", "index", index, *UNSIGNED)
        attributes: dict[str, Attribute] = {"param_w": param.view.shape[3]}
        return self._by_index("w_gather", "w_gather", dst, param, index, attributes, missing, after)

    def w_scatter(self, dst: Tile, param: Tile, index: Tile, *, after: After = None) -> Token:
        """dst[n, c, 0, index[i]] = param[n, c, 0, i], in the order of i; other elements stay as they are.

        dst is (n, c, 1, any), param (n, c, 1, w); index as of `w_gather`.
        """
        self._need_dtype("w_scatter", "index", index, *UNSIGNED)
        attributes: dict[str, Attribute] = {"param_w": param.view.shape[3]}
        return self._by_index("w_scatter", "w_scatter", dst, param, index, attributes, None, after)

    def hw_gather(self, dst: Tile, param: Tile, index: Tile, *, missing: Missing = None, after: After = None) -> Token:
        """dst[n, c, 0, i] = param[n, c, index[i, 1], index[i, 0]]; dst is (n, c, 1, count), param (n, c, h, w).

        index is (1, count, 1, 2) u16 of layout COMPACT: column, then row.
        """
        self._need_dtype("hw_gather", "index", index, u16)
        return self._by_index("hw_gather", "hw_gather", dst, param, index, _height_and_width(param), missing, after)

    def hw_scatter(self, dst: Tile, param: Tile, index: Tile, *, after: After = None) -> Token:
        """dst[n, c, index[i, 1], index[i, 0]] = param[n, c, 0, i], in the order of i; other elements stay as they are.

        dst is (n, c, h, w), param (n, c, 1, count); index as of `hw_gather`.
        """
        self._need_dtype("hw_scatter", "index", index, u16)
        return self._by_index("hw_scatter", "hw_scatter", dst, param, index, _height_and_width(param), None, after)

    # ------------------------------------------------------------------ an index for every channel

    def batch_w_gather(
        self, dst: Tile, param: Tile, index: Tile, *, repeated: bool = False, missing: Missing = None, after: After = None
    ) -> Token:
        """dst[n, c, 0, i] = param[0, c, 0, index[n, c, 0, i]]; dst and index are (n, c, 1, w), param (1, c, 1, any).

        With `repeated` all channels share one line of param, of which every lane holds a copy: (1, c up to 64, 1, any), as
        `k.dma.broadcast` makes it.
        """
        self._need_dtype("batch_w_gather", "index", index, *UNSIGNED)
        attributes: dict[str, Attribute] = {"param_w": param.view.shape[3], "is_param_repeated": repeated}
        return self._by_index("batch_w_gather", "batch_bcast_w_gather", dst, param, index, attributes, missing, after)

    def batch_w_scatter(self, dst: Tile, param: Tile, index: Tile, *, repeated: bool = False, after: After = None) -> Token:
        """dst[n, c, 0, index[n, c, 0, i]] = param[0, c, 0, i], in the order of i; other elements stay as they are.

        dst is (n, c, 1, any), index (n, c, 1, w), param (1, c, 1, w); `repeated` as of `batch_w_gather`.
        """
        self._need_dtype("batch_w_scatter", "index", index, *UNSIGNED)
        attributes: dict[str, Attribute] = {"param_w": param.view.shape[3], "is_param_repeated": repeated}
        return self._by_index("batch_w_scatter", "batch_bcast_w_scatter", dst, param, index, attributes, None, after)

    def batch_h_gather(self, dst: Tile, param: Tile, index: Tile, *, repeated: bool = False, after: After = None) -> Token:
        """dst[n, c, h] = param[0, c, index[n, c, h, 0]], lines of w elements; dst is (n, c, h, w), param (1, c, any, w).

        dst and param have the layout LINE_ALIGNED; index is (n, c, h, 1). `repeated` as of `batch_w_gather`.

        An index must name a line: the official model stops at one with all bits set, also where a fill is given.
        """
        self._need_dtype("batch_h_gather", "index", index, *UNSIGNED)
        attributes: dict[str, Attribute] = {"param_h": param.view.shape[2], "is_param_repeated": repeated}
        return self._by_index("batch_h_gather", "batch_bcast_h_gather", dst, param, index, attributes, None, after)

    def batch_h_scatter(self, dst: Tile, param: Tile, index: Tile, *, repeated: bool = False, after: After = None) -> Token:
        """dst[n, c, index[n, c, h, 0]] = param[0, c, h], lines of w elements, in the order of h; other lines stay as they are.

        dst is (n, c, any, w), param (1, c, h, w), both of layout LINE_ALIGNED; index is (n, c, h, 1). `repeated` as of `batch_w_gather`.
        """
        self._need_dtype("batch_h_scatter", "index", index, *UNSIGNED)
        attributes: dict[str, Attribute] = {"param_h": param.view.shape[2], "is_param_repeated": repeated}
        return self._by_index("batch_h_scatter", "batch_bcast_h_scatter", dst, param, index, attributes, None, after)

    def mask_select(self, dst: Tile, count: Tile, param: Tile, mask: Tile, *, repeated: bool = False, after: After = None) -> Token:
        """dst[n, c, 0] starts with the elements of param[0, c, 0] whose mask[n, c, 0] is not 0, and count[n, c, 0, 0] is their number.

        dst and mask are (n, c, 1, w), param (1, c, 1, w), count (n, c, 1, 1) u16 of layout COMPACT. What lies behind stays as it is.
        `repeated` as of `batch_w_gather`.
        """
        self._need_dtype("mask_select", "count", count, u16)
        operands = {"output": dst, "count": count, "param": param, "mask": mask}
        attributes: dict[str, Attribute] = {"is_param_repeated": repeated}
        self._need_dtype("mask_select", "param", param, dst.dtype)
        return self._emit("mask_select", "tpu_bdc_batch_bcast_w_mask_select", operands, attributes, after)

    def lookup(self, dst: Tile, src: Tile, table: Tile, *, after: After = None) -> Token:
        """dst = table[src], elements of any shape; src is u8 or u16, and dst of its shape.

        table is (1, c up to 64, 1, length), of the type of dst: a line of which every lane holds a copy (`k.dma.broadcast`).
        """
        self._need_dtype("lookup", "src", src, u8, u16)
        self._need_dtype("lookup", "table", table, dst.dtype)
        attributes: dict[str, Attribute] = {"len": table.view.shape[3]}
        return self._emit("lookup", "tpu_bdc_table_lookup", {"dst": dst, "src": src, "table": table}, attributes, after)

    # ------------------------------------------------------------------ parts

    def _by_index(
        self, name: str, row: str, dst: Tile, param: Tile, index: Tile, attributes: dict[str, Attribute], missing: Missing, after: After
    ) -> Token:
        self._need_dtype(name, "param", param, dst.dtype)
        operands: dict[str, Tensor] = {"output": dst, "param": param, "index": index}
        if missing is None:
            return self._emit(name, f"tpu_bdc_{row}", operands, attributes, after)
        keep = missing == "keep"
        attributes |= {"fill_const": not keep, "C": 0 if missing == "keep" else missing}
        return self._emit(name, f"tpu_bdc_{row}_exception", operands, attributes, after)


def _height_and_width(param: Tile) -> dict[str, Attribute]:
    h: Expr = param.view.shape[2]
    return {"param_h": h, "param_w": param.view.shape[3]}
