"""The example of a ported C kernel: its calls, made in C, are recorded by the official library as the same bytes."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.abs_add import build
from tests.support.oracle import Call, record_program
from tpukernel import BM1684X
from tpukernel.chips.tensors import Dim4
from tpukernel.dtypes import Dtype, bf16, f16, f32

pytestmark = pytest.mark.vendor

DDR = BM1684X.regions["ddr"].base
SHAPES: tuple[Dim4, ...] = ((1, 32, 1, 1024), (1, 1, 1, 1), (4, 33, 71, 97), (3, 200, 57, 61))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [f32, f16, bf16], ids=str)
def test_the_library_records_the_same_bytes(dtype: Dtype, shape: Dim4) -> None:
    calls: list[Call] = []
    streams = build(watch=calls.append)(DDR, DDR + (16 << 20), shape, Random(str(shape)).uniform(-5, 5), dtype).streams()
    recorded = record_program(calls, end=True)
    assert recorded.rejected is None and len(calls) >= 10
    assert (recorded.tiu, recorded.gdma) == (streams["tiu"], streams["gdma"])
