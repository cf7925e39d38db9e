"""`run`: both engines really execute, both see the same inputs, and a difference of one bit is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tpukernel as tpu
from tests.testing.kernels import both, doubled, forgets_the_tail
from tpukernel.lang.errors import IndexRangeError
from tpukernel.sim.interpreter import Interpretation
from tpukernel.sim.jit.run import NativeExecution
from tpukernel.testing import EngineDifferenceError, last_run, random, run

X = np.arange(24, dtype=np.float32).reshape(1, 2, 1, 12)
Change = Callable[[dict[str, NDArray[Any]], tuple[NDArray[Any], ...]], object]


def test_outputs_are_those_of_a_call() -> None:
    np.testing.assert_array_equal(run(doubled, X, factor=3.0), X * 3)
    low, high = run(both, X)
    np.testing.assert_array_equal([low, high], [X - 1, X + 1])


@pytest.mark.parametrize(("engines", "native", "interpreted"), [(None, 1, 1), (("jit",), 1, 0), (("interpreter",), 0, 1)])
def test_each_engine_executes(monkeypatch: pytest.MonkeyPatch, engines: Any, native: int, interpreted: int) -> None:
    made = {"native": 0, "interpreted": 0}

    def count(name: str, kind: type) -> None:
        begin = vars(kind)["run"]

        def counted(self: object, *places: int) -> None:
            made[name] += 1
            begin(self, *places)

        monkeypatch.setattr(kind, "run", counted)

    count("native", NativeExecution)
    count("interpreted", Interpretation)
    run(doubled, X, engines=engines)
    assert made == {"native": native, "interpreted": interpreted}  # nothing is so short that the interpreter does all of it


def change_one_sign(found: dict[str, NDArray[Any]], given: tuple[NDArray[Any], ...]) -> None:
    found["low"][0, 1, 0, 3] = -0.0


def change_all(found: dict[str, NDArray[Any]], given: tuple[NDArray[Any], ...]) -> None:
    found["high"].fill(np.nan)


def change_an_input(found: dict[str, NDArray[Any]], given: tuple[NDArray[Any], ...]) -> None:
    given[0].reshape(-1)[5] = 77


@pytest.mark.parametrize("dtype", [tpu.f32, tpu.bf16])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_one_sign, r"1 of 24 elements of output low .* at \[0, 1, 0, 3\]"),
        (change_all, "24 of 24 elements of output high"),
        (change_an_input, r"1 of 24 elements of input x .* at \[0, 0, 0, 5\]: the caller 5"),
    ],
)
def test_a_difference_is_told(monkeypatch: pytest.MonkeyPatch, change: Change, message: str, dtype: tpu.Dtype) -> None:
    plain = both.run

    def changed(*arrays: NDArray[Any], engine: str, **options: Any) -> dict[str, NDArray[Any]]:
        found = plain(*arrays, engine=engine, **options)  # pyright: ignore[reportArgumentType]
        found["low"][0, 1, 0, 3] = 0.0
        if engine == "jit":
            change(found, arrays)
        return found

    monkeypatch.setattr(both, "run", changed)
    with pytest.raises(EngineDifferenceError, match=message):
        run(both, X.astype(dtype.numpy))
    np.testing.assert_array_equal(X.reshape(-1), np.arange(24))


def test_mistakes_of_the_kernel_are_raised_and_remembered() -> None:
    with pytest.raises(IndexRangeError) as caught:
        run(forgets_the_tail, X)
    record = last_run()
    assert record is not None and record.error is caught.value and record.kernel is forgets_the_tail and not record.outputs
    np.testing.assert_array_equal(record.arrays[0], X)


def test_the_record_keeps_the_inputs_as_they_were() -> None:
    x = random((1, 2, 1, 9), "f32")
    before = x.copy()
    run(doubled, x)
    x[:] = 0
    record = last_run()
    assert record is not None and record.arrays[0].tobytes() == before.tobytes()
