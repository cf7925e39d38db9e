"""The kernels of the examples against numpy, over odd shapes and all types; the interpreter and native execution give the same bits."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.examples import references
from tests.examples.load import FOLDER, example
from tests.examples.references import Case
from tests.support.effort import examples
from tpukernel.dtypes import Dtype

FLOATS = st.sampled_from([tpu.f32, tpu.f16, tpu.bf16])
HALVES = st.sampled_from([tpu.f16, tpu.bf16])
CHANNELS = st.sampled_from([1, 2, 63, 64, 65, 130])
SHAPES = st.tuples(st.integers(1, 2), CHANNELS, st.integers(1, 5), st.integers(1, 70))
SIZES = st.sampled_from([1, 2, 31, 33, 64, 65, 130])
TILES = st.sampled_from([3, 7, 16])
normal = settings(deadline=None, max_examples=examples(5))


def check(case: Case) -> None:
    """Both engines make the same of the arrays, and what numpy makes of them."""
    run = example(case.name).run
    one, other = (next(iter(run(*case.arrays, engine=engine, **case.keywords).values())) for engine in ("interpreter", "jit"))
    assert one.tobytes() == other.tobytes()
    case.require(one)


@given(SHAPES, FLOATS, TILES, TILES)
@normal
def test_abs_add(shape: Sequence[int], dtype: Dtype, tile_h: int, tile_w: int) -> None:
    check(references.abs_add(shape, dtype, tile_h=tile_h, tile_w=tile_w))


@given(SHAPES, FLOATS, TILES, TILES)
@normal
def test_axpy(shape: Sequence[int], dtype: Dtype, tile_h: int, tile_w: int) -> None:
    check(references.axpy(shape, dtype, tile_h=tile_h, tile_w=tile_w))


@given(SHAPES, FLOATS, TILES, TILES)
@normal
def test_scale_bias_relu(shape: Sequence[int], dtype: Dtype, tile_h: int, tile_w: int) -> None:
    check(references.scale_bias_relu(shape, dtype, tile_h=tile_h, tile_w=tile_w))


@given(SHAPES, FLOATS, TILES)
@normal
def test_softmax(shape: Sequence[int], dtype: Dtype, tile: int) -> None:
    check(references.softmax(shape, dtype, tile_h=tile))


@given(SHAPES, FLOATS, TILES)
@normal
def test_layer_norm(shape: Sequence[int], dtype: Dtype, tile: int) -> None:
    check(references.layer_norm(shape, dtype, tile_h=tile))


@given(SHAPES, FLOATS, TILES)
@normal
def test_rms_norm(shape: Sequence[int], dtype: Dtype, tile: int) -> None:
    check(references.rms_norm(shape, dtype, tile_h=tile))


@given(SHAPES, FLOATS, st.sampled_from([3, 28]), st.sampled_from([16, 64]))
@normal
def test_gelu(shape: Sequence[int], dtype: Dtype, tile_h: int, tile_w: int) -> None:
    check(references.gelu(shape, dtype, tile_h=tile_h, tile_w=tile_w))


@given(SIZES, SIZES, SIZES, FLOATS, st.sampled_from([32, 64, 200]))
@normal
def test_matmul(m: int, depth: int, n: int, dtype: Dtype, tile: int) -> None:
    check(references.matmul(m, depth, n, dtype, tile_m=tile, tile_n=tile, tile_k=tile))


@given(st.integers(1, 2), st.sampled_from([1, 31, 65]), st.sampled_from([1, 64, 65]), st.integers(1, 20), st.integers(1, 20), FLOATS,
       st.sampled_from([1, 5, 9]), st.sampled_from([1, 2, 4]))  # fmt: skip
@normal
def test_conv3x3(n: int, ic: int, oc: int, h: int, w: int, dtype: Dtype, stripe: int, tile: int) -> None:
    check(references.conv3x3(n, ic, oc, h, w, dtype, stripe=stripe, tile=tile, tile_oc=64))


@given(SIZES, SIZES, st.sampled_from([tpu.f32, tpu.bf16, tpu.i8]), st.sampled_from([32, 65, 512]))
@normal
def test_transpose(rows: int, columns: int, dtype: Dtype, tile: int) -> None:
    check(references.transpose(rows, columns, dtype, tile=tile))


@given(SIZES, SIZES, st.sampled_from([1, 32, 64]), HALVES, st.sampled_from([16, 64, 100]))
@normal
def test_attention(queries: int, keys: int, d: int, dtype: Dtype, tile: int) -> None:
    check(references.attention(queries, keys, d, dtype, tile=tile))


@given(SHAPES, TILES, TILES)
@normal
def test_int8_requant(shape: Sequence[int], tile_h: int, tile_w: int) -> None:
    check(references.int8_requant(shape, tile_h=tile_h, tile_w=tile_w))


@given(SHAPES, FLOATS, TILES, st.integers(1, 9))
@normal
def test_argmax(shape: Sequence[int], dtype: Dtype, tile: int, values: int) -> None:
    check(references.argmax(shape, dtype, values, tile_h=tile))


def test_every_example_is_tested() -> None:
    names = {path.stem for path in FOLDER.glob("*.py")}
    assert len(names) == 13
    assert names == {name.removeprefix("test_") for name in globals() if name.startswith("test_")} - {"every_example_is_tested"}
