"""Scripts that repeat failures: executed in a process of their own, they fail as the test did."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from numpy.typing import NDArray

import tpukernel as tpu
from tests.testing.kernels import both, doubled, forgets_the_tail
from tpukernel.dtypes import Dtype
from tpukernel.errors import TpuError
from tpukernel.isa.rounding import Rounding
from tpukernel.testing import FLOATS, ReproductionError, assert_close, last_run, random, run, write_reproduction

ROOT = Path(tpu.__file__).resolve().parents[1]
CHANNELS = 2


def repeated(path: Path) -> tuple[int, str, str]:
    """Exit code, output and last error of a script, which finds nothing but tpukernel on its path."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run([sys.executable, str(path)], cwd=path.parent, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def failure_of(action: object) -> str:
    with pytest.raises(TpuError) as caught:
        action()  # type: ignore[operator]  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
    return str(caught.value)


def write(folder: Path) -> Path:
    record = last_run()
    assert record is not None
    return write_reproduction(record, folder)


def assert_repeats(folder: Path, message: str) -> None:
    code, _, error = repeated(write(folder))
    assert code == 1
    assert error.endswith(f"{message}\n"), error


@pytest.mark.parametrize("shape", [(1, 2, 1, 9), (1, 2, 1, 99)])
@pytest.mark.parametrize("dtype", [*FLOATS, tpu.i8])
def test_a_mistake_of_an_imported_kernel(tmp_path: Path, shape: tuple[int, ...], dtype: Dtype) -> None:
    message = failure_of(lambda: run(forgets_the_tail, random(shape, dtype)))
    assert_repeats(tmp_path, message)
    assert (tmp_path / "repeat_forgets_the_tail.npz").exists() == (shape[3] == 99)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("width", [9, 99])
def test_a_wrong_result(tmp_path: Path, dtype: Dtype, width: int) -> None:
    x = random((1, 2, 1, width), dtype)
    found = run(doubled, x, factor=3.0)
    message = failure_of(lambda: assert_close(found, x.astype(np.float64) * 2.5, roundings=2, magnitude=np.abs(x.astype(np.float64))))
    assert_repeats(tmp_path, message)


def test_a_wrong_second_result(tmp_path: Path) -> None:
    x = random((1, 2, 1, 5), tpu.f32)
    _, high = run(both, x)
    assert_repeats(tmp_path, failure_of(lambda: assert_close(high, x.astype(np.float64) + 2)))


def test_infinities_and_nan_survive(tmp_path: Path) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 1], np.float32).reshape(1, 1, 2, 2)
    found = run(doubled, x)
    assert_repeats(tmp_path, failure_of(lambda: assert_close(found, x.astype(np.float64) * 3)))


def test_a_run_that_works_prints_what_it_gave(tmp_path: Path) -> None:
    run(doubled, np.full((1, 1, 1, 2), 21, np.float32))
    code, output, error = repeated(write(tmp_path))
    assert (code, output, error) == (0, "[[[[42. 42.]]]]\n", "")


def test_a_kernel_in_a_function_is_copied_with_what_it_uses(tmp_path: Path) -> None:
    width, names = 4, ("a", "b")

    def like_x(x: tpu.TensorSpec, **_: object) -> tpu.TensorSpec:
        return tpu.TensorSpec(x.shape, x.dtype)

    @tpu.kernel
    def inner(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        k.tiu.add(out, x, 1)  # pyright: ignore[reportArgumentType]

    @tpu.kernel(infer=like_x)
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, rounding: Rounding, scale: tuple[float, ...]) -> None:
        text = """lines
that stand further left"""
        if not (names and scale and rounding is Rounding.HALF_UP and "further" in text):
            return
        a, b = k.local((1, CHANNELS, 1, width), x.dtype), k.local((1, CHANNELS, 1, width), x.dtype)
        k.dma.load(a, x)
        inner.emit(k, a, b)
        k.dma.store(out, b[:, :, :, :3])

    x = np.ones((1, CHANNELS, 1, width), np.float32)
    message = failure_of(lambda: run(kernel, x, rounding=Rounding.HALF_UP, scale=(1.0, float("inf"))))
    code, _, error = repeated(write(tmp_path))
    assert code == 1
    assert message.splitlines()[0] in error
    assert "k.dma.store(out, b[:, :, :, :3])" in error


