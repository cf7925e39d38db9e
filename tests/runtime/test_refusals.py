"""What the runtime refuses: models that it cannot run, and arrays that do not fit. Nothing is converted, and nothing runs before."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from bmlang.bmodel import Binary, BModel, load
from bmlang.bmodel.schema import NetParameter, RelEntry, SubNet
from bmlang.runtime import Runtime
from bmlang.runtime import errors as rt
from tests.runtime.test_recorded import group_of, with_group
from tests.support.bmodels import ADD, ADD_DYNAMIC, ADD_STAGES, CONV, RELOC, TOPK, TOPK_BM1684, fixture
from tests.support.model_runs import runs_of
from tpukernel.dtypes import bf16
from tpukernel.errors import TpuError
from tpukernel.sim.errors import EngineChoiceError

(RUN,) = runs_of(ADD)
X, Y = RUN.inputs["x"], RUN.inputs["y"]


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"y": None}, rt.InputNameError, "needs input y"),
        ({"z": X}, rt.InputNameError, "has no input z"),
        ({"x": X.astype("f8")}, rt.InputDtypeError, "has dtype float64"),
        ({"x": X.astype("f2")}, rt.InputDtypeError, re.escape("x.astype('float32')")),
        ({"x": X.astype(bf16.numpy)}, rt.InputDtypeError, "has dtype bfloat16"),
        ({"x": X.astype(">f4")}, rt.InputDtypeError, "has dtype >f4"),
        ({"x": X.view("i4")}, rt.InputDtypeError, "has dtype int32"),
        ({"x": X[:, :, :, :4]}, rt.InputLayoutError, "do not follow each other"),
        ({"x": np.asfortranarray(X)}, rt.InputLayoutError, "do not follow each other"),
        ({"x": X.tolist()}, rt.InputLayoutError, "is a list"),
        ({"x": X.reshape(1, 4, 64)}, rt.InputShapeError, re.escape("x (1, 4, 64), y (1, 4, 8, 8)")),
        ({"x": np.concatenate([X, X])}, rt.InputShapeError, re.escape("stage 0 is for x (1, 4, 8, 8)")),
        ({"x": X[0]}, rt.InputShapeError, "no such shapes"),
        ({"out": {"x": X}}, rt.OutputArrayError, "has no output x"),
        ({"out": {"z": X.astype("f8")}}, rt.OutputArrayError, "is float64"),
        ({"out": {"z": X[0]}}, rt.OutputArrayError, re.escape("is float32(4, 8, 8)")),
        ({"out": {"z": X.tobytes()}}, rt.OutputArrayError, "is a bytes"),
        ({"out": {"z": np.asfortranarray(X)}}, rt.OutputArrayError, "is not contiguous"),
    ],
)
def test_arrays_that_do_not_fit(changes: dict[str, object], error: type[TpuError], text: str) -> None:
    arguments = {name: value for name, value in ({"x": X, "y": Y} | changes).items() if value is not None}
    net = cast("Callable[..., object]", Runtime(fixture(ADD))["add_f32"])  # what a careless caller passes has no right type
    with pytest.raises(error, match=text):
        net(**arguments)


def test_an_array_that_cannot_be_written() -> None:
    target = np.empty_like(X)
    target.flags.writeable = False
    with pytest.raises(rt.OutputArrayError, match="cannot be written"):
        Runtime(fixture(ADD))["add_f32"](x=X, y=Y, out={"z": target})


def test_shapes_of_two_stages_are_not_mixed() -> None:
    with pytest.raises(rt.InputShapeError, match="stage 1 is for"):
        Runtime(fixture(ADD_STAGES))["add_f32"](x=X, y=np.concatenate([Y, Y]))


def test_stage_by_number() -> None:
    net = Runtime(fixture(ADD_STAGES))["add_f32"]
    assert net.run({"x": X, "y": Y}, stage=0)["z"].shape == X.shape
    with pytest.raises(rt.InputShapeError, match="stage 1 of net 'add_f32' has other shapes"):
        net.run({"x": X, "y": Y}, stage=1)
    for number in (-1, 3):
        with pytest.raises(rt.StageChoiceError):
            net.run({"x": X, "y": Y}, stage=number)


def test_net_names() -> None:
    with pytest.raises(rt.NetworkNameError, match="the file has add_f32"):
        Runtime(fixture(ADD))["add"]
    model = fixture(ADD).model
    with pytest.raises(rt.NetworkNameError, match="two nets"):
        Runtime(BModel(replace(model, net=model.net * 2)))


@pytest.mark.parametrize(
    ("name", "error", "place"),
    [
        (ADD_DYNAMIC, rt.DynamicSubnetError, "net 'add_dyn_f32', stage 0, subnet 0"),
        (TOPK, rt.DynamicSubnetError, "net 'convtopk', stage 0, subnet 1"),
        (TOPK_BM1684, rt.RunChipError, "BM1684"),
    ],
)
def test_models_that_cannot_be_run(name: str, error: type[TpuError], place: str) -> None:
    (run,) = runs_of(name)
    runtime = Runtime(fixture(name))
    (net,) = runtime.nets.values()
    assert [tensor.name for tensor in net.inputs] == list(run.inputs)
    with pytest.raises(error, match=place):
        net.run(run.inputs)


def test_an_engine_that_does_not_exist() -> None:
    runtime = Runtime(fixture(ADD), "magic")  # pyright: ignore[reportArgumentType]
    with pytest.raises(EngineChoiceError):
        runtime["add_f32"](x=X, y=Y)


# ------------------------------------------------------------------ damaged and unusual stages


def run_changed(stage: NetParameter, *, addr_mode: int = 0) -> None:
    model = fixture(ADD).model
    Runtime(BModel(replace(model, net=(replace(model.net[0], parameter=(stage,), addr_mode=addr_mode),))))["add_f32"](x=X, y=Y)


(STAGE,) = fixture(ADD).model.net[0].stages
(SUBNET,) = STAGE.subnets
GROUP = group_of(ADD)
CTX = STAGE.ctx_addr


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"sub_net": None}, rt.StageDataError, "no subnet"),
        ({"sub_net": (replace(SUBNET, cmd_group=None),)}, rt.StageDataError, "no commands"),
        ({"sub_net": (replace(SUBNET, cmd_group=(replace(GROUP, bdc_num=99),)),)}, rt.StageDataError, "are stated"),
        ({"sub_net": (replace(SUBNET, subnet_mode=2),)}, rt.SubnetKindError, "merge"),
        ({"sub_net": (replace(SUBNET, subnet_mode=3),)}, rt.SubnetKindError, "switch"),
        ({"sub_net": (replace(SUBNET, subnet_mode=9),)}, rt.SubnetKindError, "unknown mode"),
        ({"sub_net": (SubNet(subnet_mode=1),)}, rt.StageDataError, "0 operators"),
        ({"core_num": 8}, rt.SubnetKindError, "8 cores"),
        ({"is_dynamic": 1}, rt.DynamicSubnetError, "dynamic"),
        ({"ctx_addr": CTX + 4096}, rt.DeviceMemoryError, "uses"),
        ({"ctx_size": 4096, "ctx_sizes": None}, rt.DeviceMemoryError, "uses"),
        ({"ctx_size": 1 << 50, "ctx_sizes": None}, rt.DeviceMemoryError, "are left"),
        ({"io_addr": CTX + 4096, "io_size": 4096}, rt.DeviceMemoryError, "overlap"),
    ],
)
def test_stages_that_cannot_be_run(changes: dict[str, Any], error: type[TpuError], text: str) -> None:
    stage = replace(STAGE, **changes)
    for _ in range(2):  # the second attempt is no better than the first
        with pytest.raises(error, match=text):
            run_changed(stage)


@pytest.mark.parametrize("mode", [2, 3, 5, -1])
def test_other_address_modes(mode: int) -> None:
    with pytest.raises(rt.SubnetKindError, match=f"address mode {mode}"):
        run_changed(STAGE, addr_mode=mode)


def test_a_command_that_uses_memory_of_nobody() -> None:
    """The tensors are inside the area, a command is not."""
    data = bytearray(GROUP.binary_gdma.data if GROUP.binary_gdma else b"")
    data[64:69] = (CTX + 0x100_0000).to_bytes(5, "little")
    with pytest.raises(rt.DeviceMemoryError, match=r"src of dma.* uses \[0x101000000"):
        Runtime(with_group(ADD, replace(GROUP, binary_gdma=Binary(bytes(data)))))["add_f32"](x=X, y=Y)


def test_a_command_that_writes_into_coefficients() -> None:
    (stage,), (run,) = fixture(CONV).model.net[0].stages, runs_of(CONV)
    assert stage.coeff_mem
    data = bytearray(binary.data if (binary := group_of(CONV).binary_gdma) else b"")
    at = data.index(stage.output_tensor[0].device_addr.to_bytes(5, "little"))
    data[at : at + 5] = stage.coeff_mem.address.to_bytes(5, "little")
    with pytest.raises(rt.DeviceMemoryError, match="writes into coeff"):
        Runtime(with_group(CONV, replace(group_of(CONV), binary_gdma=Binary(bytes(data)))))["conv_relu_f32"].run(run.inputs)


@pytest.mark.parametrize("entry", [RelEntry(7, 0, 256), RelEntry(0, 1 << 20, 256), RelEntry(0, 0, 1 << 20)])
def test_relocation_entries_that_lead_nowhere(entry: RelEntry) -> None:
    (run,) = runs_of(RELOC)
    with pytest.raises(rt.StageDataError, match="relocation entry"):
        Runtime(with_group(RELOC, replace(group_of(RELOC), reloc_entries=(entry,))))["tiny"].run(run.inputs)


def test_stages_with_different_tensors() -> None:
    model = load(fixture(ADD_STAGES).to_bytes()).model
    first, second, _ = model.net[0].stages
    other = replace(second, input_tensor=(replace(second.input_tensor[0], data_type=1), second.input_tensor[1]))
    with pytest.raises(rt.StageDataError, match="differ in names or types"):
        Runtime(BModel(replace(model, net=(replace(model.net[0], parameter=(first, other)),))))
