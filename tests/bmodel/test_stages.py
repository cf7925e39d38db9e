"""Stages that are made from programs."""

from __future__ import annotations

import numpy as np
import pytest

from bmlang.bmodel import load, sha256
from bmlang.bmodel.errors import FieldRangeError
from bmlang.bmodel.stages import coefficients, io_tensor, static_stage
from bmlang.bmodel.verify import verify
from tests.support.conv_example import WEIGHTS, conv_model
from tpukernel import BM1684X, bf16, f32
from tpukernel.dtypes import DtypeNameError
from tpukernel.isa import Program


def test_a_stage_passes_the_verification() -> None:
    report = verify(load(conv_model().to_bytes()))
    assert not report.findings and not report.notes


def test_coefficients() -> None:
    coeff = coefficients("BM1684X", WEIGHTS)
    assert coeff.binary_coeff and coeff.location
    data = bytes(coeff.binary_coeff.data)
    assert coeff.address == BM1684X.regions["ddr"].base and coeff.check_code == sha256(data)
    assert [place.name for place in coeff.location] == list(WEIGHTS)
    for place, weight in zip(coeff.location, WEIGHTS.values(), strict=True):
        assert place.offset % 4096 == place.size % 4096 == 0
        assert data[place.offset : place.offset + weight.nbytes] == weight.tobytes()
    with pytest.raises(DtypeNameError):
        coefficients(BM1684X, {"w": np.zeros(3)})


def test_tensors_are_numbered() -> None:
    program = Program(BM1684X)
    program.end()
    tensors = [io_tensor(name, bf16, (2, 3), 0x100000000) for name in "abc"]
    stage = static_stage(program, inputs=tensors[:1], outputs=tensors[1:], ctx_addr=0x100000000, ctx_size=4096)
    found = [
        (tensor.name, tensor.hidden, tensor.index, tensor.data_type, tensor.size) for tensor in (*stage.input_tensor, *stage.output_tensor)
    ]
    assert found == [("a", 1, 0, 8, 12), ("b", 2, 0, 8, 12), ("c", 2, 1, 8, 12)]


def test_a_program_without_end() -> None:
    with pytest.raises(FieldRangeError, match="no end commands"):
        static_stage(Program(BM1684X), inputs=[io_tensor("x", f32, (1,), 0)], outputs=[], ctx_addr=0, ctx_size=0)
