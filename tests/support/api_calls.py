"""Calls of the TPUKernel functions in Python with the raw parameters of a recorded or drawn call in C."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from tests.support.oracle import Call, Value, record
from tpukernel import BM1684X
from tpukernel.api import Bits, Function, Variable, rows
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa import Instruction, Rounding, encode

Params = Mapping[str, Value]

DTYPES: dict[int, Dtype] = {1: i8, 0: u8, 3: f16, 5: f32, 7: i16, 6: u16, 9: i32, 8: u32, 11: bf16}
"""Types by ``data_type_t``."""


def _variable(value: object) -> Variable:
    """A ``variable_t`` of a call: ("const", raw bits), ("addr" or "vector", local address), or a dictionary of one item."""
    [(form, raw)] = cast("dict[str, int]", value).items() if isinstance(value, dict) else [cast("tuple[str, int]", value)]
    if form == "const":
        return Variable.scalar(Bits(raw))
    return Variable.vector(raw) if form == "vector" else Variable.tensor(raw)


_PYTHON: dict[str, Callable[[object], object]] = {
    "dtype": lambda value: DTYPES[cast("int", value)],
    "rounding": lambda value: Rounding(cast("int", value)),
    "scalar": lambda value: Bits(cast("int", value)),
    "variable": _variable,
    **{kind: lambda value: tuple(cast("Sequence[int]", value)) for kind in ("dim4", "dim2", "padding")},
    "stride": lambda value: None if value is None else tuple(cast("Sequence[int]", value)),
}
"""From the raw value of a parameter of some kind to what Python code gives."""


def emitting(*units: type[Instruction]) -> list[str]:
    """The functions that emit instructions of these units, and no others."""
    return sorted(name for name, row in rows().items() if isinstance(row, Function) and row.emits and set(row.emits) <= set(units))


def python_arguments(name: str, params: Params) -> dict[str, object]:
    """The arguments with which Python code makes the recorded call."""
    row = cast("Function[...]", rows()[name])
    return {each.name: _PYTHON.get(each.kind.name, lambda value: value)(params[each.name]) for each in row.parameters}


def instructions(name: str, params: Params) -> list[Instruction]:
    """The instructions of the call, with the numbers of a first call: 1, 2, ... for each engine, without dependencies."""
    row = cast("Function[...]", rows()[name])
    counts = {"tiu": 0, "gdma": 0}
    found: list[Instruction] = []
    for instruction in row.instructions(**python_arguments(name, params)):
        counts[instruction.engine] += 1
        found.append(instruction.numbered(counts[instruction.engine], 0))
    return found


def encoded(instructions: Sequence[Instruction]) -> tuple[bytes, bytes]:
    """The TIU and the GDMA stream of the instructions."""
    tiu, gdma = ([i for i in instructions if i.engine == engine] for engine in ("tiu", "gdma"))
    return encode(BM1684X, tiu), encode(BM1684X, gdma)


def check_against_library(name: str, calls: Sequence[Params]) -> None:
    """The function makes the bytes that the official library records for the same calls."""
    for given, recorded in zip(calls, record(Call.of(name, each) for each in calls), strict=True):
        assert recorded.rejected is None, given
        assert encoded(instructions(name, given)) == (recorded.tiu, recorded.gdma), given
