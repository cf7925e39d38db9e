"""The kernel of `examples/abs_add.py`, and the calls in C that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from runpy import run_path
from typing import Protocol, cast

from tests.support.api_calls import DTYPES
from tests.support.oracle import Call, Value
from tpukernel.api import rows
from tpukernel.chips.tensors import Constant, Dim4
from tpukernel.dtypes import Dtype
from tpukernel.isa import Program

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "abs_add.py"
CODES = {dtype: code for code, dtype in DTYPES.items()}
RECORDED = ("tpu_parallel_", "tpu_bdc_", "tpu_gdma_")
"""Functions that act on the command stream; the others compute sizes."""


class Build(Protocol):
    """`build` of the example."""

    def __call__(self, input_addr: int, output_addr: int, shape: Dim4, c: float, dtype: Dtype) -> Program: ...


def build(*, watch: Callable[[Call], None] | None = None) -> Build:
    """The function that records the kernel; `watch` sees each call of a TPUKernel function before it is made."""
    found = run_path(str(EXAMPLE))["build"]
    if watch is not None:
        names = cast("dict[str, object]", found.__globals__)
        names |= {name: partial(_watched, watch, name) for name in names.keys() & rows().keys() if name.startswith(RECORDED)}
    return cast("Build", found)


def _watched(watch: Callable[[Call], None], name: str, *args: object) -> object:
    watch(Call(name, tuple(map(_raw, args))))
    return cast("Callable[..., object]", rows()[name])(*args)


def _raw(value: object) -> Value:
    """An argument as the oracle takes it."""
    if isinstance(value, Dtype):
        return CODES[value]
    return value.bits if isinstance(value, Constant) else cast("Value", value)