WRONG = """\
# Forgets the last piece.
kernel {name}(in x: t[n, c, h, w], out out: t[n, c, h, w]; tile: int = 4) {{
  for w0 in 0 .. w // tile {{
    let a = local<t>[n, c, h, tile]; # {comment}
    dma.load(a, x[:, :, :, w0 * tile:+tile]);
    dma.store(out[:, :, :, w0 * tile:+tile], a);
  }}
}}
"""


@pytest.mark.parametrize(
    ("name", "comment", "from_file"),
    [
        ("copy", "plain", True),
        ("`for`", r"back\slash", False),
        ("`np`", 'three """ quotes', True),
        ("größe", "tab\there", True),
        ("arrays", "plain", False),
    ],
)
def test_a_kernel_that_is_text(tmp_path: Path, name: str, comment: str, from_file: bool) -> None:
    text = WRONG.format(name=name, comment=comment)
    (tmp_path / "wrong.tpuk").write_text(text, encoding="utf-8")
    kernel = tpu.load(tmp_path / "wrong.tpuk") if from_file else tpu.parse(text)
    message = failure_of(lambda: run(kernel, random((1, 2, 1, 11), tpu.f16), tile=3))
    assert "left 4 of 22 elements of out unwritten" in message and ("wrong.tpuk:2" in message) == from_file
    (tmp_path / "wrong.tpuk").unlink()
    path = write(tmp_path)
    assert str(tmp_path) not in path.read_text(encoding="utf-8")
    code, _, error = repeated(path)
    assert code == 1 and error.endswith(f"{message}\n"), error


def test_a_kernel_that_is_text_keeps_its_limit_and_is_used_by_others(tmp_path: Path) -> None:
    part = tpu.parse(WRONG.format(name="part", comment=""))
    x = random((1, 2, 1, 11), tpu.f32)
    message = failure_of(lambda: run(part.with_limit(5), x))
    assert "KER159" in message
    assert_repeats(tmp_path, message)

    @tpu.kernel
    def whole(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        part.emit(k, x, out)

    message = failure_of(lambda: run(whole, x))
    code, _, error = repeated(write(tmp_path))
    assert code == 1 and message.splitlines()[0] in error


def test_a_script_as_main_module(tmp_path: Path) -> None:
    """A kernel of `__main__` cannot be imported: it is copied."""
    script = tmp_path / "own.py"
    script.write_text(
        dedent("""
        import numpy as np
        import tpukernel as tpu
        from tpukernel.testing import last_run, run, write_reproduction

        SIZE = 3

        @tpu.kernel
        def kernel(k, x: tpu.In, out: tpu.Out):
            k.assert_(SIZE > x.shape[3], "small")

        try:
            run(kernel, np.ones((1, 1, 1, SIZE), np.float32))
        except tpu.errors.TpuError:
            print(write_reproduction(last_run(), "found"))
        """)
    )
    code, output, error = repeated(script)
    assert (code, error) == (0, "")
    code, _, error = repeated(Path(output.strip()))
    assert code == 1 and "KER141" in error and "small" in error


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    table: NDArray[np.float64] = np.ones(3)

    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        k.assert_(bool(table[0] > 3))  # noqa: PT009

    failure_of(lambda: run(kernel, np.ones((1, 1, 1, 3), np.float32)))
    with pytest.raises(ReproductionError, match="table, which kernel uses"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(doubled, np.ones((1, 1, 1, 1), np.float32))
    monkeypatch.chdir(tmp_path)
    record = last_run()
    assert record is not None
    assert write_reproduction(record) == tmp_path / ".tpukernel" / "repeat_doubled.py"
    monkeypatch.setenv("TPUKERNEL_REPRODUCTIONS", str(tmp_path / "here"))
    path = write_reproduction(record, title='tests/test_a.py::test["é/..\\x"] """', notes={"hypothesis seed": "7"})
    assert path.parent == tmp_path / "here"
    assert "hypothesis seed: 7" in path.read_text(encoding="utf-8")
    assert repeated(path)[0] == 0
