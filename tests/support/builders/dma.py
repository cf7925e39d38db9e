"""Copies, transposes, gathers and the like by the DMA engine.

The last letters of a function say where its operands are: `S2L` copies from system to local memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.support.builders.common import Builder, Params, dims, dtype, number, numbered, scalar
from tpukernel import BM1684X
from tpukernel.chips.layout import aligned_strides, compact_strides, continuous_strides, start_lane
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.dtypes import Dtype, u32
from tpukernel.isa import (
    DmaCwTranspose,
    DmaGather,
    DmaGeneral,
    DmaMaskedSelect,
    DmaMatrix,
    DmaMatrixOp,
    DmaNonzero,
    DmaScatter,
    DmaTensor,
    DmaTensorOp,
    Instruction,
)
from tpukernel.isa.format import Bits

Memory = LocalTensor | SystemTensor
Strides = Callable[[int, Dim4, Dtype], Dim4]
"""The strides that a function writes for a local operand without strides, from its address, shape and type."""

DIRECTIONS = ("S2L", "L2S", "L2L", "S2S")
LOCAL_BASE = BM1684X.regions["lmem"].base


def _eu_aligned(address: int, shape: Dim4, kind: Dtype) -> Dim4:
    return aligned_strides(BM1684X, shape, kind, start=start_lane(BM1684X, address))


def _eu_aligned_from_lane_0(address: int, shape: Dim4, kind: Dtype) -> Dim4:
    """The n stride leaves out the start lane."""
    return aligned_strides(BM1684X, shape, kind)


def _compact(address: int, shape: Dim4, kind: Dtype) -> Dim4:
    return compact_strides(BM1684X, shape, start=start_lane(BM1684X, address))


def _is_local(direction: str, name: str) -> bool:
    """`dst` of "S2L" is local, `src` is not."""
    return direction[2 if name in ("dst", "output") else 0] == "L"


def _memory(address: int, local: bool, shape: Dim4, kind: Dtype, strides: Dim4 | None) -> Memory:
    if not local:
        return SystemTensor(address, shape, kind, strides)
    return LocalTensor(address, shape, kind, Layout.FREE if strides else Layout.EU_ALIGNED, strides)


def _plain(params: Params, name: str, local: bool, shape: Dim4, kind: Dtype) -> Memory:
    """An operand without strides."""
    return _memory(number(params, f"{name}_addr"), local, shape, kind, None)


def _operand(params: Params, name: str, local: bool, shape: Dim4, kind: Dtype, default: Strides = _eu_aligned) -> Memory:
    """An operand with the strides of the call, or with those that the function writes instead."""
    address = number(params, f"{name}_addr")
    if params.get(f"{name}_stride") is not None:
        strides = dims(params, f"{name}_stride")
    else:
        strides = default(address, shape, kind) if local else continuous_strides(shape)
    return _memory(address, local, shape, kind, strides)


def _strided(params: Params, *names: str) -> bool:
    return any(params[f"{name}_stride"] is not None for name in names)


# ---------------------------------------------------------------------------- copies of tensors


def _copy(direction: str) -> Builder:
    one_shape = direction in ("S2L", "L2S")
    default = _eu_aligned_from_lane_0 if one_shape else _eu_aligned

    def build(params: Params) -> list[Instruction]:
        dst, src = (_operand(params, name, _is_local(direction, name), dims(params), dtype(params), default) for name in ("dst", "src"))
        return numbered(DmaTensor(dst=dst, src=src, one_shape=one_shape))

    return build


def _general_copy(direction: str) -> Builder:
    def build(params: Params) -> list[Instruction]:
        dst, src = (
            _operand(params, name, _is_local(direction, name), dims(params, f"{name}_shape"), dtype(params)) for name in ("dst", "src")
        )
        return numbered(DmaTensor(dst=dst, src=src))

    return build


def _nc_swapped(shape: Dim4) -> Dim4:
    n, c, h, w = shape
    return c, n, h, w


def _nc_transpose(direction: str) -> Builder:
    one_shape = direction in ("S2L", "L2S")

    def build(params: Params) -> list[Instruction]:
        kind, shape = dtype(params), dims(params, "dst_shape")
        operand = _operand if _strided(params, "dst", "src") or not one_shape else _plain
        dst = operand(params, "dst", _is_local(direction, "dst"), shape, kind)
        src = operand(params, "src", _is_local(direction, "src"), _nc_swapped(shape), kind)
        return numbered(DmaTensor(op=DmaTensorOp.TRANSPOSE, dst=dst, src=src, one_shape=one_shape))

    return build


def _compact_copy(direction: str, op: DmaTensorOp) -> Builder:
    def build(params: Params) -> list[Instruction]:
        kind, transposed = dtype(params), op is DmaTensorOp.TRANSPOSE
        shape = dims(params, "dst_shape" if transposed else "shape")
        dst = _operand(params, "dst", _is_local(direction, "dst"), shape, kind, _compact)
        src = _operand(params, "src", _is_local(direction, "src"), _nc_swapped(shape) if transposed else shape, kind, _compact)
        return numbered(DmaTensor(op=op, dst=dst, src=src, one_shape=True))

    return build


def _channel_broadcast(direction: str) -> Builder:
    def build(params: Params) -> list[Instruction]:
        kind, (n, c, h, w) = dtype(params), dims(params)
        operand = _broadcast_operand if _strided(params, "dst", "src") else _plain
        dst = operand(params, "dst", True, (n, c, h, w), kind)
        src = operand(params, "src", _is_local(direction, "src"), (n, 1, h, w), kind)
        return numbered(DmaTensor(op=DmaTensorOp.BROADCAST, dst=dst, src=src))

    return build


def _broadcast_operand(params: Params, name: str, local: bool, shape: Dim4, kind: Dtype) -> Memory:
    """The command has no strides of c and w."""
    whole = _operand(params, name, local, shape, kind)
    n, _, h, _ = whole.strides or (0, 0, 0, 0)
    return _memory(whole.address, local, shape, kind, (n, 0, h, 1))


def _fill_local(params: Params) -> list[Instruction]:
    kind = dtype(params)
    return numbered(DmaTensor(dst=_operand(params, "dst", True, dims(params), kind, _eu_aligned_from_lane_0), src=_filling(params, kind)))


def _fill_system(params: Params) -> list[Instruction]:
    """The library leaves the n and c stride in the source address, which the command does not read."""
    kind = dtype(params)
    dst = _operand(params, "dst", False, dims(params), kind)
    [fill] = numbered(DmaTensor(dst=dst, src=_filling(params, kind)))
    bits = fill.encoded(BM1684X)
    low, (n_stride, c_stride, _, _) = bits.format.fields["src_start_addr_l32"][0], dst.strides or (0, 0, 0, 0)
    return [DmaTensor.view(Bits(bits.format, bits.record | (c_stride << 32 | n_stride) << low))]


def _filling(params: Params, kind: Dtype) -> Constant:
    """The bits of the constant that the type has; the library drops the others."""
    return Constant(scalar(params, "C", kind).bits & ((1 << kind.bits) - 1), kind)


# ---------------------------------------------------------------------------- other copies


def _cw_transpose(direction: str) -> Builder:
    def build(params: Params) -> list[Instruction]:
        kind, (n, c, h, w) = dtype(params), dims(params, "dst_shape")
        operand = _operand if _strided(params, "dst", "src") else _plain
        dst = operand(params, "dst", _is_local(direction, "dst"), (n, c, h, w), kind)
        src = operand(params, "src", _is_local(direction, "src"), (n, w, h, c), kind)
        return numbered(DmaCwTranspose(dst=dst, src=src))

    return build


def _matrix(direction: str, op: DmaMatrixOp, row_stride: str, names: tuple[str, str, str]) -> Builder:
    """`names`: the parameters of rows, columns and columns per channel; a vector has one row (its name is empty)."""

    def build(params: Params) -> list[Instruction]:
        kind = dtype(params)
        rows, cols = number(params, names[0]) if names[0] else 1, number(params, names[1])
        src = (rows, cols)
        dst = (cols, rows) if op is DmaMatrixOp.TRANSPOSE else src
        stride = number(params, row_stride) if row_stride else 0

        def operand(name: str, size: tuple[int, int]) -> Memory:
            if not _is_local(direction, name):
                return SystemTensor(number(params, f"{name}_addr"), (1, 1, *size), kind, (0, 0, stride, 1))
            width = number(params, names[2])
            return _operand(params, name, True, (size[0], -(-size[1] // width), 1, width), kind)

        return numbered(DmaMatrix(op=op, dst=operand("dst", dst), src=operand("src", src)))

    return build


def _system_copy(params: Params) -> list[Instruction]:
    dst, src = (_plain(params, name, False, (1, 1, 1, number(params, "count")), dtype(params)) for name in ("dst", "src"))
    return numbered(DmaGeneral(dst=dst, src=src))


# ---------------------------------------------------------------------------- chosen elements and lines


def _mask_select(direction: str) -> Builder:
    def build(params: Params) -> list[Instruction]:
        shape, kind = dims(params), dtype(params, "data_dtype")
        address, local = number(params, "mask_addr"), bool(params["mask_in_lmem"])
        mask = _memory(
            address - LOCAL_BASE if address >= LOCAL_BASE and local else address, local, shape, dtype(params, "mask_dtype"), None
        )
        src = _plain(params, "src", _is_local(direction, "src"), shape, kind)
        return numbered(DmaMaskedSelect(dst=_plain(params, "dst", False, shape, kind), src=src, mask=mask))

    return build


def _nonzero(direction: str) -> Builder:
    def build(params: Params) -> list[Instruction]:
        shape = dims(params)
        src = _plain(params, "src", _is_local(direction, "src"), shape, dtype(params, "data_dtype"))
        return numbered(DmaNonzero(dst=_plain(params, "dst", False, shape, u32), src=src, base_index=number(params, "base_idx")))

    return build


def _lines(params: Params, direction: str, sizes: Mapping[str, int], *, one_channel: bool = False) -> dict[str, Memory]:
    """Output, param and index of a gather or scatter; `sizes` are their numbers of lines.

    `one_channel`: a param or index with c stride 0 has one channel. Where both have, the library writes one channel of the output only.
    """
    kind, (_, c, _, w) = dtype(params), dims(params)
    strided = _strided(params, "output", "param", "index")
    repeated = {name for name in ("param", "index") if one_channel and strided and _c_stride(params, name) == 0}
    channels = {"param": 1 if "param" in repeated else c, "index": 1 if "index" in repeated else c}
    channels["output"] = max(channels.values())
    found: dict[str, Memory] = {}
    for name, rows in sizes.items():
        address, local = number(params, f"{name}_addr"), _is_local(direction, name)
        shape, item = (1, channels[name], rows, w), kind
        if name == "index":
            local, shape, item = bool(params["index_is_local"]), (1, channels[name], rows, 1), u32
            address -= LOCAL_BASE if local else 0
        values = {**params, f"{name}_addr": address}
        found[name] = _operand(values, name, local, shape, item) if strided else _plain(values, name, local, shape, item)
    return found


def _c_stride(params: Params, name: str) -> int | None:
    return dims(params, f"{name}_stride")[1] if params[f"{name}_stride"] is not None else None


def _gather(direction: str) -> Builder:
    def build(params: Params) -> list[Instruction]:
        rows = dims(params)[2]
        lines = _lines(params, direction, {"output": rows, "param": number(params, "param_h"), "index": rows})
        fill = _filling(params, dtype(params))
        return numbered(DmaGather(dst=lines["output"], src=lines["param"], index=lines["index"], fill=fill))

    return build


def _scatter(direction: str) -> Builder:
    def build(params: Params) -> list[Instruction]:
        param_rows = number(params, "param_h")
        lines = _lines(
            params, direction, {"output": dims(params)[2], "param": param_rows, "index": param_rows}, one_channel=direction == "L2S"
        )
        return numbered(DmaScatter(dst=lines["output"], src=lines["param"], index=lines["index"]))

    return build


_EVERYWHERE: dict[str, Callable[[str], Builder]] = {
    "cpy": _copy,
    "cpy_nc_trans": _nc_transpose,
    "cpy_cw_trans": _cw_transpose,
    "h_gather": _gather,
    "h_scatter": _scatter,
}
_SOMEWHERE: dict[str, tuple[Callable[[str], Builder], tuple[str, str]]] = {
    "general_cpy": (_general_copy, ("S2L", "L2S")),
    "compact": (lambda direction: _compact_copy(direction, DmaTensorOp.COPY), ("S2L", "L2S")),
    "compact_nc_trans": (lambda direction: _compact_copy(direction, DmaTensorOp.TRANSPOSE), ("S2L", "L2S")),
    "channel_bcast": (_channel_broadcast, ("S2L", "L2L")),
    "mask_select": (_mask_select, ("L2S", "S2S")),
    "nonzero": (_nonzero, ("L2S", "S2S")),
}
_MATRICES: dict[str, tuple[DmaMatrixOp, str, tuple[str, str, str]]] = {
    "matrix_S2L": (DmaMatrixOp.COPY, "row_stride", ("rows", "cols", "cols_per_channel")),
    "matrix_L2S": (DmaMatrixOp.COPY, "row_stride", ("rows", "cols", "cols_per_channel")),
    "matrix_trans_S2L": (DmaMatrixOp.TRANSPOSE, "src_row_stride", ("src_rows", "src_cols", "dst_cols_per_channel")),
    "matrix_trans_L2S": (DmaMatrixOp.TRANSPOSE, "dst_row_stride", ("src_rows", "src_cols", "src_cols_per_channel")),
    "vector_S2L": (DmaMatrixOp.COPY, "", ("", "len", "len_per_channel")),
    "vector_L2S": (DmaMatrixOp.COPY, "", ("", "len", "len_per_channel")),
}

BUILDERS: dict[str, Builder] = {
    **{f"tpu_gdma_{name}_{direction}": make(direction) for name, make in _EVERYWHERE.items() for direction in DIRECTIONS},
    **{f"tpu_gdma_{name}_{direction}": make(direction) for name, (make, directions) in _SOMEWHERE.items() for direction in directions},
    **{f"tpu_gdma_{name}": _matrix(name[-3:], *row) for name, row in _MATRICES.items()},
    "tpu_gdma_set_C_local": _fill_local,
    "tpu_gdma_set_C_system": _fill_system,
    "tpu_gdma_system_cpy": _system_copy,
}
