"""Texts that people write: what the language has, and what its messages say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tpukernel as tpu
from tests.lang import kernels
from tpukernel.errors import TpuError

AXPY = """\
# out = alpha * x + y, in steps
# of `tile` columns.
kernel axpy(in x: t[n, c, h, w], in y: t[n, c, h, w], out out: t[n, c, h, w]; alpha: float, tile: int = 64) {
  for c0 in 0 .. c step chip.lanes {
    let cs = min(chip.lanes, c - c0);
    pipeline w0 in 0 .. w step tile {
      let ws = min(tile, w - w0);
      let a, b, scaled, total = local<t>[n, cs, h, ws];
      dma.load(a, x[:, c0:+cs, :, w0:w0 + ws]);   # a box
      dma.load(b, y[:, c0:+cs, :, w0:+ws]);
      tiu.mul(scaled, a, alpha);
      tiu.add(total, scaled, b);
      dma.store(out[:, c0:+cs, :, w0:+ws], total);
    }
  }
}
"""


def numbers(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def test_a_kernel_as_text_is_called_like_any_other() -> None:
    axpy = tpu.parse(AXPY)
    x, y = numbers(2, 70, 3, 100), numbers(2, 70, 3, 100, seed=1)
    np.testing.assert_array_equal(axpy(x, y, alpha=1.5), kernels.axpy(x, y, alpha=1.5))
    half = axpy.run(x.astype(np.float16), y.astype(np.float16), alpha=2, tile=16, engine="jit")["out"]
    np.testing.assert_allclose(half.astype(np.float32), 2 * x + y, atol=1e-2)
    assert axpy.__doc__ == "out = alpha * x + y, in steps\nof `tile` columns."
    assert repr(axpy) == "<kernel axpy(x: in, y: in, out: out)>"
    shapes = {"x": (1, 4, 2, 8), "y": (1, 4, 2, 8)}
    assert axpy.timeline(shapes, alpha=1.0).cycles > 0
    assert "arith.mul" in axpy.listing(shapes, tpu.f16, alpha=1.0)


def test_it_is_used_as_a_part_of_another_kernel() -> None:
    axpy = tpu.parse(AXPY)

    @tpu.kernel
    def twice(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        axpy.emit(k, x, x, out, alpha=1.0)

    x = numbers(1, 4, 2, 100)
    np.testing.assert_array_equal(twice(x), 2 * x)


PARTS_FILE = Path(__file__).with_name("parts.tpuk")
Floats = NDArray[np.float32]


def product(x: Floats, y: Floats) -> Floats:
    return x @ y


def every_second_line(x: Floats) -> Floats:
    return x[:, :, ::2]


def half(x: Floats) -> Floats:
    return x * np.float32(-0.5)


def same(x: Floats) -> Floats:
    return x


def scaled(x: Floats, factors: Floats) -> Floats:
    return np.abs(x * factors[:, None, None])


def positive(x: Floats) -> Floats:
    return np.maximum(x, np.float32(0))


PARTS: dict[str, tuple[list[tuple[int, ...]], Callable[..., Floats]]] = {
    "product": ([(5, 6), (6, 7)], product),
    "every_second_line": ([(1, 3, 5, 4)], every_second_line),
    "conditions": ([(1, 2, 1, 4)], half),
    "tokens": ([(1, 2, 1, 4)], np.abs),
    "functions": ([(1, 3, 5, 4), (3,)], scaled),
    "quoted": ([(1, 3, 1, 4)], same),
    "addresses": ([(1, 64, 1, 16)], positive),
}


@pytest.mark.parametrize("name", tpu.load_all(PARTS_FILE))
def test_parts_of_the_language(name: str) -> None:
    shapes, wanted = PARTS[name]
    arrays = [numbers(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    np.testing.assert_allclose(tpu.load(PARTS_FILE, name)(*arrays), wanted(*arrays), rtol=1e-5, atol=1e-5)


def test_print(capsys: pytest.CaptureFixture[str]) -> None:
    tpu.parse('kernel f(in x: f32[c]) { for i in 0 .. c step 2 { print "at", i, c - i; } }').program({"x": (3,)})
    assert capsys.readouterr().out == "at 0 3\nat 2 1\n"


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "some.tpuk"
    path.write_text(AXPY + AXPY.replace("axpy", "other"), encoding="utf-8")
    assert list(tpu.load_all(path)) == ["axpy", "other"]
    assert tpu.load(path, "other").signature.name == "other"
    with pytest.raises(TpuError, match="has 2 kernels"):
        tpu.load(path)
    with pytest.raises(TpuError, match="did you mean other"):
        tpu.load(path, "othr")
    (tmp_path / "bytes.tpuk").write_bytes(b"kernel \xff")
    with pytest.raises(TpuError, match="no text in UTF-8: byte 7"):
        tpu.load(tmp_path / "bytes.tpuk")


CALLS: dict[str, tuple[dict[str, tuple[int, ...]], dict[str, Any]]] = {
    "dimension 3 of y of kernel axpy is 9, but has to be 8": ({"x": (1, 4, 2, 8), "y": (1, 4, 2, 9)}, {"alpha": 1.0}),
    "y of kernel axpy has 4 dimensions, but the shape (4, 2, 8)": ({"x": (1, 4, 2, 8), "y": (4, 2, 8)}, {"alpha": 1.0}),
    "kernel axpy needs the keyword alpha": ({"x": (1, 4, 2, 8), "y": (1, 4, 2, 8)}, {}),
    "alpha of kernel axpy is 'a', but its type is float": ({"x": (1, 4, 2, 8), "y": (1, 4, 2, 8)}, {"alpha": "a"}),
    "tile of kernel axpy is 1.5, but its type is int": ({"x": (1, 4, 2, 8), "y": (1, 4, 2, 8)}, {"alpha": 1, "tile": 1.5}),
    "kernel axpy has no keyword beta": ({"x": (1, 4, 2, 8), "y": (1, 4, 2, 8)}, {"alpha": 1, "beta": 1}),
    "kernel axpy needs the shape of y": ({"x": (1, 4, 2, 8)}, {"alpha": 1}),
}


@pytest.mark.parametrize("message", CALLS)
def test_calls_that_do_not_fit(message: str) -> None:
    shapes, keywords = CALLS[message]
    with pytest.raises(TpuError) as caught:
        tpu.parse(AXPY).program(shapes, **keywords)
    assert message in caught.value.message


def test_a_constant_cannot_be_changed() -> None:
    kernel = tpu.parse("kernel f(in x: f32[c]; tile = 4) {}")
    kernel.program({"x": (3,)}, tile=4)
    with pytest.raises(TpuError, match="tile of kernel f is 4 in the text, not 5"):
        kernel.program({"x": (3,)}, tile=5)
    with pytest.raises(TpuError, match="x of kernel f is f16, but has to be f32"):
        kernel.program({"x": (3,)}, {"x": "f16"})
