"""Transformer operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import bmlang as bm
from bmlang.layers.tensor import here
from bmlang.tpulang.dtypes import rounding_named
from bmlang.tpulang.errors import NotInTpuLangError
from bmlang.tpulang.operator import FLOATS, check, made, needs, operator, value
from bmlang.tpulang.tensor import Tensor
from tpukernel.dtypes import i32

__all__ = ["qwen2_block", "qwen2_block_cache", "rope", "rot_pos_emb"]


@operator
def rope(
    input: Tensor,
    weight0: Tensor,
    weight1: Tensor,
    is_permute_optimize: bool = False,
    mul1_round_mode: str = "half_up",
    mul2_round_mode: str = "half_up",
    add_round_mode: str = "half_up",
    mul1_shift: int | None = None,
    mul2_shift: int | None = None,
    add_shift: int | None = None,
    mul1_saturation: bool = True,
    mul2_saturation: bool = True,
    add_saturation: bool = True,
    rope_mode: str = "interleaved_pairs",
    out_name: str | None = None,
) -> Tensor:
    """Pairs of elements of each row turned by an angle: x * weight1 + turned(x) * weight0.

    Args:
        input: (..., rows, w) of 3 to 5 dimensions; float32, float16, or integers of 8 or 16 bits.
        weight0: (rows, w), the sines.
        weight1: (rows, w), the cosines.
        is_permute_optimize: the rows are dimension 1 of an input of 4 dimensions, not dimension 2.
        mul1_round_mode, mul2_round_mode, add_round_mode: rounding of the products with weight0 and weight1 and of their sum, for integers.
        mul1_shift, mul2_shift, add_shift: their shifts, as of `mul_shift`.
        mul1_saturation, mul2_saturation, add_saturation: True.
        rope_mode: "interleaved_pairs" for neighbours as pairs, "contiguous_halves" for the first half of a row with the second.
        out_name: name of the result.
    """
    rank = len(input.shape)
    check(
        rope_mode in ("interleaved_pairs", "contiguous_halves"),
        f"rope_mode is {rope_mode!r}",
        "choose interleaved_pairs or contiguous_halves",
    )
    check(3 <= rank <= 5 and (rank == 4 or not is_permute_optimize), f"input {input.shape}", "give 3 to 5 dimensions")
    check(input.shape[-1] % 2 == 0, f"rows of {input.shape[-1]}", "give an even number")
    axis = 1 if is_permute_optimize else rank - 2
    table = [input.shape[axis], input.shape[-1]]
    check(
        _without_ones(weight0) == _without_ones(weight1) == [each for each in table if each > 1],
        f"weights {weight0.shape} and {weight1.shape}",
        f"give {table}",
    )
    shape = [1] * rank
    shape[axis], shape[-1] = table
    x = value(input)
    sines, cosines = (bm.reshape(value(each), shape) for each in (weight0, weight1))
    if x.dtype.is_float:
        return made(bm.rope(x, cosines, sines, rope_mode == "interleaved_pairs"), out_name)
    needs(input, "int8", "int16")
    halves = bm.reshape(x, (*input.shape[:-1], 2, -1) if rope_mode == "contiguous_halves" else (*input.shape[:-1], -1, 2))
    along = rank - 1 if rope_mode == "contiguous_halves" else rank
    first, second = bm.split(halves, [1, 1], along)
    check(None not in (mul1_shift, mul2_shift, add_shift), "a shift is missing", "give all three for integers")
    check(mul1_saturation and mul2_saturation and add_saturation, "saturation is False", "results of integers are limited to their type")
    shifts = [int(each or 0) for each in (mul1_shift, mul2_shift, add_shift)]
    modes = [rounding_named(each) for each in (mul1_round_mode, mul2_round_mode, add_round_mode)]
    negative = bm.sub_shift(np.zeros((), x.dtype.numpy), second, 0, x.dtype)
    turned = bm.reshape(bm.concat([negative, first], along), input.shape)
    one = bm.mul_shift(turned, sines, shifts[0], x.dtype, rounding=modes[0])
    other = bm.mul_shift(x, cosines, shifts[1], x.dtype, rounding=modes[1])
    return made(bm.add_shift(one, other, shifts[2], x.dtype, rounding=modes[2]), out_name, input.scale, input.zero_point)


@operator
def rot_pos_emb(
    pos_ids: Tensor,
    rotary_pos_emb_full: Tensor,
    rotary_pos_emb_cos: Tensor,
    rotary_pos_emb_sin: Tensor,
    out_name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of tables of angles for pairs of places, side by side.

    Args:
        pos_ids: (places, 2): row and column of a patch; int32, or floats that are whole numbers.
        rotary_pos_emb_full, rotary_pos_emb_cos, rotary_pos_emb_sin: (size, w): the angles, their cosines and sines.
        out_name: beginning of the names.

    Returns:
        The angles (places, 2 * w); the cosines and the sines, twice side by side (places, 4 * w).
    """
    needs(pos_ids, "int32", *FLOATS)
    places = value(pos_ids) if pos_ids.dtype == "int32" else bm.cast(value(pos_ids), i32)
    found: list[Tensor] = []
    for table, times, name in ((rotary_pos_emb_full, 1, "full"), (rotary_pos_emb_cos, 2, "cos"), (rotary_pos_emb_sin, 2, "sin")):
        rows = bm.reshape(bm.gather(value(table), places, 0), (pos_ids.shape[0], -1))
        wide = rows if times == 1 else bm.concat([rows, rows], -1)
        found.append(made(wide, None if out_name is None else f"{out_name}_{name}"))
    angles, cosines, sines = found
    return angles, cosines, sines


