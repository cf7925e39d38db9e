"""What each parameter of a TPUKernel function is drawn from. Data first: add a row to ``RULES`` rather than a branch.

The limits are those that the official BM1684X library enforces by assertions (found by trying), and those of the chip: shapes that fit
into a lane, lanes 0 to 63.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import cast

from tests.support import draw_memory
from tests.support.draw_context import I16, I32, U16, U32, Context
from tests.support.draw_memory import LANES
from tests.support.draw_operands import stride
from tests.support.oracle import Value
from tests.support.signatures import Parameter

EXCLUDED = frozenset(
    {
        "tpu_bdc_load_fp32_exp_table",
        "tpu_disable_check_id_node",
        "tpu_enable_check_id_node",
        "tpu_hau_poll",
        "tpu_initialize",
        "tpu_parallel_end",
        "tpu_parallel_start",
        "tpu_poll",
        "tpu_set_id_node",
        "tpu_set_parallel_id_node",
    }
)
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


Drawer = Callable[[Context, str], Value]

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
    """A bias has 16 bits (32 in depthwise convolutions); a signed one makes the result signed."""
    wanted = (I32, U32) if "depthwise" in context.function else (I16, U16)
    bias = context.number("bias_dtype") in wanted and context.rng.random() < 0.6
    if bias:
        context.values["output_dtype"] = context.number("output_dtype") | is_signed(context, "bias_dtype")
    return bias


def result_add_to_int32(context: Context, name: str) -> Value:
    """Accumulation needs a 32-bit result."""
    return context.number("output_dtype") in (I32, U32) and context.rng.random() < 0.5


def scatter_width(context: Context, name: str) -> Value:
    """A width for which the last element of ``param`` does not start an EU row (an assertion of the library)."""
    row = draw_memory.EU_BYTES // context.item()
    height = context.number("param_h")
    return context.rng.choice([width for width in range(1, 41) if height * width == 1 or (height * width - 1) % row])


def variable(context: Context, name: str) -> Value:
    """A ``variable_t``: constant, or an address that is filled in later; what is compared can be a vector."""
    if context.rng.random() < 0.5:
        dtypes = ("src0_src1_dtype",) if name in ("src0", "src1") else ("dst_dtype", "dst0_dtype")
        return ("const", context.rng.getrandbits(8 * context.item(*dtypes)))
    return ("vector" if name in ("src0", "src1") and context.rng.random() < 0.3 else "addr", 0)


# ---------------------------------------------------------------------------- rules

RULES: tuple[tuple[str, str, Drawer], ...] = (
    # shapes
    (r"channel_bcast|_npu_bcast$", r"shape", few_channels),
    (r"gdma.*nc_trans", r"dst_shape", shape(6, (1, 5, 33, 64, 70), 3, 5)),
    (r"gdma.*cw_trans", r"dst_shape", shape(3, (1, 5, 33, 64, 70), 3, 70)),
    (r"bdc_(cw|wc)_trans", r"shape", shape(3, (1, 5, 16, 33, 64), 3, 64)),
    (r"conv|pool2d|depthwise", r"input_shape", window_shape),
    (r"4bank", r"shape", shape(1, CHANNELS, 1, 40)),
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
    (r"(fp32|int|int_pcs|int8)_mm_L_const", r"left_cols", integer(1, 200)),
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
