"""TPUKernel: kernels, instructions, chips and simulator of the Sophon TPUs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tpukernel.chips import BM1684, BM1684X
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32

if TYPE_CHECKING:
    from tpukernel.lang import (
        Builder,
        In,
        InOut,
        Kernel,
        Out,
        TensorSpec,
        Tile,
        align,
        autotune,
        cdiv,
        kernel,
        load,
        load_all,
        maximum,
        minimum,
        packed_weights,
        parse,
        parse_all,
        sweep,
    )

__version__ = "0.1.0"
_LANGUAGE = [
    *("Builder", "In", "InOut", "Kernel", "Out", "TensorSpec", "Tile"),
    *("align", "autotune", "cdiv", "kernel", "maximum", "minimum", "packed_weights", "sweep"),
    *("load", "load_all", "parse", "parse_all"),
]
"""Names of the kernel language, which is loaded when the first of them is used."""

__all__ = ["BM1684", "BM1684X", "Dtype", "bf16", "f16", "f32", "i8", "i16", "i32", "u8", "u16", "u32"]
__all__ += ["Builder", "In", "InOut", "Kernel", "Out", "TensorSpec", "Tile"]
__all__ += ["align", "autotune", "cdiv", "kernel", "maximum", "minimum", "packed_weights", "sweep"]
__all__ += ["load", "load_all", "parse", "parse_all"]


def __getattr__(name: str) -> object:
    if name not in _LANGUAGE:
        raise AttributeError(f"module 'tpukernel' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    from tpukernel import lang

    return getattr(lang, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LANGUAGE})
