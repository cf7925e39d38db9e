"""Functions that return how many elements the GDMA found, against the official library, where calls execute."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.oracle import HostCall, Job, run_jobs
from tpukernel import BM1684X
from tpukernel.api import executing, tpu_gdma_get_filter_num, tpu_gdma_mask_select_S2S_with_ret, tpu_gdma_nonzero_S2S
from tpukernel.chips.tensors import Dim4, SystemTensor
from tpukernel.dtypes import f32, i32, u16
from tpukernel.sim import Machine
from tpukernel.sim.memory import Array

pytestmark = pytest.mark.vendor

DDR, SHAPE = BM1684X.regions["ddr"].base, (2, 5, 7, 9)
DATA, MASK = 0x4000, 0x8000
F32, U16, I32 = 5, 6, 9  # data_type_t


def official(data: Array, mask: Array) -> tuple[int, ...]:
    shape = ("dim4", SHAPE)
    mask_in_ddr = (("system", DDR + MASK), ("int", 0), shape, ("dtype", F32), ("dtype", U16))
    filter_num = HostCall("tpu_gdma_get_filter_num", "uint")
    calls = [
        HostCall("forbid_store_cmd", "none"),  # a recorder cannot wait for the chip
        HostCall("tpu_gdma_mask_select_S2S_with_ret", "uint", (("system", DDR), ("system", DDR + DATA), *mask_in_ddr)),
        filter_num,
        HostCall("tpu_gdma_nonzero_S2S", "none", (("system", DDR), ("system", DDR + DATA), shape, ("dtype", I32), ("uint", 3))),
        filter_num,
        filter_num,
    ]
    image = {"ddr": [(DATA, data.reshape(-1).view(np.uint8)), (MASK, mask.reshape(-1).view(np.uint8))]}
    [done] = run_jobs([Job(host=calls, initial=image)])
    assert done.rejected is None
    return tuple(number for returned in done.returned for number in returned)


def ours(data: Array, mask: Array, shape: Dim4) -> tuple[int, ...]:
    machine = Machine(BM1684X)
    machine.load(SystemTensor(DDR + DATA, shape, f32), data)
    machine.load(SystemTensor(DDR + MASK, shape, u16), mask)
    with executing(machine):
        selected = tpu_gdma_mask_select_S2S_with_ret(DDR, DDR + DATA, DDR + MASK, False, shape, f32, u16)
        taken = tpu_gdma_get_filter_num()
        tpu_gdma_nonzero_S2S(DDR, DDR + DATA, shape, i32, 3)
        return selected, taken, tpu_gdma_get_filter_num(), tpu_gdma_get_filter_num()


@pytest.mark.parametrize("density", [0.0, 0.1, 0.9, 1.0])
def test_numbers_of_found_elements(density: float) -> None:
    rng = np.random.default_rng(int(10 * density))
    data = (rng.random(SHAPE) * (rng.random(SHAPE) < 0.5)).astype(np.float32)
    mask = (rng.random(SHAPE) < density).astype(np.uint16) * 300
    assert official(data, mask) == ours(data, mask, SHAPE) == (int((mask != 0).sum()), 0, int((data != 0).sum()), 0)