@operator
def qwen2_block(
    hidden_states: Tensor,
    position_ids: Tensor,
    attention_mask: Tensor,
    q_proj_weights: Tensor,
    q_proj_scales: Tensor,
    q_proj_zps: Tensor,
    q_proj_bias: Tensor,
    k_proj_weights: Tensor,
    k_proj_scales: Tensor,
    k_proj_zps: Tensor,
    k_proj_bias: Tensor,
    v_proj_weights: Tensor,
    v_proj_scales: Tensor,
    v_proj_zps: Tensor,
    v_proj_bias: Tensor,
    o_proj_weights: Tensor,
    o_proj_scales: Tensor,
    o_proj_zps: Tensor,
    o_proj_bias: Tensor,
    down_proj_weights: Tensor,
    down_proj_scales: Tensor,
    down_proj_zps: Tensor,
    gate_proj_weights: Tensor,
    gate_proj_scales: Tensor,
    gate_proj_zps: Tensor,
    up_proj_weights: Tensor,
    up_proj_scales: Tensor,
    up_proj_zps: Tensor,
    input_layernorm_weight: Tensor,
    post_attention_layernorm_weight: Tensor,
    cos: Sequence[Tensor],
    sin: Sequence[Tensor],
    out_dtype: str = "float16",
    group_size: int = 128,
    weight_bits: int = 4,
    hidden_size: int = 3584,
    rms_norm_eps: float = 1e-06,
    num_attention_heads: int = 28,
    num_key_value_heads: int = 4,
    mrope_section: Sequence[int] = (16, 24, 24),
    quant_method: str = "gptq",
    out_name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """A block of a Qwen2 model, prefill stage.

    Raises:
        NotInTpuLangError: always; write it with `a16matmul`, `rms_norm`, `rope`, `matmul` and `softmax`.
    """
    raise _block("qwen2_block")


@operator
def qwen2_block_cache(
    hidden_states: Tensor,
    position_ids: Tensor,
    attention_mask: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    q_proj_weights: Tensor,
    q_proj_scales: Tensor,
    q_proj_zps: Tensor,
    q_proj_bias: Tensor,
    k_proj_weights: Tensor,
    k_proj_scales: Tensor,
    k_proj_zps: Tensor,
    k_proj_bias: Tensor,
    v_proj_weights: Tensor,
    v_proj_scales: Tensor,
    v_proj_zps: Tensor,
    v_proj_bias: Tensor,
    o_proj_weights: Tensor,
    o_proj_scales: Tensor,
    o_proj_zps: Tensor,
    o_proj_bias: Tensor,
    down_proj_weights: Tensor,
    down_proj_scales: Tensor,
    down_proj_zps: Tensor,
    gate_proj_weights: Tensor,
    gate_proj_scales: Tensor,
    gate_proj_zps: Tensor,
    up_proj_weights: Tensor,
    up_proj_scales: Tensor,
    up_proj_zps: Tensor,
    input_layernorm_weight: Tensor,
    post_attention_layernorm_weight: Tensor,
    cos: Sequence[Tensor],
    sin: Sequence[Tensor],
    out_dtype: str = "float16",
    group_size: int = 128,
    weight_bits: int = 4,
    hidden_size: int = 3584,
    rms_norm_eps: float = 1e-06,
    num_attention_heads: int = 28,
    num_key_value_heads: int = 4,
    mrope_section: Sequence[int] = (16, 24, 24),
    quant_method: str = "gptq",
    out_name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """A block of a Qwen2 model, decode stage.

    Raises:
        NotInTpuLangError: always; write it with `a16matmul`, `rms_norm`, `rope`, `matmul` and `softmax`.
    """
    raise _block("qwen2_block_cache")


def _block(name: str) -> NotInTpuLangError:
    return NotInTpuLangError(
        f"{name} is a whole block of a model", position=here(), help="write it with a16matmul, rms_norm, rope, matmul and softmax"
    )


def _without_ones(tensor: Tensor) -> list[int]:
    return [size for size in tensor.shape if size > 1]
