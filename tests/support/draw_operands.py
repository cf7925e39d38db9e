"""Strides, sizes and addresses of the operands of a drawn call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import cast

from tests.support import draw_memory
from tests.support.draw_context import Context
from tests.support.draw_memory import LANE_BYTES, LOCAL_BASE, Dims
from tests.support.oracle import Value
from tests.support.signatures import Parameter, signatures

Sizer = Callable[[Context, str], int]

UNIT_W_STRIDE = r"channel_bcast|cw_trans|nc_trans|gdma_h_"
"""Functions whose operands must have a W stride of 1 (nc_trans: the official library takes any, and its C model uses 1)."""


def stem(name: str) -> str:
    """Name of the operand that an address or stride parameter belongs to."""
    return name.removesuffix("_addr").removesuffix("_stride")


def operand_shape(context: Context, operand: str) -> Dims:
    """Shape of an operand as its strides see it."""
    own = next((name for name in (f"{operand}_shape", "shape", "dst_shape", "input_shape") if name in context.values), None)
    if own is None:
        return (1, 1, 1, 1)
    n, c, h, w = context.dims(own)
    if operand == "src" and "nc_trans" in context.function:
        return (c, n, h, w)
    if operand == "src" and "cw_trans" in context.function:
        return (n, w, h, c)
    if operand == "param":
        height, width = (context.number(name) if name in context.values else size for name, size in (("param_h", h), ("param_w", w)))
        return (n, c, height, width)
    if operand == "index":
        return (n, c, h, 2 if "hw_" in context.function else 1 if "_h_" in context.function else w)
    return (n, c, h, w)


def index_stride(context: Context) -> Value:
    """Strides of the row indices of a GDMA gather or scatter: consecutive in H, free between channels."""
    _, channels, height, _ = context.dims("shape")
    if "scatter" in context.function:
        height = context.number("param_h")
    c_stride = height + context.rng.randint(0, 20)
    return None if context.rng.random() < 0.4 else (channels * c_stride, c_stride, 1, 1)


def stride(context: Context, name: str) -> Value:
    """Strides of an operand in local or system memory; GDMA allows only small W strides and reads no operand with zero strides."""
    if context.default_strides:
        return None
    operand = stem(name)
    if operand == "index":
        return index_stride(context)
    extent, item = operand_shape(context, operand), context.item(f"{operand}_dtype")
    broadcast = operand not in ("dst", "output", "input")
    if "_gdma_" not in context.function:
        limits = draw_memory.CONV_STRIDE_LIMITS if operand == "input" else draw_memory.ARITH_STRIDE_LIMITS
        rules = draw_memory.StrideRules(broadcast=broadcast, zero_w=True, max_w=3, limits=limits)
        return draw_memory.local_stride(context.rng, extent, context.lane(operand), item, rules)
    max_w = 1 if re.search(UNIT_W_STRIDE, context.function) else 3
    limits = (*draw_memory.GDMA_STRIDE_LIMITS[:3], max_w)
    rules = draw_memory.StrideRules(broadcast=broadcast, zero_w=False, max_w=max_w, limits=limits)
    if operand not in local_operands(context.function):
        return draw_memory.system_stride(context.rng, extent, rules)
    return draw_memory.local_stride(context.rng, extent, context.lane(operand), item, rules)


@cache
def local_operands(function: str) -> frozenset[str]:
    """Operands of a function that are in local memory."""
    return frozenset(stem(parameter.name) for parameter in signatures()[function].parameters if parameter.kind == "local")


def operand_item(context: Context, name: str) -> int:
    """Bytes per element of an operand; the accumulator of an int8 multiply-accumulate has 16 bits, an index of a GDMA gather 32."""
    if "_gdma_h_" in context.function and name == "index_addr":
        return 4
    return 2 if "int8_mac" in context.function and name == "dst_addr" else context.item(f"{stem(name)}_dtype")


def place_operands(context: Context, parameters: Iterable[Parameter]) -> None:
    """Fill in all addresses."""
    local: dict[str, Parameter] = {}
    system = 0
    for parameter in parameters:
        name, value = parameter.name, context.values.get(parameter.name)
        inside = {"index_addr": "index_is_local", "mask_addr": "mask_in_lmem"}.get(name)
        if (
            parameter.kind == "local"
            or (parameter.kind == "variable" and value in (("addr", 0), ("vector", 0)))
            or (inside and context.values.get(inside))
        ):
            local[name] = parameter
        elif parameter.kind == "system":
            unit, step = operand_item(context, name), cast("Dims | None", context.values.get(f"{stem(name)}_stride"))
            size = draw_memory.system_bytes(operand_shape(context, stem(name)), step, unit)
            context.values[name] = draw_memory.system_address(context.rng, system, unit, size, low=context.low_ddr)
            system += 1
    sizes = {name: operand_bytes(context, name) for name in local}
    strided = {name for name in local if context.values.get(f"{stem(name)}_stride") is not None}
    alignment = {name: operand_item(context, name) if name in strided else draw_memory.EU_BYTES for name in local}
    banks = "4bank" in context.function
    offsets = draw_memory.place_within(context.rng, sizes, FOUR_BANKS) if banks else draw_memory.place(context.rng, sizes, alignment)
    for name, offset in offsets.items():
        address = context.lane(stem(name)) * LANE_BYTES + offset
        match local[name].kind:
            case "variable":
                form, _ = cast("tuple[str, int]", context.values[name])
                context.values[name] = (form, address)
            case "system":
                context.values[name] = LOCAL_BASE + address
            case _:
                context.values[name] = address


FOUR_BANKS = {"index_addr": (0, 64 << 10), "output_addr": (64 << 10, 128 << 10), "param_addr": (128 << 10, 160 << 10)}
"""Where the operands of a gather from four banks lie in a lane; the copies of param follow."""


def operand_bytes(context: Context, name: str) -> int:
    """Upper bound of the bytes an operand takes in a lane."""
    operand = stem(name)
    if f"{operand}_stride" not in context.values:
        rules = (size for functions, names, size in SIZES if re.search(functions, context.function) and re.fullmatch(names, name))
        if size := next(rules, None):
            return size(context, name)
    step = cast("Dims | None", context.values.get(f"{operand}_stride"))
    return draw_memory.local_bytes(operand_shape(context, operand), context.lane(operand), step, operand_item(context, name))


def fixed(size: int) -> Sizer:
    """A small operand, bounded by a constant."""
    return lambda context, name: size


def matrix(row_names: str, column_names: str, width_names: str) -> Sizer:
    """A matrix, its columns wrapped over the lanes; patterns name the parameters that may give its sides, in either order."""

    def size(context: Context, name: str) -> int:
        sides = [largest(context, row_names), largest(context, column_names)]
        width = largest(context, width_names)
        lane = context.lane(stem(name))
        layouts = ((sides[0], sides[1]), (sides[1], sides[0]))
        return max(rows * draw_memory.rows(lane, -(-columns // width)) for rows, columns in layouts) * aligned_words(width)

    return size


def largest(context: Context, names: str) -> int:
    """The largest of the parameters that match a pattern, 1 without any."""
    return max((context.number(name) for name in context.values if re.fullmatch(names, name)), default=1)


def aligned_words(count: int) -> int:
    """Bytes of a row of 32-bit elements."""
    return draw_memory.align(4 * count, draw_memory.EU_BYTES)


def weight_bytes(context: Context, name: str) -> int:
    """Weights of a convolution (input channels times kernel per output channel) or of a depthwise convolution."""
    _, channels, _, _ = context.dims("input_shape")
    kernel_height, kernel_width = cast("tuple[int, int]", context.values["kernel"])
    outputs, inputs = (context.number("output_c"), channels) if "output_c" in context.values else (channels, 1)
    return draw_memory.rows(context.lane("weight"), outputs) * draw_memory.align(inputs, 64) * kernel_height * kernel_width * 4


def window_bytes(context: Context, name: str) -> int:
    """Result of a convolution or pooling."""
    n, channels, *extent = context.dims("input_shape")
    top, bottom, left, right = cast("tuple[int, int, int, int]", context.values.get("padding", (0, 0, 0, 0)))
    pairs = [cast("tuple[int, int]", context.values.get(name, default)) for name, default in WINDOW]
    pixels = 1
    for axis, (size, pad) in enumerate(zip(extent, (top + bottom, left + right), strict=True)):
        kernel, step, dilation, insert, ins = (pair[axis] for pair in pairs)
        pixels *= max(1, ((size - 1) * (insert + ins + 1) + 1 + pad - (kernel - 1) * dilation - 1) // step + 1)
    outputs = context.number("output_c") if "output_c" in context.values else channels
    return n * draw_memory.rows(context.lane("output"), outputs) * aligned_words(max(pixels, largest(context, "output_w")))


WINDOW = (("kernel", (1, 1)), ("stride", (1, 1)), ("dilation", (1, 1)), ("insert", (0, 0)), ("ins", (0, 0)))
SIZES: tuple[tuple[str, str, Sizer], ...] = (
    (r"fp_mm|zp_mm", r".*", fixed(2 << 10)),
    (r"_mm", r"left_addr", matrix(r"left_rows", r"left_cols", r"left_cols_per_channel")),
    (r"_mm", r"right_addr", matrix(r"left_rows|left_cols", r"right_cols", r"right_cols_per_channel")),
    (r"_mm", r"output_addr", matrix(r"left_rows|left_cols", r"right_cols", r"right_cols_per_channel")),
    (r"_vc_", r"src0_addr", matrix(r"", r"src0_len", r"src0_len_per_channel")),
    (r"_vc_", r"src1_addr", matrix(r"", r"src1_len", r"src1_len_per_channel")),
    (r"_vc_", r"dst_addr", matrix(r"src0_len", r"src1_len", r"src1_len_per_channel")),
    (r"gdma_(matrix|vector)", r".*", matrix(r".*rows", r".*cols|len", r".*_per_channel")),
    (r"conv2d|pool2d|depthwise", r"weight_addr", weight_bytes),
    (r"conv2d|pool2d|depthwise", r"output_addr", window_bytes),
    (r"sequence|static|load_", r".*", fixed(16 << 10)),
    (r"", r".*(coeff|table|quant|count|scale|bias|zp|shift|kzp|pad|pad_insert|roi)_addr", fixed(4 << 10)),
)
"""Bounds of operands without strides whose size does not follow from ``shape``: (function, parameter, bytes per lane), first match."""
