"""Operators that run on the host."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bmlang.host.sorting import topk
from bmlang.runtime import CPU_OPERATORS, Runtime, cpu_operator
from bmlang.runtime.errors import CpuOperatorError
from tests.support.bmodels import TOPK
from tests.support.cpu_models import host_model, topk_parameters
from tests.support.model_runs import runs_of

(RUN,) = runs_of(TOPK)


def test_a_net_with_a_host_subnet_gives_the_official_outputs() -> None:
    """The recorded net has topk in a dynamic subnet; on the host it has to give the same."""
    found = Runtime(host_model(topk_parameters(5, 1)))["convtopk"].run(RUN.inputs)
    assert list(found) == list(RUN.outputs)
    for name, wanted in RUN.outputs.items():
        assert found[name].dtype == wanted.dtype and found[name].tobytes() == wanted.tobytes()


@given(
    x=hnp.arrays("f4", hnp.array_shapes(max_dims=4, max_side=6), elements=st.floats(-4, 4, width=32) | st.integers(-2, 2)),
    data=st.data(),
    descending=st.booleans(),
    by_value=st.booleans(),
)
def test_topk(x: np.ndarray, data: st.DataObject, descending: bool, by_value: bool) -> None:
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    k = data.draw(st.integers(-1, x.shape[axis]))
    values, indices = topk(topk_parameters(k, axis, descending=descending, by_value=by_value), [x])
    count = x.shape[axis] if k == -1 else k
    lines = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
    # A reference that sorts tuples: the value first, then the place.
    order = [sorted(range(line.size), key=lambda i, line=line: (-line[i] if descending else line[i], i))[:count] for line in lines]
    order = order if by_value else [sorted(places) for places in order]
    wanted = np.array([line[places] for line, places in zip(lines, order, strict=True)], "f4").reshape(len(lines), count)
    assert indices.dtype == np.int32 and values.dtype == np.float32
    assert np.array_equal(np.moveaxis(values, axis, -1).reshape(len(lines), count), wanted)
    assert np.array_equal(np.moveaxis(indices, axis, -1).reshape(len(lines), count), np.array(order).reshape(len(lines), count))


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (b"", "0 bytes of parameters"),
        (topk_parameters(5, 2), "along axis 2"),
        (topk_parameters(5, -3), "along axis -3"),
        (topk_parameters(257, 1), "topk of 257"),
        (topk_parameters(-2, 1), "topk of -2"),
        (topk_parameters(6, 1), r"gives .*\(1, 6\).* outputs .*\(1, 5\)"),
    ],
)
def test_parameters_that_do_not_fit(parameters: bytes, text: str) -> None:
    with pytest.raises(CpuOperatorError, match=text):
        Runtime(host_model(parameters))["convtopk"].run(RUN.inputs)


def test_topk_of_integers() -> None:
    with pytest.raises(CpuOperatorError, match="int32"):
        topk(topk_parameters(1, 0), [np.zeros(3, "i4")])


@pytest.mark.parametrize(("op_type", "is_custom", "text"), [(9999, 0, "no host operator 9999"), (17, 1, "no custom host operator 17")])
def test_operators_that_are_not_there(op_type: int, is_custom: int, text: str) -> None:
    with pytest.raises(CpuOperatorError, match=text):
        Runtime(host_model(topk_parameters(5, 1), op_type=op_type, is_custom=is_custom))["convtopk"].run(RUN.inputs)


def test_registering_an_operator() -> None:
    def first_five(parameters: bytes, inputs: object) -> list[np.ndarray]:
        return [np.full((1, 5), parameters[0], "f4"), np.arange(5, dtype="i4").reshape(1, 5)]

    with pytest.raises(ValueError, match="registered already"):
        cpu_operator(17)(first_five)
    try:
        assert cpu_operator(9999)(first_five) is first_five
        found = Runtime(host_model(b"\x07", op_type=9999))["convtopk"].run(RUN.inputs)
        assert found["v_TopK"].tolist() == [[7.0] * 5] and found["i_TopK"].tolist() == [[0, 1, 2, 3, 4]]
    finally:
        del CPU_OPERATORS[9999]
