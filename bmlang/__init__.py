"""BMLang: tensor programs and models for Sophon TPUs::

    import bmlang as bm

    @bm.function
    def swish_gate(x, gate, *, beta: float = 1.0):
        return x * bm.sigmoid(beta * x) * gate

Names are loaded when they are used: the simulator and the compiler take their time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32

if TYPE_CHECKING:
    from bmlang.layers.activations import exp, gelu, relu, sigmoid, tanh
    from bmlang.layers.base import Layer
    from bmlang.layers.cast import cast
    from bmlang.layers.conv import conv
    from bmlang.layers.elementwise import abs, add, div, max, min, mul, neg, square, sub
    from bmlang.layers.matmul import matmul
    from bmlang.layers.pool import avg_pool, max_pool
    from bmlang.layers.shape import reshape
    from bmlang.layers.tensor import Tensor
    from bmlang.program.compile import Model, compile
    from bmlang.program.function import Function, function, spec
    from bmlang.runtime import Runtime

HOMES = {
    "bmlang.layers.activations": ("exp", "gelu", "relu", "sigmoid", "tanh"),
    "bmlang.layers.base": ("Layer",),
    "bmlang.layers.cast": ("cast",),
    "bmlang.layers.conv": ("conv",),
    "bmlang.layers.elementwise": ("abs", "add", "div", "max", "min", "mul", "neg", "square", "sub"),
    "bmlang.layers.matmul": ("matmul",),
    "bmlang.layers.pool": ("avg_pool", "max_pool"),
    "bmlang.layers.shape": ("reshape",),
    "bmlang.layers.tensor": ("Tensor",),
    "bmlang.program.compile": ("Model", "compile"),
    "bmlang.program.function": ("Function", "function", "spec"),
    "bmlang.runtime": ("Runtime",),
}
"""By module: the names that come from it. Type checkers read the imports above; a test keeps both equal, and complete."""
HOME = {name: module for module, names in HOMES.items() for name in names}

__all__ = ["Dtype", "bf16", "f16", "f32", "i8", "i16", "i32", "u8", "u16", "u32"]
__all__ += ["Function", "Layer", "Model", "Runtime", "Tensor", "compile", "function", "spec"]
__all__ += [
    "abs",
    "add",
    "avg_pool",
    "cast",
    "conv",
    "div",
    "exp",
    "gelu",
    "matmul",
    "max",
    "max_pool",
    "min",
    "mul",
    "neg",
    "relu",
    "reshape",
]
__all__ += ["sigmoid", "square", "sub", "tanh"]


def __getattr__(name: str) -> object:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *HOME})
