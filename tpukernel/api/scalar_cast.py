"""TPUKernel functions that convert one number on the host, as the chip's casts do.

A number is a `Constant` of the type that it is converted to, which every scalar parameter of a TPUKernel function takes; its `value` is the
number in Python. Source: compared with the official functions on random bits (`tests/vendor/test_utils.py`).
"""

from __future__ import annotations

import numpy as np

from tpukernel.api.arguments import FloatDtype, IntDtype, ScalarArg
from tpukernel.api.errors import ArgumentError
from tpukernel.api.function import host_function
from tpukernel.api.operands import constant
from tpukernel.api.utils import GROUP
from tpukernel.chips.tensors import Constant
from tpukernel.dtypes import Dtype, bf16, f16
from tpukernel.isa.rounding import Rounding

__all__ = ["tpu_cast", "tpu_fp_cast", "tpu_fp_to_int_cast", "tpu_int_cast", "tpu_int_to_fp_cast"]

_MODES = (Rounding.HALF_EVEN, Rounding.HALF_AWAY, Rounding.TOWARD_ZERO, Rounding.DOWN, Rounding.UP)


@host_function(GROUP)
def tpu_int_cast(src: ScalarArg, dst_dtype: IntDtype, src_dtype: IntDtype) -> Constant:
    """An integer as one of another type; one out of range saturates."""
    return _cast(src, dst_dtype, src_dtype, Rounding.HALF_EVEN)


@host_function(GROUP)
def tpu_fp_cast(src: ScalarArg, dst_dtype: FloatDtype, src_dtype: FloatDtype, mode: Rounding) -> Constant:
    """A float as one of another type; to the same type it keeps all 32 bits that were given.

    Raises:
        ArgumentError: from f16 to bf16 or back, or with a rounding mode other than the first five.
    """
    return _cast(src, dst_dtype, src_dtype, mode)


@host_function(GROUP)
def tpu_fp_to_int_cast(src: ScalarArg, dst_dtype: IntDtype, src_dtype: FloatDtype, mode: Rounding) -> Constant:
    """A float rounded to an integer; one out of range saturates, a NaN becomes 0.

    Raises:
        ArgumentError: a rounding mode other than the first five.
    """
    return _cast(src, dst_dtype, src_dtype, mode)


@host_function(GROUP)
def tpu_int_to_fp_cast(src: ScalarArg, dst_dtype: FloatDtype, src_dtype: IntDtype, mode: Rounding) -> Constant:
    """An integer as a float, rounded once.

    Raises:
        ArgumentError: a rounding mode other than the first five.
    """
    return _cast(src, dst_dtype, src_dtype, mode)


@host_function(GROUP)
def tpu_cast(src: ScalarArg, dst_dtype: Dtype, src_dtype: Dtype, mode: Rounding) -> Constant:
    """A number as one of another type, as the function above for these two types; between integers the mode is not used.

    Raises:
        ArgumentError: as that function.
    """
    return _cast(src, dst_dtype, src_dtype, mode)


def _cast(src: ScalarArg, dst_dtype: Dtype, src_dtype: Dtype, mode: Rounding) -> Constant:
    from tpukernel.sim.interpreter.numerics import casts  # a recording does not need the simulator

    given = constant(src, src_dtype)
    if {dst_dtype, src_dtype} == {f16, bf16}:
        raise ArgumentError(f"there is no cast from {src_dtype} to {dst_dtype}", help="go over f32")
    if mode not in _MODES and (dst_dtype.is_float or src_dtype.is_float):
        raise ArgumentError(f"a cast cannot round with {mode.name}", help=f"use one of {', '.join(each.name for each in _MODES)}")
    if dst_dtype == src_dtype and dst_dtype.is_float:
        return given
    raw = np.array([given.bits & ((1 << src_dtype.bits) - 1)], f"u{src_dtype.itemsize}")
    found = casts.cast(raw.view(src_dtype.numpy), dst_dtype, mode)
    return Constant(int(found.view(f"u{dst_dtype.itemsize}")[0]), dst_dtype)
