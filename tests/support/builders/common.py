"""What builders share: reading the parameters of a call, and making operands of them.

Parameters have the names of the public prototypes and the values that ``signatures.Parameter`` describes, or their form in the golden index
(lists for tuples, a dictionary of one item for a ``variable_t``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from tpukernel import BM1684X
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32
from tpukernel.isa import Instruction, encode

Params = Mapping[str, object]
Builder = Callable[[Params], list[Instruction]]

DTYPES: dict[int, Dtype] = {1: i8, 0: u8, 3: f16, 5: f32, 7: i16, 6: u16, 9: i32, 8: u32, 11: bf16}
"""Types by ``data_type_t``."""

SIGNED: dict[int, Dtype] = {8: i8, 16: i16, 32: i32}
"""Signed integer types by width; the library computes with them where the bits of a float are meant."""


def number(params: Params, name: str) -> int:
    """An integer, enumeration, address or raw scalar."""
    value = params[name]
    if not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}")
    return value


def dims(params: Params, name: str = "shape") -> Dim4:
    """A ``dim4``."""
    n, c, h, w = cast("Sequence[int]", params[name])
    return n, c, h, w


def dtype(params: Params, name: str = "dtype") -> Dtype:
    """A ``data_type_t``."""
    return DTYPES[number(params, name)]


def f32_of(value: object) -> Constant:
    """A C float."""
    return Constant(struct.unpack("<I", struct.pack("<f", cast("float", value)))[0], f32)


def scalar(params: Params, name: str, kind: Dtype) -> Constant:
    """A ``scalar_t``."""
    return Constant(number(params, name), kind)


def tensor(
    params: Params, name: str, shape: Dim4, kind: Dtype, layout: Layout = Layout.EU_ALIGNED, strides: Dim4 | None = None
) -> LocalTensor:
    """The local tensor at the address ``<name>_addr``."""
    return LocalTensor(number(params, f"{name}_addr"), shape, kind, layout, strides)


def strided(params: Params, name: str, kind: Dtype) -> LocalTensor:
    """The local tensor of shape ``shape`` at the address ``<name>_addr`` with the strides ``<name>_stride`` if the call gives them."""
    given = params.get(f"{name}_stride") is not None
    strides = dims(params, f"{name}_stride") if given else None
    return tensor(params, name, dims(params), kind, Layout.FREE if given else Layout.EU_ALIGNED, strides)


def variable(params: Params, name: str, shape: Dim4, kind: Dtype) -> LocalTensor | Constant:
    """A ``variable_t``: a tensor, one element in each lane, or a constant."""
    value = params[name]
    [(form, raw)] = cast("dict[str, int]", value).items() if isinstance(value, dict) else [cast("tuple[str, int]", value)]
    if form == "vector":
        return LocalTensor(raw, shape, kind, Layout.FREE, (0, 0, 0, 0))
    return Constant(raw, kind) if form == "const" else LocalTensor(raw, shape, kind)


def numbered(*instructions: Instruction) -> list[Instruction]:
    """The instructions with the numbers of a first call: 1, 2, ... for each engine, without dependencies."""
    counts = {"tiu": 0, "gdma": 0}
    found: list[Instruction] = []
    for instruction in instructions:
        counts[instruction.engine] += 1
        found.append(instruction.numbered(counts[instruction.engine], 0))
    return found


def encoded(instructions: Sequence[Instruction]) -> tuple[bytes, bytes]:
    """The TIU and the GDMA stream of the instructions."""
    tiu, gdma = ([i for i in instructions if i.engine == engine] for engine in ("tiu", "gdma"))
    return encode(BM1684X, tiu), encode(BM1684X, gdma)
