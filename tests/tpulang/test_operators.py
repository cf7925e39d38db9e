"""Each operator gives in numpy what it says, on references written apart from it; and so does the simulated TPU."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bmlang import tpulang as tpul
from bmlang.layers.reference import run_reference
from bmlang.tpulang.graph import current, session
from bmlang.tpulang.operator import OPERATORS
from bmlang.tpulang.work import Work
from tests.tpulang.rows import BLOCKS, ROWS
from tests.tpulang.rows.base import Array, Row, tensor
from tpukernel.dtypes import dtype_of

EPSILON = {"float32": 2.0**-24, "float16": 2.0**-11}
BOUNDED = {"nonzero", "nms"}
"""The size of the result depends on the data."""
FIRST = {row.operator: row for row in reversed(ROWS)}
"""What runs on the simulated TPU, too."""


@pytest.fixture(autouse=True)
def program() -> Iterator[None]:
    tpul.init("BM1684X")
    yield
    tpul.deinit()


def differences(found: Array, wanted: Array, row: Row) -> str:
    """What is wrong; empty when it is right."""
    if found.shape != wanted.shape:
        return f"shape {found.shape} instead of {wanted.shape}"
    distance = np.abs(found.astype(np.float64) - np.asarray(wanted, np.float64))
    largest = float(np.abs(np.asarray(wanted, np.float64)).max(initial=1.0))
    allowed = row.steps if dtype_of(found.dtype).is_int else row.roundings * EPSILON[str(found.dtype)] * largest
    return "" if distance.max(initial=0.0) <= allowed else f"{distance.max()} off, {allowed} allowed\n{found}\n{wanted}"


def named(number: int, row: Row) -> str:
    return f"{row.operator}-{number}"


@pytest.mark.parametrize("row", [pytest.param(row, id=named(number, row)) for number, row in enumerate(ROWS)])
def test_an_operator_computes_what_it_says(row: Row) -> None:
    inputs = {name: tensor(name, data) for name, data in row.inputs.items()}
    for name, (scale, zero_point) in row.scales.items():
        inputs[name].quantization(scale, zero_point)
    made = row.call(*inputs.values())
    outputs = [made] if isinstance(made, tpul.Tensor) else list(made)
    assert {operator.op_name for operator in current().operators} == {row.operator}
    wanted = row.wanted(*row.inputs.values())
    expected = [wanted] if isinstance(made, tpul.Tensor) else list(wanted)
    used = [each for each in inputs.values() if each in current().leaves]
    work = Work.of_session("row", session().chip, used, outputs)
    values = run_reference(work.graph, row.inputs)
    for tensor_, array in zip(outputs, expected, strict=True):
        assert not differences(values[tensor_.name], np.asarray(array), row)
        assert row.operator in BOUNDED or list(values[tensor_.name].shape) == tensor_.shape
    if row is not FIRST[row.operator]:
        return
    simulated = work.model(work.graph, "f32").run(**{each.name: row.inputs[each.name] for each in used})
    for tensor_, array in zip(outputs, expected, strict=True):
        assert not differences(simulated[tensor_.name], np.asarray(array), row)


def test_every_operator_has_a_row() -> None:
    assert {row.operator for row in ROWS} == OPERATORS.keys() - BLOCKS
