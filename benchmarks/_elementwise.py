"""Cases of the units that compute element by element, with numpy (ml_dtypes for bf16) and with contiguous memory beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks._cases import CHIP, Arrays, Case, Memories, Reference, elements_of
from tpukernel import Dtype, bf16, f16, f32, i8, i16, i32, u8
from tpukernel.chips.tensors import Constant, Dim4, Layout
from tpukernel.isa import (
    Arith,
    ArithOp,
    Compare,
    CompareOp,
    IndexGen,
    IndexGenOp,
    Instruction,
    LaneMove,
    LaneMoveOp,
    Linear,
    LinearOp,
    Quant,
    QuantOp,
    Rounding,
    Special,
    SpecialOp,
    Vector,
    VectorOp,
    lane_table,
)
from tpukernel.sim.memory import Array

__all__ = ["CONTIGUOUS", "NUMPY", "elementwise_cases", "moving_as_much", "tile_cases"]

NUMPY, CONTIGUOUS = "numpy", "contiguous"
"""Names of contenders: numpy's own operation on arrays of the types (ml_dtypes' for bf16), and numpy moving as many bytes."""

Make = Callable[[], Case]


@dataclass(frozen=True)
class _Op:
    """An operation of AR: its types and what numpy calls it (None: nothing there does the same)."""

    op: ArithOp
    dtypes: tuple[tuple[Dtype, ...], ...]
    ufunc: np.ufunc | None
    rest: dict[str, object] = field(default_factory=dict[str, object])


def _same(*dtypes: Dtype, sources: int = 2) -> tuple[tuple[Dtype, ...], ...]:
    return tuple((dtype,) * (1 + sources) for dtype in dtypes)


_ROUNDED: dict[str, object] = {"rounding": Rounding.HALF_EVEN}
ARITH = (
    _Op(ArithOp.ADD, _same(f32, f16, bf16, i32, i16, i8), np.add),
    _Op(ArithOp.MUL, _same(f32, f16, bf16, i32, i8), np.multiply),
    _Op(ArithOp.SUB, _same(f32), np.subtract),
    _Op(ArithOp.MAX, _same(f32, f16, bf16, u8), np.maximum),
    _Op(ArithOp.DIV, _same(f32), np.divide, {"iterations": 3}),
    _Op(ArithOp.ADDS, _same(i8, i16), None),
    _Op(ArithOp.MULS, _same(i8), None),
    _Op(ArithOp.MUL_HIGH, _same(i32), None, _ROUNDED),
    _Op(ArithOp.AND, _same(i32), np.bitwise_and),
    _Op(ArithOp.SELECT_GREATER, _same(f32), None),
    _Op(ArithOp.ABS_DIFF, _same(f32), None),
    _Op(ArithOp.ABS, _same(f32, f16, sources=1), np.absolute),
    _Op(ArithOp.COPY, _same(f32, f16, i8, sources=1), np.positive),
    _Op(ArithOp.CAST, ((f16, f32), (f32, f16), (bf16, f32), (f32, bf16), (i8, f32), (f32, i8), (i16, i32)), None, _ROUNDED),
)
SHAPES: dict[str, Dim4] = {"784": (1, 64, 28, 28), "3136": (1, 64, 56, 56), "12544": (1, 64, 112, 112)}
"""By elements of a lane."""
ALL_SIZES = (ArithOp.ADD, ArithOp.MUL)


TILES = (
    (ArithOp.ADD, f32),
    (ArithOp.MUL, f32),
    (ArithOp.ADD, i32),
    (ArithOp.ADD, i8),
    (ArithOp.COPY, f32),
    (ArithOp.ADD, f16),
    (ArithOp.ADD, bf16),
)
"""Operations to compare with contiguous memory."""


def tile_cases(*, small: bool) -> Iterator[tuple[str, Make]]:
    """Cases whose speed is that of memory: names, and what makes the case."""
    for op, dtype in TILES:
        [entry] = [entry for entry in ARITH if entry.op is op]
        for size in ["784"] if small else SHAPES:
            yield f"{op.name} {dtype} {size}/lane", partial(_arith, entry, (dtype,) * (2 if op is ArithOp.COPY else 3), SHAPES[size])


def moving_as_much(arrays: Arrays) -> Callable[[], object]:
    """Numpy adds or copies as many bytes as the instruction, in one piece."""
    tensors = [array for array in arrays.values() if array.ndim]
    out, *given = (np.ones(array.size * array.itemsize // 4, np.uint32) for array in tensors)
    if len(given) == 2:
        return lambda: np.add(given[0], given[1], out=out)
    return lambda: np.copyto(out, given[0])


def elementwise_cases(*, small: bool) -> Iterator[tuple[str, Make]]:
    """Names, and what makes the case."""
    for entry in ARITH:
        for dtypes in entry.dtypes:
            sizes = list(SHAPES) if entry.op in ALL_SIZES and dtypes[0].is_float else ["3136"]
            for size in ["784"] if small else sizes:
                types = str(dtypes[0]) if len(set(dtypes)) == 1 else f"{dtypes[1]} to {dtypes[0]}"
                yield f"AR {entry.op.name} {types} {size}/lane", partial(_arith, entry, dtypes, SHAPES[size])
    shape = SHAPES["784" if small else "3136"]
    for dtype in (f32, f16, bf16):
        yield f"LIN MAC {dtype}", partial(_linear, dtype, shape)
        yield f"SFU TAYLOR {dtype}", partial(_taylor, dtype, shape)
        yield f"SFU EXPONENT {dtype}", partial(_special, SpecialOp.EXPONENT, i32 if dtype == f32 else i16, dtype, shape)
    yield "SFU RSQRT f32", partial(_special, SpecialOp.RSQRT, f32, f32, shape)
    for dtype in (f32, f16, i8):
        yield f"CMP SELECT_GREATER {dtype}", partial(_compare, dtype, shape)
        yield f"VC ADD {dtype}", partial(_vector, dtype, 64 if small else 512)
    for op, dst, src in (
        (QuantOp.REQUANT_FP, i8, i32),
        (QuantOp.DEQUANT_FP, f32, i8),
        (QuantOp.REQUANT_INT, i8, i32),
        (QuantOp.DEQUANT_INT, i32, i8),
    ):
        yield f"RQ&DQ {op.name} {src} to {dst}", partial(_quant, op, dst, src, shape)
    side = 64 if small else 256
    for dtype in (f32, f16, i8):
        for op in (LaneMoveOp.CW_TRANSPOSE, LaneMoveOp.WC_TRANSPOSE):
            yield f"transpose {op.name} {dtype}", partial(_transpose, op, dtype, side)
        yield f"LANE_BROADCAST {dtype}", partial(_broadcast, dtype, shape)
    yield "SEG ELEMENT i32", partial(_index, shape)


# ---------------------------------------------------------------------------- numpy


def _ufunc(function: np.ufunc, sources: int) -> Reference:
    def made(arrays: Arrays) -> Callable[[], object]:
        given = [np.ascontiguousarray(arrays[name]) for name in ("src0", "src1")[:sources]]
        out = np.empty_like(given[0])
        return lambda: function(*given, out=out)

    return made


def _cast(arrays: Arrays) -> Callable[[], object]:
    source, out = np.ascontiguousarray(arrays["src0"]), np.empty_like(arrays["dst"])

    def run() -> None:
        with np.errstate(all="ignore"):
            np.copyto(out, source, casting="unsafe")

    return run


# ---------------------------------------------------------------------------- instructions


def _elements(instruction: Instruction, references: dict[str, Reference], **contents: Array) -> Case:
    return Case(instruction, contents, elements_of(instruction), "element", references)


def _arith(entry: _Op, dtypes: tuple[Dtype, ...], shape: Dim4) -> Case:
    memories = Memories()
    dst, *sources = (memories.tensor(shape, dtype) for dtype in dtypes)
    rest = dict(entry.rest)
    if entry.op is ArithOp.SELECT_GREATER:
        rest["src2"] = Constant(1, dtypes[0])
    values: dict[str, Any] = {"dst": dst, **{f"src{k}": source for k, source in enumerate(sources)}, **rest}
    references: dict[str, Reference] = {}
    if entry.ufunc is not None:
        references[NUMPY] = _ufunc(entry.ufunc, len(sources))
    if entry.op is ArithOp.CAST:
        references[NUMPY] = _cast
    return _elements(Arith(op=entry.op, **values), references)


def _linear(dtype: Dtype, shape: Dim4) -> Case:
    memories = Memories()
    dst, src = (memories.tensor(shape, dtype) for _ in range(2))
    scale, bias = (memories.tensor((1, shape[1], 1, 1), dtype, Layout.COMPACT) for _ in range(2))

    def reference(arrays: Arrays) -> Callable[[], object]:
        out = np.empty_like(arrays["dst"])

        def run() -> None:
            np.multiply(arrays["src0"], arrays["src1"], out=out)
            np.add(out, arrays["src2"], out=out)

        return run

    return _elements(Linear(op=LinearOp.MAC, dst=dst, src0=src, src1=scale, src2=bias), {NUMPY: reference})


def _taylor(dtype: Dtype, shape: Dim4) -> Case:
    memories = Memories()
    dst, src = (memories.tensor(shape, dtype) for _ in range(2))
    count = 8
    table = lane_table(CHIP, -(-memories.lane_end // 64) * 64, (1, shape[1], 1, count), dtype)
    memories.lane_end = table.address + count * dtype.itemsize
    values = np.broadcast_to((1 / np.cumprod([1, *range(1, count)])).astype(np.float32).astype(dtype.numpy), table.shape)
    return _elements(Special(op=SpecialOp.TAYLOR, dst=dst, src=src, coeff=table), {}, coeff=values)


def _special(op: SpecialOp, dst: Dtype, src: Dtype, shape: Dim4) -> Case:
    memories = Memories()
    out, given = memories.tensor(shape, dst), memories.tensor(shape, src)
    if op is not SpecialOp.RSQRT:
        return _elements(Special(op=op, dst=out, src=given), {})
    values = np.random.default_rng(1).uniform(0.1, 10, shape).astype(np.float32)
    return _elements(Special(op=op, dst=out, src=given, iterations=3), {}, src=values)


def _compare(dtype: Dtype, shape: Dim4) -> Case:
    memories = Memories()
    dst, *sources = (memories.tensor(shape, dtype) for _ in range(5))

    def reference(arrays: Arrays) -> Callable[[], object]:
        a, b, c, d = (arrays[f"src{k}"] for k in range(4))
        return lambda: np.where(a > b, c, d)

    a, b, c, d = sources
    return _elements(Compare(op=CompareOp.SELECT_GREATER, dst=dst, src0=a, src1=b, src2=c, src3=d), {NUMPY: reference})


def _vector(dtype: Dtype, side: int) -> Case:
    memories = Memories()
    rows = memories.tensor((1, side // 16, 1, 16), dtype)
    columns = memories.tensor((1, 64, 1, 4), dtype)
    dst = memories.tensor((side, 64, 1, 4), dtype, unit=4096)
    return _elements(Vector(op=VectorOp.ADD, dst=dst, src0=rows, src1=columns), {})


def _quant(op: QuantOp, dst: Dtype, src: Dtype, shape: Dim4) -> Case:
    memories = Memories()
    command: dict[str, Any] = {"dst": memories.tensor(shape, dst), "src": memories.tensor(shape, src), "rounding": Rounding.HALF_EVEN}
    scale = Constant.of(0.037, f32)
    table: dict[QuantOp, dict[str, Any]] = {
        QuantOp.REQUANT_FP: {"scale": Constant.of(1e-7, f32), "offset": Constant.of(3.0, f32), "src_rounding": Rounding.HALF_EVEN},
        QuantOp.DEQUANT_FP: {"scale": scale, "offset": Constant(3, i16)},
        QuantOp.REQUANT_INT: {"multiplier": Constant(1234567, i32), "shift": -45, "offset": Constant(3, i16)},
        QuantOp.DEQUANT_INT: {"multiplier": Constant(12345, i32), "shift": -3, "offset": Constant(3, i16)},
    }
    return _elements(Quant(op=op, **command, **table[op]), {})


def _transpose(op: LaneMoveOp, dtype: Dtype, side: int) -> Case:
    memories = Memories()
    shape = (1, side, 4, side)
    dst = memories.tensor(shape, dtype, Layout.LINE_ALIGNED if op is LaneMoveOp.CW_TRANSPOSE else Layout.EU_ALIGNED)
    src = memories.tensor(shape, dtype)

    def reference(arrays: Arrays) -> Callable[[], object]:
        source, out = arrays["src"].transpose(0, 3, 2, 1), np.empty(shape, dtype.numpy)
        return lambda: np.copyto(out, source)

    return _elements(LaneMove(op=op, dst=dst, src=src), {NUMPY: reference})


def _broadcast(dtype: Dtype, shape: Dim4) -> Case:
    memories = Memories()
    dst = memories.tensor(shape, dtype)
    return _elements(LaneMove(op=LaneMoveOp.LANE_BROADCAST, dst=dst, src=memories.tensor((shape[0], 1, *shape[2:]), dtype)), {})


def _index(shape: Dim4) -> Case:
    return _elements(IndexGen(op=IndexGenOp.ELEMENT, dst=Memories().tensor((1, 64, 1, shape[2] * shape[3]), i32)), {})
