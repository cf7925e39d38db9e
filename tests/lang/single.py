"""Kernels of one operation, for its comparison with numpy: inputs are loaded, the operation runs, the result is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

import tpukernel as tpu
from tpukernel.chips.tensors import Layout
from tpukernel.dtypes import Dtype, dtype_of
from tpukernel.lang import Global, Size

Array = NDArray[Any]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """How a tensor lies in local memory; `over_lanes` makes a matrix of it, `repeated` copies one channel to that many lanes."""

    layout: Layout = Layout.EU_ALIGNED
    over_lanes: Literal["rows", "columns"] | None = None
    columns_per_channel: int | None = None
    repeated: int = 0


PLAIN = Place()
COMPACT = Place(Layout.COMPACT)
WEIGHT = Place(Layout.WEIGHT)
LINES = Place(Layout.LINE_ALIGNED)
ROWS = Place(over_lanes="rows")

T = tpu.Tile
Step = (
    Callable[[tpu.Builder, T], object]
    | Callable[[tpu.Builder, T, T], object]
    | Callable[[tpu.Builder, T, T, T], object]
    | Callable[[tpu.Builder, T, T, T, T], object]
    | Callable[[tpu.Builder, T, T, T, T, T], object]
)
"""k, dst, and the inputs."""


def tile(k: tpu.Builder, shape: Sequence[Size], dtype: Dtype, place: Place) -> tpu.Tile:
    """A buffer."""
    if place.over_lanes is not None:
        rows, columns = shape
        return k.matrix(rows, columns, dtype, over_lanes=place.over_lanes, columns_per_channel=place.columns_per_channel)
    if place.repeated:
        n, _, h, w = shape
        return k.local((n, place.repeated, h, w), dtype, layout=place.layout)
    return k.local(shape, dtype, layout=place.layout)


def result(
    step: Step,
    shape: tuple[int, ...],
    dtype: Dtype,
    *inputs: tuple[Array, Place],
    place: Place = PLAIN,
    before: Array | float | None = None,
) -> Array:
    """What an operation makes of its inputs, the same from both engines.

    Args:
        step: `def step(k, dst, *tiles)`.
        shape: of the result.
        dtype: of the result.
        inputs: arrays with the way in which they lie.
        place: how the result lies.
        before: what the result holds before.
    """
    arrays = [array for array, _ in inputs]
    start = None if before is None else np.broadcast_to(np.asarray(before, dtype.numpy), shape).copy()
    given = [*arrays, *([] if start is None else [start])]
    kernel = _kernel(len(given), step, shape, dtype, [each for _, each in inputs], place, start is not None)
    one, other = (next(iter(kernel.run(*given, engine=engine).values())) for engine in ("interpreter", "jit"))
    assert one.tobytes() == other.tobytes()
    _same_as_text(kernel, given)
    return one


def _same_as_text(kernel: tpu.Kernel, given: Sequence[Array]) -> None:
    """What is printed is a kernel with the same program."""
    names = kernel.signature.inputs
    shapes = {name: array.shape for name, array in zip(names, given, strict=True)}
    dtypes = {name: dtype_of(array.dtype) for name, array in zip(names, given, strict=True)}
    read = tpu.parse(str(kernel.ir(shapes, dtypes)))
    assert read.program(shapes, dtypes).streams() == kernel.program(shapes, dtypes).streams()


def _kernel(count: int, step: Step, shape: tuple[int, ...], dtype: Dtype, places: list[Place], place: Place, started: bool) -> tpu.Kernel:
    def spec(*_inputs: tpu.TensorSpec) -> tpu.TensorSpec:
        return tpu.TensorSpec(shape, dtype)

    def body(k: tpu.Builder, given: Sequence[Global], out: Global) -> None:
        tiles: list[tpu.Tile] = []
        for x, where in zip(given, places, strict=False):
            buffer = tile(k, x.shape, x.dtype, where)
            if where.repeated:
                k.dma.broadcast(buffer, x)
            else:
                k.dma.load(buffer, x, fill=0 if where.over_lanes == "columns" else None)
            tiles.append(buffer)
        dst = tile(k, shape, dtype, place)
        if started:
            k.dma.load(dst, given[-1])
        cast("Callable[..., object]", step)(k, dst, *tiles)
        k.dma.store(out, dst)

    def none(k: tpu.Builder, out: tpu.Out) -> None:
        body(k, (), out)

    def one(k: tpu.Builder, a: tpu.In, out: tpu.Out) -> None:
        body(k, (a,), out)

    def two(k: tpu.Builder, a: tpu.In, b: tpu.In, out: tpu.Out) -> None:
        body(k, (a, b), out)

    def three(k: tpu.Builder, a: tpu.In, b: tpu.In, c: tpu.In, out: tpu.Out) -> None:
        body(k, (a, b, c), out)

    def four(k: tpu.Builder, a: tpu.In, b: tpu.In, c: tpu.In, d: tpu.In, out: tpu.Out) -> None:
        body(k, (a, b, c, d), out)

    def five(k: tpu.Builder, a: tpu.In, b: tpu.In, c: tpu.In, d: tpu.In, e: tpu.In, out: tpu.Out) -> None:
        body(k, (a, b, c, d, e), out)

    return tpu.kernel(infer=spec)((none, one, two, three, four, five)[count])


def integers(shape: Sequence[int], dtype: Dtype, seed: int = 0, low: int | None = None, high: int | None = None) -> Array:
    """Random integers, by default of the whole range of the type."""
    first, last = dtype.limits
    generator = np.random.default_rng(seed)
    return generator.integers(first if low is None else low, (last if high is None else high) + 1, shape).astype(dtype.numpy)


def floats(shape: Sequence[int], dtype: Dtype, seed: int = 0) -> Array:
    """Random numbers of the normal distribution."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype.numpy)


def windows(x: Floats, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int, int, int], dilation: tuple[int, int],
            insert: tuple[int, int] = (0, 0), pad: float = 0.0, between: float = 0.0) -> Floats:  # fmt: skip
    """(n, c, oh, ow, kh, kw): the elements under each window, after inserting and padding."""
    n, c, h, w = x.shape
    spread = np.full((n, c, (h - 1) * (insert[0] + 1) + 1, (w - 1) * (insert[1] + 1) + 1), between)
    spread[:, :, :: insert[0] + 1, :: insert[1] + 1] = x
    top, bottom, left, right = padding
    padded = np.pad(spread, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=pad)
    reach = ((kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1)
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, (2, 3))
    return views[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def saturated(x: Floats | Integers, dtype: Dtype) -> Integers:
    """Limited to the range of an integer type."""
    return np.clip(x, *dtype.limits).astype(np.int64)


def shifted(x: Integers, right: int) -> Integers:
    """x >> right, rounded half up."""
    return (x + (1 << right >> 1)) >> right
