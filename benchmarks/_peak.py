"""How fast this processor multiplies and adds: a loop that works in registers alone, as a contender beside products."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial

from benchmarks._cases import Arrays, Reference
from tpukernel.sim.jit.ir import I64, Function, Type
from tpukernel.sim.jit.llvm import ENTRY, Target, host_target, load

__all__ = ["FUSED", "PEAK", "peaks"]

PEAK = "multiply, add"
"""f32 products that are rounded before they are added, as the chip's are."""
FUSED = "fused"
"""f32 products that are not."""


def peaks(macs: float) -> dict[str, Reference]:
    """The loops, doing that many multiply-adds in one thread."""
    return {PEAK: partial(_contender, macs=macs, fused=False), FUSED: partial(_contender, macs=macs, fused=True)}


def _contender(_: Arrays, macs: float, *, fused: bool) -> Callable[[], object]:
    target = host_target()
    sums = _sums(target)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(load(_module(target, fused)))
    steps = round(macs / (sums * target.vector_bytes // 4))
    return lambda: _ignored(function(steps))


def _ignored(_: int) -> None:
    """A contender that returns a number says how long it took."""


def _sums(target: Target) -> int:
    """Enough sums to be added to while others wait for their last product, and some registers for products."""
    return 24 if target.vector_bytes == 64 else 10


def _module(target: Target, fused: bool) -> str:
    function = Function(ENTRY, [I64], I64, target)
    (steps,) = function.arguments
    vector = Type("float", target.vector_bytes // 4)
    factor = steps.convert("sitofp", Type("float")).splat(vector.lanes)
    with function.loop(0, steps, carried=[function.constant(vector, 0)] * _sums(target)) as loop:
        if fused:
            loop.next = [factor.intrinsic("fma", factor, total) for total in loop.values]
        else:
            loop.next = [total + factor * total for total in loop.values]
    everything = loop.values[0]
    for total in loop.values[1:]:
        everything = everything + total
    bits = everything.bitcast(vector.as_integer)
    function.ret(function.call(f"llvm.vector.reduce.umax.v{vector.lanes}i32", Type("i32"), [bits]).convert("zext", I64))
    return str(function)
