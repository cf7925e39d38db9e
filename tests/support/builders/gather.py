"""Gather, scatter and select functions, and the table lookup."""

from __future__ import annotations

from tests.support.builders.common import Builder, Params, dims, dtype, number, numbered, scalar, tensor
from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, u16
from tpukernel.isa import Gather, GatherLine, GatherLineOp, GatherOp, Instruction, lane_table, share_bank

_SHARED = {
    GatherOp.BATCH_GATHER: GatherOp.BATCH_GATHER_SHARED,
    GatherOp.BATCH_SCATTER: GatherOp.BATCH_SCATTER_SHARED,
    GatherOp.MASK_SELECT: GatherOp.MASK_SELECT_SHARED,
}


def _form(op: GatherOp, *operands: LocalTensor) -> GatherOp:
    return _SHARED[op] if share_bank(BM1684X, *operands) else op


def _exception(params: Params, kind: Dtype) -> tuple[bool, Constant | None]:
    """(skip_invalid, fill)."""
    if "C" not in params:
        return False, None
    return True, scalar(params, "C", kind) if params["fill_const"] else None


def _one_index(op: GatherOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        n, c, h, w = dims(params)
        kind = dtype(params)
        param_w = number(params, "param_w")
        pairs = op in (GatherOp.GATHER_HW, GatherOp.SCATTER_HW)
        param: Dim4 = (n, c, number(params, "param_h") if pairs else 1, param_w)
        dst: Dim4 = (n, c, h, w)
        if op is GatherOp.GATHER_HW:
            dst = (n, c, 1, h * w)
        if op is GatherOp.SCATTER_HW:
            param = (n, c, 1, param[2] * param_w)
        count = dst[3] if op in (GatherOp.GATHER_W, GatherOp.GATHER_HW) else param[3]
        index_kind = u16 if pairs else dtype(params, "index_dtype")
        skip, fill = _exception(params, kind)
        instruction = Gather(
            op=op,
            dst=tensor(params, "output", dst, kind),
            src=tensor(params, "param", param, kind),
            index=tensor(params, "index", (1, count, 1, 2 if pairs else 1), index_kind, Layout.COMPACT),
            skip_invalid=skip,
            fill=fill,
        )
        return numbered(instruction)

    return build


def _param(params: Params, shape: Dim4, kind: Dtype, *, line_aligned: bool = False) -> LocalTensor:
    if params["is_param_repeated"]:
        return lane_table(BM1684X, number(params, "param_addr"), shape, kind, line_aligned=line_aligned)
    return tensor(params, "param", shape, kind, Layout.LINE_ALIGNED if line_aligned else Layout.EU_ALIGNED)


def _batch(op: GatherOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        n, c, _, w = shape = dims(params)
        kind = dtype(params)
        dst = tensor(params, "output", shape, kind)
        param = _param(params, (1, c, 1, number(params, "param_w")), kind)
        count = w if op is GatherOp.BATCH_GATHER else param.shape[3]
        index = tensor(params, "index", (n, c, 1, count), dtype(params, "index_dtype"))
        skip, fill = _exception(params, kind)
        return numbered(Gather(op=_form(op, dst, param, index), dst=dst, src=param, index=index, skip_invalid=skip, fill=fill))

    return build


def _mask_select(params: Params) -> list[Instruction]:
    n, c, _, w = shape = dims(params)
    kind = dtype(params)
    dst, param = tensor(params, "output", shape, kind), _param(params, (1, c, 1, w), kind)
    mask = tensor(params, "mask", shape, dtype(params, "mask_dtype"))
    count = tensor(params, "count", (n, c, 1, 1), u16, Layout.COMPACT)
    return numbered(Gather(op=_form(GatherOp.MASK_SELECT, dst, param, mask, count), dst=dst, src=param, mask=mask, count=count))


def _table_lookup(params: Params) -> list[Instruction]:
    n, c, h, w = dims(params)
    kind = dtype(params, "dst_dtype")
    dst = tensor(params, "dst", (n, c, 1, h * w), kind)
    index = tensor(params, "src", dst.shape, dtype(params, "src_dtype"))
    table = lane_table(BM1684X, number(params, "table_addr"), (1, c, 1, number(params, "len")), kind)
    return numbered(Gather(op=_form(GatherOp.BATCH_GATHER, dst, table, index), dst=dst, src=table, index=index))


def _lines(op: GatherLineOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        n, c, h, w = shape = dims(params)
        kind, lines = dtype(params), number(params, "param_h")
        count = h if op is GatherLineOp.GATHER else lines
        skip, fill = _exception(params, kind)
        instruction = GatherLine(
            op=op,
            dst=tensor(params, "output", shape, kind, Layout.LINE_ALIGNED),
            src=_param(params, (1, c, lines, w), kind, line_aligned=True),
            index=tensor(params, "index", (n, c, count, 1), dtype(params, "index_dtype")),
            skip_invalid=skip,
            fill=fill,
        )
        return numbered(instruction)

    return build


BUILDERS: dict[str, Builder] = {
    "tpu_bdc_w_gather": _one_index(GatherOp.GATHER_W),
    "tpu_bdc_w_gather_exception": _one_index(GatherOp.GATHER_W),
    "tpu_bdc_w_scatter": _one_index(GatherOp.SCATTER_W),
    "tpu_bdc_hw_gather": _one_index(GatherOp.GATHER_HW),
    "tpu_bdc_hw_gather_exception": _one_index(GatherOp.GATHER_HW),
    "tpu_bdc_hw_scatter": _one_index(GatherOp.SCATTER_HW),
    "tpu_bdc_batch_bcast_w_gather": _batch(GatherOp.BATCH_GATHER),
    "tpu_bdc_batch_bcast_w_gather_exception": _batch(GatherOp.BATCH_GATHER),
    "tpu_bdc_batch_bcast_w_scatter": _batch(GatherOp.BATCH_SCATTER),
    "tpu_bdc_batch_bcast_w_mask_select": _mask_select,
    "tpu_bdc_table_lookup": _table_lookup,
    "tpu_bdc_batch_bcast_h_gather": _lines(GatherLineOp.GATHER),
    "tpu_bdc_batch_bcast_h_gather_exception": _lines(GatherLineOp.GATHER),
    "tpu_bdc_batch_bcast_h_scatter": _lines(GatherLineOp.SCATTER),
}
