"""Pipelines: engines overlap, nothing races, memory fits, programs are the same every time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.lang.kernels import abs_add, axpy, matmul, scale_bias_relu, softmax
from tpukernel import BM1684X, f16, f32
from tpukernel.isa import Program
from tpukernel.lang import elaborate
from tpukernel.lang.errors import LocalMemoryError, SymbolicValueError
from tpukernel.sim.checks import CheckError
from tpukernel.sim.checks.errors import RaceError

LARGE = {
    "abs_add": lambda: abs_add.program({"x": (1, 128, 4, 16384)}, f16, c=1.5),
    "axpy": lambda: axpy.program(dict.fromkeys("xy", (1, 64, 8, 8192)), alpha=2.0, tile_w=512),
    "scale_bias_relu": lambda: scale_bias_relu.program({"x": (32, 64, 64, 64), "scale": (64,), "bias": (64,)}),
    "softmax": lambda: softmax.program({"x": (2048, 512)}),
    "matmul": lambda: matmul.program({"left": (256, 2048), "right": (2048, 512)}, f16, tile_m=256, tile_k=128, tile_n=512),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_pipelines_take_as_long_as_the_busier_engine(name: str) -> None:
    timeline = LARGE[name]().timeline()
    busy = max(timeline.figures.busy.values())
    assert busy <= timeline.cycles <= 1.15 * busy


def test_without_buffers_the_engines_wait_for_each_other() -> None:
    # The tensor unit has to work as long as the copies take for the difference to show.
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, buffers: int) -> None:
        for w0 in k.pipeline(0, x.shape[3], 1024, buffers=buffers):
            a, b = k.local((1, 64, 1, 1024), x.dtype), k.local((1, 64, 1, 1024), x.dtype)
            k.dma.load(a, x[:, :, :, w0 : w0 + 1024])
            for _ in range(5):
                k.tiu.sqrt(b, a)
            k.dma.store(out[:, :, :, w0 : w0 + 1024], b)

    shape = {"x": (1, 64, 1, 32 * 1024)}
    one, two = (kernel.timeline(shape, buffers=buffers) for buffers in (1, 2))
    assert one.figures.busy == two.figures.busy
    assert two.cycles < 1.1 * max(two.figures.busy.values())
    assert one.cycles > 1.3 * two.cycles


@given(
    st.tuples(st.integers(1, 2), st.sampled_from([1, 63, 65, 130]), st.integers(1, 2), st.integers(1, 60)),
    st.integers(4, 20),
    st.integers(1, 5),
)
@settings(deadline=None)
def test_command_groups_and_any_number_of_buffers(shape: tuple[int, int, int, int], limit: int, buffers: int) -> None:
    """Numbers that run out begin a new group; the result stays the same, and the checks find nothing."""
    from tpukernel.sim import Machine

    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    found = elaborate(abs_add.ir(c=1.5, tile_w=7, buffers=buffers), {"x": shape, "out": shape}, BM1684X, group_limit=limit)
    base = BM1684X.regions["ddr"].base
    machine = Machine(BM1684X)
    machine.write("ddr", found.systems["x"].address - base, x)
    machine.run(found.program)
    got = np.frombuffer(machine.read("ddr", found.systems["out"].address - base, x.nbytes), np.float32).reshape(shape)
    np.testing.assert_array_equal(got, np.abs(x) + np.float32(1.5))


def numbers(program: Program, engine: str) -> list[tuple[int, int]]:
    return [(each.id, each.depends) for each in program.groups[0].commands("tiu" if engine == "tiu" else "gdma")]


def test_every_awaited_number_is_needed() -> None:
    """Dropping the wait of any command of a pipeline makes a race, or an earlier command waits for as much."""
    shape = {"x": (1, 64, 1, 64)}
    program = abs_add.program(shape, c=1.5, tile_w=8)
    waits = [(engine, place) for engine in ("tiu", "gdma") for place, (_, depends) in enumerate(numbers(program, engine)) if depends]
    assert len(waits) > 12
    for engine, place in waits:
        assert any(isinstance(found, RaceError | CheckError) for found in checked_without(program, engine, place)), (engine, place)


def checked_without(program: Program, engine: str, place: int) -> list[CheckError]:
    from tpukernel.sim import Machine

    changed = Program.from_streams(BM1684X, **program.streams())
    commands = changed.groups[0].commands("tiu" if engine == "tiu" else "gdma")
    commands[place] = commands[place].numbered(commands[place].id, 0)
    machine = Machine(BM1684X)
    machine.write("ddr", 0, bytes(1 << 20))
    return machine.check(changed)


def test_a_program_is_the_same_every_time() -> None:
    shape = {"x": (2, 70, 3, 50)}
    first = abs_add.program(shape, c=1.5, tile_w=16)
    assert abs_add.program(shape, c=1.5, tile_w=16) is first
    again = elaborate(abs_add.ir(shape, c=1.5, tile_w=16), {"x": shape["x"], "out": shape["x"]}, BM1684X)
    assert again.program.streams() == first.streams()
    assert abs_add.program(shape, c=2.5, tile_w=16) is not first


def test_buffers_share_memory_only_when_they_must() -> None:
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        buffers = [k.local(x.shape, x.dtype) for _ in range(6)]
        k.dma.load(buffers[0], x)
        for before, after in pairwise(buffers):
            k.tiu.add(after, before, 1)
        k.dma.store(out, buffers[-1])

    small, large = ({"x": (1, 64, 1, size)} for size in (1024, 16384))
    slots = kernel.elaborate(small).allocation.slots
    banks = [slot.address // BM1684X.bank_bytes for slot in slots]
    assert len(set(banks)) == 6
    x = np.zeros((1, 64, 1, 16384), np.float32)
    np.testing.assert_array_equal(kernel(x), x + 5)  # six buffers of a quarter of the memory
    assert len({slot.address for slot in kernel.elaborate(large).allocation.slots}) < 6
    with pytest.raises(LocalMemoryError):
        kernel.elaborate({"x": (1, 64, 1, 40000)})


def test_the_author_places_buffers() -> None:
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a, b = k.local(x.shape, x.dtype, at=0x8000), k.local(x.shape, x.dtype, bank=5)
        k.dma.load(a, x)
        k.tiu.abs(b, a)
        k.dma.store(out, b)

    x = -np.ones((1, 3, 2, 4), np.float32)
    np.testing.assert_array_equal(kernel(x), -x)
    assert sorted(kernel.elaborate({"x": x.shape}).allocation.addresses.values()) == [0x8000, 5 * BM1684X.bank_bytes]


@pytest.mark.parametrize("ordered", [True, False])
def test_parallel_sections_are_ordered_by_hand(ordered: bool) -> None:
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, ordered: bool) -> None:
        a, b = k.local(x.shape, x.dtype), k.local(x.shape, x.dtype)
        with k.parallel():
            loaded = k.dma.load(a, x)
            computed = k.tiu.abs(b, a, after=loaded if ordered else None)
            k.dma.store(out, b, after=computed if ordered else None)

    x = -np.ones((1, 3, 2, 4), np.float32)
    if ordered:
        np.testing.assert_array_equal(kernel(x, ordered=True), -x)
        return
    with pytest.raises(CheckError) as caught:
        kernel(x, ordered=False)
    assert "test_pipeline.py" in str(caught.value)


def test_when_and_assert_and_print(capsys: pytest.CaptureFixture[str]) -> None:
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        for w0 in k.pipeline(0, x.shape[3], 4):
            a, b = k.local((1, 3, 2, 4), x.dtype), k.local((1, 3, 2, 4), x.dtype)
            k.dma.load(a, x[:, :, :, w0 : w0 + 4])
            k.assert_(w0 < 12)  # noqa: PT009
            k.print("step", w0)
            with k.when(w0 > 0):
                k.tiu.add(b, a, 1)
            with k.when(w0 == 0):
                k.tiu.copy(b, a)
            k.dma.store(out[:, :, :, w0 : w0 + 4], b)

    x = np.zeros((1, 3, 2, 12), np.float32)
    np.testing.assert_array_equal(kernel(x)[0, 0, 0], [0] * 4 + [1] * 8)
    assert capsys.readouterr().out == "step 0\nstep 4\nstep 8\n"


def test_official_functions_mix_in() -> None:
    from tpukernel.api import tpu_bdc_abs, tpu_bdc_neg

    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a, b = k.local(x.shape, x.dtype, at=0), k.local(x.shape, x.dtype)
        k.dma.load(a, x)
        tpu_bdc_neg(0x10000, 0, (1, 3, 2, 4), None, None, f32)  # an address of the author's own
        tpu_bdc_neg(0, 0x10000, (1, 3, 2, 4), None, None, f32)
        k.call(tpu_bdc_abs, b, a, b.shape, None, None, f32)
        k.dma.store(out, b)

    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(1, 3, 2, 4)
    np.testing.assert_array_equal(kernel(x), np.abs(x))


@given(st.integers(1, 7), st.integers(1, 50), st.integers(1, 3), st.integers(1, 3))
@settings(deadline=None)
def test_pipelines_inside_of_pipelines(n: int, w: int, outer: int, inner: int) -> None:
    """Sums over pieces of w, which are loaded in a pipeline of their own, for each n."""

    def one_row_for_each(x: tpu.TensorSpec) -> tpu.TensorSpec:
        return tpu.TensorSpec((x.shape[0], 5, 1, 8))

    @tpu.kernel(infer=one_row_for_each)
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        for n0 in k.pipeline(x.shape[0], buffers=outer):
            total = k.local((1, 5, 1, 8), x.dtype)
            k.tiu.fill(total, 0)
            for w0 in k.pipeline(0, x.shape[3], 8, buffers=inner):
                ws = tpu.minimum(8, x.shape[3] - w0)
                a = k.local((1, 5, 1, ws), x.dtype)
                k.dma.load(a, x[n0 : n0 + 1, :, :, w0 : w0 + ws])
                k.tiu.add(total[:, :, :, :ws], total[:, :, :, :ws], a)
            k.dma.store(out[n0 : n0 + 1], total)

    x = np.random.default_rng(0).integers(-9, 9, (n, 5, 1, w)).astype(np.float32)
    pieces = np.pad(x, ((0, 0), (0, 0), (0, 0), (0, -w % 8))).reshape(n, 5, 1, -1, 8)
    np.testing.assert_array_equal(kernel(x), pieces.sum(3))


def test_a_trace_without_shapes_names_the_line_that_needs_them() -> None:
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a = k.local((1, 4, 1, 8), x.dtype)
        for n0 in range(x.shape[0] // 1):  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUnknownVariableType]
            k.dma.load(a, x[n0 : n0 + 1])  # pyright: ignore[reportUnknownArgumentType]
            k.dma.store(out[n0 : n0 + 1], a)  # pyright: ignore[reportUnknownArgumentType]

    x = np.ones((2, 4, 1, 8), np.float32)
    np.testing.assert_array_equal(kernel(x), x)
    with pytest.raises(SymbolicValueError, match="x_0 is not known") as caught:
        kernel.ir()
    assert "range(x.shape[0] // 1)" in str(caught.value)
