"""What each parameter of a TPUKernel function is drawn from. Data first: add a row to ``RULES`` rather than a branch.

The limits are those that the official BM1684X library enforces by assertions (found by trying), and those of the chip: shapes that fit
into a lane, lanes 0 to 63.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import cast

from tests.support import draw_memory
from tests.support.draw_memory import LANE_BYTES, LANES, LOCAL_BASE, START_LANES, Dims
from tests.support.oracle import Value
from tests.support.signatures import Parameter, signatures

F32, I16, U16, I32, U32 = 5, 7, 6, 9, 8
ITEM_BYTES = {1: 1, 0: 1, 3: 2, 7: 2, 6: 2, 11: 2, 5: 4, 9: 4, 8: 4}
"""Bytes per element by ``data_type_t`` code."""

EXCLUDED = frozenset({"tpu_parallel_start", "tpu_parallel_end", "tpu_bdc_load_fp32_exp_table"})
"""They emit nothing."""

PHASE_OF_KIND = {
    "dtype": 0,
    "dim4": 2,
    "dim2": 1,
    "padding": 1,
    "scalar": 3,
    "variable": 4,
    "local": 5,
    "system": 5,
    "static": 3,
} | dict.fromkeys(("rounding", "bool", "int", "uint", "u8", "s8", "float"), 1)


@dataclass
class Context:
    """A draw in progress: what has been decided so far."""

    rng: Random
    function: str
    names: tuple[str, ...]
    values: dict[str, Value]
    low_ddr: bool = False
    default_strides: bool = False
    lanes: dict[str, int] = field(default_factory=dict[str, int])

    def lane(self, operand: str) -> int:
        """Start lane of an operand: that of all operands, or one that ``LANES_OF`` names. f32 convolutions read from any lane."""
        if operand not in self.lanes:
            rules = (lanes for functions, names, lanes in LANES_OF if re.search(functions, self.function) and re.fullmatch(names, operand))
            options = next(rules, ())
            if options is None:
                options = START_LANES if self.number("input_dtype") == F32 else (0,)
            self.lanes[operand] = self.rng.choice(options) if options else self.lanes.setdefault("", self.rng.choice(START_LANES))
        return self.lanes[operand]

    def number(self, name: str) -> int:
        value = self.values[name]
        if not isinstance(value, int):
            raise TypeError(f"{self.function}: {name} is not an integer")
        return value

    def dims(self, name: str) -> Dims:
        return cast(Dims, self.values[name])

    def item(self, *names: str) -> int:
        """Bytes per element of the first of these data type parameters that the function has; 4 without one."""
        known = [self.number(name) for name in (*names, "dtype", "data_dtype", "src_dtype") if name in self.values]
        return ITEM_BYTES[known[0]] if known else 4


Drawer = Callable[[Context, str], Value]

SFU_TABLE = r"fp_taylor|fp32_(exp|log|sin|cos|tan|cot|arc|sigmoid|silu|selu|elu|erf|gelu|mish|pow|C_pow|swish|softplus)"
LANES_OF: tuple[tuple[str, str, tuple[int, ...] | None], ...] = (
    (r"cpy_cross_npu|_npu_bcast$|_L2L|gdma_mask_select|gdma_h_", r".*", START_LANES),
    (SFU_TABLE, r".*", (0,)),
    (r"load_.*_coeff|distribute|sequence|static|table_lookup|zp_mm|fp_mm", r".*", (0,)),
    (r"fp_conv2d", r"input", None),
    (r"_conv2d", r"input|pad", (0,)),
    (r"roi", r"roi", (0,)),
    (r"bdc_h?w_(gather|scatter)", r"index", (0,)),
    (r"bdc_cw_trans", r"src", (0,)),
    (r"bdc_wc_trans", r"dst", (0,)),
    (r"bdc_(cw|wc)_trans", r".*", START_LANES),
)
"""Start lanes of operands that need not start where the others do: (function, operand, lanes), first match; None: see ``Context.lane``."""

CHANNELS = (1, 3, 16, 33, 63, 64, 65, 100, 130)
LARGE = 0.1
"""Probability of a value far outside the usual range."""
LARGEST = (100, 800, 3000)
"""Upper limits of a large N, H, W."""


# ---------------------------------------------------------------------------- small drawers


def pick(*options: Value) -> Drawer:
    """One of the options."""
    return lambda context, name: context.rng.choice(options)


def integer(low: int, high: int) -> Drawer:
    """A uniform integer, both ends included."""
    return lambda context, name: context.rng.randint(low, high)


def often(value: Value, other: Drawer) -> Drawer:
    """A value that has a form of its own in every fourth draw, else from another drawer."""
    return lambda context, name: value if context.rng.random() < 0.25 else other(context, name)


def at_most(other: str) -> Drawer:
    """A positive integer up to the value of another parameter, often that value."""
    return lambda context, name: context.rng.choice((context.number(other), context.rng.randint(1, context.number(other))))


def at_least(other: str) -> Drawer:
    """An integer from the value of another parameter on, often that value."""
    return lambda context, name: context.number(other) + context.rng.choice((0, 0, 1, 7, 30))


def real(low: float, high: float, *special: float) -> Drawer:
    """A float, at times one of ``special``."""
    return lambda context, name: context.rng.choice((context.rng.uniform(low, high), round(context.rng.uniform(low, high), 3), *special))


def bits(*dtype_names: str) -> Drawer:
    """Raw bits of a scalar of the first data type parameter that the function has."""
    return lambda context, name: context.rng.getrandbits(8 * context.item(*dtype_names))


def signed_bits(low: int, high: int) -> Drawer:
    """A small signed integer as raw 32-bit scalar."""
    return lambda context, name: context.rng.randint(low, high) & 0xFFFFFFFF


def shape(n: int, channels: Iterable[int], h: int, w: int) -> Drawer:
    """A dim4 with N, H, W up to the limits and C from a list; at times one of N, H, W is much larger and the others are small."""
    options = tuple(channels)
    small = tuple(c for c in options if c <= LANES)

    def drawn(context: Context, name: str) -> Value:
        rng = context.rng
        if rng.random() > LARGE:
            return (rng.randint(1, n), rng.choice(options), rng.randint(1, h), rng.randint(1, w))
        sizes = [rng.randint(1, min(limit, 2)) for limit in (n, h, w)]
        axis = rng.choice([k for k, limit in enumerate((n, h, w)) if limit > 1])
        sizes[axis] = rng.randint(1, LARGEST[axis])
        return (sizes[0], rng.choice(small), *sizes[1:])

    return drawn


def mostly(low: int, high: int, highest: int) -> Drawer:
    """An integer from a narrow range, at times up to the limit of its field."""
    return lambda context, name: context.rng.randint(low, highest if context.rng.random() < LARGE else high)


def several(count: int, one: Drawer) -> Drawer:
    """A tuple of values of one drawer (dim2, padding)."""
    return lambda context, name: tuple(cast(int, one(context, name)) for _ in range(count))


def permuted(other: str) -> Drawer:
    """Another dim4 with its sizes in another order, so with as many elements."""
    return lambda context, name: tuple(context.rng.sample(context.dims(other), 4))


def few_channels(context: Context, name: str) -> Value:
    """A shape whose channels do not wrap: start lane + C stays within the lanes."""
    rng = context.rng
    lane = max(context.lane("dst"), context.lane("src"))
    return (rng.randint(1, 4), rng.randint(1, LANES - lane), rng.randint(1, 6), rng.randint(1, 20))


def window_shape(context: Context, name: str) -> Value:
    """Input shape of a convolution or pooling: at least as large as the dilated kernel."""
    rng = context.rng
    kernel = cast("tuple[int, int]", context.values["kernel"])
    dilation = cast("tuple[int, int]", context.values.get("dilation", (1, 1)))
    height, width = ((size - 1) * step + 1 + rng.randint(0, 6) for size, step in zip(kernel, dilation, strict=True))
    return (rng.randint(1, 3), rng.choice(CHANNELS[:8]), height, width)


def is_signed(context: Context, *names: str) -> bool:
    """Whether any of these data types that the function has is signed."""
    return any(context.number(name) & 1 for name in names if name in context.values)


def relu_makes_unsigned(context: Context, name: str) -> Value:
    """A ReLU in an int8 operation has an unsigned result, of 8 bits in a depthwise convolution."""
    allowed = "depthwise" not in context.function or context.item("output_dtype") == 1
    if relu := allowed and context.rng.random() < 0.4:
        context.values["output_dtype"] = context.number("output_dtype") & ~1
    return relu


def bias_when_accepted(context: Context, name: str) -> Value:
    """A bias has 16 bits (32 in depthwise convolutions) and may not turn an unsigned result into a signed one."""
    wanted = (I32, U32) if "depthwise" in context.function else (I16, U16)
    fits = context.number("bias_dtype") in wanted
    return fits and is_signed(context, "output_dtype") >= is_signed(context, "bias_dtype") and context.rng.random() < 0.6


def result_add_to_int32(context: Context, name: str) -> Value:
    """Accumulation needs a 32-bit result."""
    return context.number("output_dtype") in (I32, U32) and context.rng.random() < 0.5


def scatter_width(context: Context, name: str) -> Value:
    """A width for which the last element of ``param`` does not start an EU row (an assertion of the library)."""
    row = draw_memory.EU_BYTES // context.item()
    height = context.number("param_h")
    return context.rng.choice([width for width in range(1, 41) if height * width == 1 or (height * width - 1) % row])


def variable(context: Context, name: str) -> Value:
    """A ``variable_t``: constant, or an address that is filled in later."""
    if context.rng.random() < 0.5:
        dtypes = ("src0_src1_dtype",) if name in ("src0", "src1") else ("dst_dtype", "dst0_dtype")
        return ("const", context.rng.getrandbits(8 * context.item(*dtypes)))
    return ("addr", 0)


# ---------------------------------------------------------------------------- operands


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
    """Bytes per element of an operand; the accumulator of an int8 multiply-accumulate has 16 bits."""
    return 2 if "int8_mac" in context.function and name == "dst_addr" else context.item(f"{stem(name)}_dtype")


def operand_bytes(context: Context, name: str) -> int:
    """Upper bound of the bytes an operand takes in a lane."""
    bounds = (size for functions, names, size in SIZES if re.search(functions, context.function) and re.fullmatch(names, name))
    if bound := next(bounds, None):
        return bound
    operand = stem(name)
    step = cast("Dims | None", context.values.get(f"{operand}_stride"))
    return draw_memory.local_bytes(operand_shape(context, operand), context.lane(operand), step, operand_item(context, name))


def place_operands(context: Context, parameters: Iterable[Parameter]) -> None:
    """Fill in all addresses."""
    local: dict[str, Parameter] = {}
    system = 0
    for parameter in parameters:
        name, value = parameter.name, context.values.get(parameter.name)
        inside = {"index_addr": "index_is_local", "mask_addr": "mask_in_lmem"}.get(name)
        if parameter.kind == "local" or (parameter.kind == "variable" and value == ("addr", 0)) or (inside and context.values.get(inside)):
            local[name] = parameter
        elif parameter.kind == "system":
            unit = context.item(f"{stem(name)}_dtype")
            context.values[name] = draw_memory.system_address(context.rng, system, unit, low=context.low_ddr)
            system += 1
    sizes = {name: operand_bytes(context, name) for name in local}
    strided = {name for name in local if context.values.get(f"{stem(name)}_stride") is not None}
    alignment = {name: operand_item(context, name) if name in strided else draw_memory.EU_BYTES for name in local}
    for name, offset in draw_memory.place(context.rng, sizes, alignment).items():
        address = context.lane(stem(name)) * LANE_BYTES + offset
        match local[name].kind:
            case "variable":
                context.values[name] = ("addr", address)
            case "system":
                context.values[name] = LOCAL_BASE + address
            case _:
                context.values[name] = address


# ---------------------------------------------------------------------------- rules

UNIT_W_STRIDE = r"channel_bcast|cw_trans|gdma_h_"
"""Functions whose operands must have a W stride of 1."""

SIZES: tuple[tuple[str, str, int], ...] = (
    (r"_mm", r".*", 24 << 10),
    (r"vc_", r".*", 16 << 10),
    (r"conv|pool|depthwise", r"weight_addr", 24 << 10),
    (r"conv|pool|depthwise", r"output_addr", 24 << 10),
    (r"conv|pool|depthwise", r"(bias|kzp|pad|roi)_addr", 2 << 10),
    (r"gdma_(matrix|vector)", r".*", 48 << 10),
    (r"sequence|static", r".*", 16 << 10),
    (r"", r".*(coeff|table|quant|count|scale|bias|zp|shift)_addr", 4 << 10),
)
"""Bounds of operands whose size does not follow from a shape: (function, parameter, bytes per lane), first match."""

RULES: tuple[tuple[str, str, Drawer], ...] = (
    # shapes
    (r"channel_bcast|_npu_bcast$", r"shape", few_channels),
    (r"gdma.*nc_trans", r"dst_shape", shape(6, (1, 5, 33, 64, 70), 3, 5)),
    (r"gdma.*cw_trans", r"dst_shape", shape(3, (1, 5, 33, 64, 70), 3, 70)),
    (r"bdc_(cw|wc)_trans", r"shape", shape(3, (1, 5, 16, 33, 64), 3, 64)),
    (r"conv|pool2d|depthwise", r"input_shape", window_shape),
    (r"hw_(gather|scatter)", r"shape", shape(4, CHANNELS, 6, 12)),
    (r"bdc(_.*)?_w_(gather|scatter|mask_select)", r"shape", shape(4, CHANNELS, 1, 40)),
    (r"gdma_h_", r"shape", shape(1, CHANNELS, 20, 20)),
    (r"general_cpy", r"src_shape", permuted("dst_shape")),
    # windows
    (r"", r"kernel", several(2, mostly(1, 4, 9))),
    (r"", r"stride", several(2, mostly(1, 4, 15))),
    (r"", r"dilation", several(2, mostly(1, 3, 15))),
    (r"", r"insert|ins", several(2, mostly(0, 3, 7))),
    (r"", r"padding", several(4, mostly(0, 3, 15))),
    (r"", r"output_c", pick(1, 3, 17, 64, 66, 130)),
    (r"", r"output_w", integer(1, 9)),
    # matrices
    (r"gdma_matrix", r".*rows", integer(1, 40)),
    (r"gdma_matrix", r".*cols", integer(1, 130)),
    (r"gdma_matrix_trans_S2L", r".*_per_channel", at_most("src_rows")),
    (r"gdma_matrix_trans", r".*_per_channel", at_most("src_cols")),
    (r"gdma_matrix", r".*_per_channel", at_most("cols")),
    (r"gdma_matrix_trans_L2S", r".*row_stride", at_least("src_rows")),
    (r"gdma_matrix_trans_S2L", r".*row_stride", at_least("src_cols")),
    (r"gdma_matrix", r".*row_stride", at_least("cols")),
    (r"gdma_vector", r"len", integer(1, 3000)),
    (r"gdma_vector", r"len_per_channel", integer(8, 64)),
    (r"fp32_mm|int_mm|int_pcs_mm|int8_mm", r".*_rows", integer(1, 16)),
    (r"_mm", r".*_(rows|cols)", integer(1, 100)),
    (r"_mm", r"left_cols_per_channel", at_most("left_cols")),
    (r"_mm", r"right_cols_per_channel", at_most("right_cols")),
    (r"_vc_", r"src[01]_len", integer(1, 60)),
    (r"_vc_", r"src0_len_per_channel", at_most("src0_len")),
    (r"_vc_", r"src1_len_per_channel", at_most("src1_len")),
    # counts
    (r"", r"num_iter", integer(1, 4)),
    (r"", r"num_comp", integer(1, 3)),
    (r"taylor", r"num", integer(2, 20)),
    (r"", r"npu_num", integer(1, 64)),
    (r"sequence", r"num", integer(1, 200)),
    (r"sequence", r"start|step", integer(-50, 50)),
    (r"table_lookup", r"len", integer(1, 256)),
    (r"static", r"len", integer(1, 64)),
    (r"hw_scatter", r"param_w", scatter_width),
    (r"", r"param_[hw]", integer(1, 40)),
    (r"", r"count", integer(1, 5000)),
    (r"", r"base_idx", integer(0, 5000)),
    (r"", r"mask_in_lmem", integer(0, 1)),
    # numbers
    (r"", r"multiplier", integer(-(1 << 31), (1 << 31) - 1)),
    (r"shift_C", r"C", integer(-31, 31)),
    (r"", r"shift", often(0, integer(-31, 31))),
    (r"", r"[lr]shift", integer(0, 31)),
    (r"logx", r"x", real(0.1, 20.0)),
    (r"C_pow", r"C", real(0.1, 9.0)),
    (r"int_(de|re)quant", r"offset", signed_bits(-100, 100)),
    (r"fp32_dequant", r"offset", signed_bits(-100, 100)),
    (r"fp_round|cast", r"mode", integer(0, 4)),
    (r"fp32_.*quant", r".*rounding_mode", integer(0, 4)),
    (r"int8_.*(mm|sym_quant_conv|depthwise)", r"has_bias", bias_when_accepted),
    (r"int8_.*(mm|sym_quant_conv|depthwise)", r"result_relu", relu_makes_unsigned),
    (r"asym", r"result_add", result_add_to_int32),
    (r"", r"true_val", bits("dst_dtype")),
    (r"", r"zp_val", bits("right_zp_dtype", "C_zp_dtype")),
    (r"", r"kzp_val", integer(1, 255)),
    (r"", r"(pad|insert|except)_val", bits("input_dtype")),
    (r"int8_roi_avg", r"scale", integer(0, 255)),
)
"""(function, parameter, drawer); patterns are searched in the function and matched against the whole parameter name; first match."""

BY_KIND: dict[str, Drawer] = {
    "dim4": shape(4, CHANNELS, 6, 20),
    "scalar": bits("C_dtype", "right_C_dtype", "left_C_dtype", "C_zp_dtype", "weight_dtype", "src_dtype", "input_dtype"),
    "variable": variable,
    "rounding": integer(0, 6),
    "bool": pick(False, True),
    "u8": integer(0, 255),
    "float": real(-4.0, 4.0, 1.0),
    "static": lambda context, name: 64 * context.rng.randint(0, 50),
    "local": lambda context, name: 0,
    "system": lambda context, name: 0,
}


@cache
def drawer(function: str, parameter: Parameter) -> Drawer:
    """The drawer of a parameter; raises ``KeyError`` when there is no rule."""
    if parameter.kind == "dim4" and parameter.name.endswith("_stride"):
        return stride
    for functions, names, rule in RULES:
        if re.search(functions, function) and re.fullmatch(names, parameter.name):
            return rule
    try:
        return BY_KIND[parameter.kind]
    except KeyError:
        raise KeyError(f"no rule for {parameter.name} of {function}") from None
