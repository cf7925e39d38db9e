"""Stages that are made from programs."""

from __future__ import annotations

import numpy as np
import pytest

from bmlang.bmodel import load, new_bmodel, sha256
from bmlang.bmodel.errors import FieldRangeError
from bmlang.bmodel.stages import StageBuilder, coefficients, io_tensor, static_stage
from bmlang.bmodel.verify import verify
from bmlang.runtime import Runtime
from tests.support.conv_example import WEIGHTS, conv_model
from tpukernel import BM1684X, bf16, f32, i8
from tpukernel.chips.tensors import LocalTensor, SystemTensor
from tpukernel.dtypes import DtypeNameError
from tpukernel.isa import Arith, ArithOp, DmaTensor, Program
from tpukernel.isa.errors import LegalityError


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


# ------------------------------------------------------------------ stages built step by step


def test_a_builder_gives_each_tensor_its_place() -> None:
    stage = StageBuilder("BM1684X", WEIGHTS | {"zero": np.zeros((2, 3), "i1")})
    base = BM1684X.regions["ddr"].base
    places = [*stage.coefficients.values(), stage.input("x", (1, 2, 3, 4), f32), stage.intermediate((1, 1, 1, 2048), f32)]
    places += [stage.output("y", (1, 1, 1, 1), i8, scale=0.5, zero_point=-3), stage.input("z", (1, 1, 1, 9), bf16)]
    sizes = [0x5000, 0x1000, 0x1000, 0x1000, 0x2000, 0x1000]  # in multiples of 4 KiB; 32 * 16 * 3 * 3 elements of the weight come first
    assert [place.address - base for place in places] == [sum(sizes[:k]) for k in range(7)]
    assert stage.coefficients["bias"] == SystemTensor(base + 0x5000, (1, 1, 1, 32), f32)
    assert stage.coefficients["zero"].shape == (1, 1, 2, 3)
    net = stage.net("net", Program(BM1684X).end())
    (built,) = net.stages
    assert (net.name, built.ctx_addr, built.ctx_size) == ("net", base + 0x7000, 0x5000)
    assert [(tensor.name, tensor.device_addr, tensor.size) for tensor in built.input_tensor] == [
        ("x", places[3].address, 96),
        ("z", places[6].address, 18),
    ]
    assert [(tensor.name, tensor.scale, tensor.zero_point) for tensor in built.output_tensor] == [("y", 0.5, -3)]


def test_a_stage_without_coefficients_runs() -> None:
    stage, x = StageBuilder("BM1684X"), LocalTensor(0, (1, 3, 4, 5), f32)
    program = Program(BM1684X)
    program.append(DmaTensor(dst=x, src=stage.input("x", x.shape, f32)))
    program.append(Arith(op=ArithOp.ADD, dst=x, src0=x, src1=x))
    program.append(DmaTensor(dst=stage.output("y", x.shape, f32), src=x))
    model = load(new_bmodel("BM1684X", [stage.net("double", program.end())]).to_bytes())
    assert model.model.net[0].stages[0].coeff_mem is None and not verify(model).findings
    array = np.arange(60, dtype="f4").reshape(x.shape)
    np.testing.assert_array_equal(Runtime(model, check=True)["double"](x=array)["y"], 2 * array)


def test_what_a_builder_refuses() -> None:
    with pytest.raises(FieldRangeError, match="'w' has shape"):
        StageBuilder("BM1684X", {"w": np.zeros((1, 1, 1, 1, 1), "f4")})
    with pytest.raises(FieldRangeError, match="no end commands"):
        StageBuilder("BM1684X").net("net", Program(BM1684X))
    program, x = Program(BM1684X), LocalTensor(0, (1, 3, 4, 5), f32)
    program.append(Arith(op=ArithOp.ADD, dst=x, src0=x, src1=LocalTensor(4, x.shape, f32)))
    with pytest.raises(LegalityError):
        StageBuilder("BM1684X").net("net", program.end())
