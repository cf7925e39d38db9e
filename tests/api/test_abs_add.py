"""The example of a ported C kernel records the commands of the compiled one, and computes what numpy does."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.abs_add import build
from tests.support.streams import official_streams
from tpukernel import BM1684X
from tpukernel.chips.tensors import Dim4, SystemTensor
from tpukernel.dtypes import Dtype, f16, f32
from tpukernel.sim import Machine

DDR = BM1684X.regions["ddr"].base
OFFICIAL = "bm1684x_f32_custom_absadd_static/absadd_static/0/0"
"""The sample as the official tools compiled it: (1, 32, 1, 1024) plus 1.2, from the start of DDR to the bytes behind."""


def test_the_commands_are_those_of_the_compiled_kernel() -> None:
    streams = build()(DDR, DDR + (128 << 10), (1, 32, 1, 1024), 1.2, f32).streams()
    assert streams == {engine: official_streams()[f"{OFFICIAL}/{engine}"].data for engine in ("tiu", "gdma")}


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 70), st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from((f32, f16)),
    st.sampled_from((1.2, -3.0, 0.0)),
)
def test_any_shape_is_computed(shape: Dim4, dtype: Dtype, c: float) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype.numpy)
    source, target = SystemTensor(DDR, shape, dtype), SystemTensor(DDR + (4 << 20), shape, dtype)
    machine = Machine(BM1684X)
    machine.load(source, x)
    machine.run(build()(source.address, target.address, shape, c, dtype))
    assert np.array_equal(machine.dump(target), np.abs(x) + dtype.numpy.type(c))
