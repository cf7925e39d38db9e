"""Comparisons as vector code; the definition is `interpreter.numerics.compare`. Needs the executor's flushing mode."""

from __future__ import annotations

from tpukernel.dtypes import Dtype
from tpukernel.sim.jit.ir import Value
from tpukernel.sim.jit.numerics.floats import flush, widen

__all__ = ["equal", "greater", "less", "maximum", "minimum"]


def greater(a: Value, b: Value, dtype: Dtype) -> Value:
    """Where `a > b`."""
    return _compare(a, b, dtype, "ogt", "gt")


def equal(a: Value, b: Value, dtype: Dtype) -> Value:
    """Where `a` and `b` are the same bits."""
    del dtype
    return a.compare("eq", b)


def less(a: Value, b: Value, dtype: Dtype) -> Value:
    """Where neither `a >= b` nor `a` and `b` are the same bits."""
    if dtype.is_int:
        return _compare(a, b, dtype, "", "lt")
    return ~(_compare(a, b, dtype, "oge", "") | equal(a, b, dtype))


def maximum(a: Value, b: Value, dtype: Dtype) -> Value:
    """The greater one; `b` where one is NaN."""
    found = greater(a, b, dtype).choose(a, b)
    return found if dtype.is_int else flush(found, dtype)


def minimum(a: Value, b: Value, dtype: Dtype) -> Value:
    """The smaller one; `a` where one is NaN."""
    if dtype.is_int:
        return _compare(a, b, dtype, "", "lt").choose(a, b)
    return flush(_compare(a, b, dtype, "oge", "").choose(b, a), dtype)


def _compare(a: Value, b: Value, dtype: Dtype, floats: str, integers: str) -> Value:
    if dtype.is_int:
        return a.compare(("s" if dtype.is_signed else "u") + integers, b)
    return widen(a, dtype).compare(floats, widen(b, dtype))
