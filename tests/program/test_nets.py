"""Nets as exporters write them: what is compiled computes what the file says, its names stay, its normalisations cost nothing."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

import bmlang as bm
from bmlang.importers.onnx import load
from tests.importers.models import reference
from tests.support.onnx_nets import NETS
from tpukernel import BM1684X
from tpukernel.sim import Machine
from tpukernel.sim.checks.errors import RaceError

MODES = {"resnet18": ("f32", "f16"), "mobilenet_v2": ("f32",), "transformer": ("f32",), "unet": ("f32",)}
TOLERANCE = {"f32": 2e-5, "f16": 2e-2, "bf16": 1e-1}
"""Shares of the largest number of an output: roundings of some dozens of layers."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_a_net_computes_what_its_file_says(name: str) -> None:
    proto = NETS[name]()
    net = load(proto)
    random = np.random.default_rng(0)
    given = {key: random.standard_normal(spec.shape, np.float32) for key, spec in net.specs.items()}
    wanted = reference(proto, given)
    for mode in MODES[name]:
        model = bm.compile(net, stages=[net.specs], mode=mode)
        found = model.run(**given)
        assert list(found) == [each.name for each in proto.graph.output]
        for key, array in found.items():
            largest = float(np.abs(wanted[key]).max())
            np.testing.assert_allclose(
                cast("NDArray[Any]", array), wanted[key], rtol=0, atol=TOLERANCE[mode] * largest, err_msg=f"{key} {mode}"
            )
        findings = Machine(BM1684X, ddr_bytes=1 << 28).check(model.stages[0].emission.program)
        assert [each for each in findings if isinstance(each, RaceError)] == []  # whatever comes early waits for whom it has to
        kinds = {node.op for node in model.stages[0].graph.nodes}
        assert "bm::conv" in kinds or name == "transformer"
        if name != "transformer":  # all factors of channels have become weights
            assert "bm::mul" not in kinds
