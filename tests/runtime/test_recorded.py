"""The runtime computes what the official one computed, bit for bit, wherever a stage lies in device memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from bmlang.bmodel import Binary, BModel
from bmlang.bmodel.combine import Source, combine
from bmlang.bmodel.memory import command_groups
from bmlang.bmodel.schema import CmdGroup, Net, RelEntry, Tensor
from bmlang.runtime import Network, Runtime
from tests.support.bmodels import ADD, ADD_STAGES, CONV, HANDMADE, MATMUL, RELOC, TOPK_BM1684, fixture, model_bytes
from tests.support.model_runs import ModelRun, model_runs, runs_of
from tpukernel.sim.memory import Array

STATIC = (ADD, ADD_STAGES, CONV, MATMUL, RELOC, HANDMADE)


def network(run: ModelRun, runtime: Runtime) -> Network:
    """The net of a recorded run."""
    return runtime[fixture(run.model).model.net[0].name]


def same(found: Mapping[str, Array], run: ModelRun) -> None:
    assert list(found) == list(run.outputs)
    for name, wanted in run.outputs.items():
        assert (found[name].dtype, found[name].shape) == (wanted.dtype, wanted.shape)
        assert found[name].tobytes() == wanted.tobytes(), name


def static_runs() -> list[ModelRun]:
    return [run for run in model_runs() if run.model in STATIC]


def test_every_static_fixture_has_a_run() -> None:
    assert {run.model for run in model_runs()} == set(model_bytes())
    assert {run.variant for run in runs_of(ADD_STAGES)} == {"b1", "b2", "b4"}


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("run", static_runs(), ids=str)
def test_outputs_are_the_official_ones(run: ModelRun, check: bool) -> None:
    same(network(run, Runtime(model_bytes()[run.model], check=check)).run(run.inputs), run)


NETS = (ADD_STAGES, CONV, MATMUL, RELOC, HANDMADE)


@pytest.mark.parametrize("order", [NETS, NETS[::-1], (*NETS[2:], *NETS[:2])], ids=["forward", "backward", "turned"])
def test_nets_and_stages_of_one_file_do_not_disturb_each_other(order: tuple[str, ...]) -> None:
    """All were compiled for the same addresses. Each runs twice, so that what one leaves in memory would show in another."""
    combined = combine([Source(name, fixture(name)) for name in order]).bmodel
    runtime = Runtime(combined.to_bytes(), check=True)
    runs = [run for name in order for run in runs_of(name)]
    for run in (*runs, *runs[::-1]):
        same(network(run, runtime).run(run.inputs), run)


def with_group(name: str, change: CmdGroup, *, addr_mode: int | None = None) -> BModel:
    """A fixture of one stage and subnet with another command group."""
    model = fixture(name).model
    (stage,) = model.net[0].stages
    stage = replace(stage, sub_net=(replace(stage.subnets[0], cmd_group=(change,)),))
    net = replace(model.net[0], parameter=(stage,), addr_mode=model.net[0].addr_mode if addr_mode is None else addr_mode)
    return BModel(replace(model, net=(net,)))


def group_of(name: str) -> CmdGroup:
    [group] = command_groups(fixture(name).model.net[0].stages[0].subnets[0])
    return group


def test_relocation_entries_say_where_inputs_and_outputs_are() -> None:
    """With `addr_mode` 4, what the commands have as addresses of inputs and outputs does not count."""
    (run,), group = runs_of(RELOC), group_of(RELOC)
    data = bytearray(group.binary_gdma.data if group.binary_gdma else b"")
    for entry in group.reloc_entries or ():
        data[entry.cmd_offset : entry.cmd_offset + 5] = b"\x00\x00\x00\x00\x7f"
    changed = with_group(RELOC, replace(group, binary_gdma=Binary(bytes(data))))
    same(network(run, Runtime(changed)).run(run.inputs), run)


def test_relocated_tensors_may_share_a_base_address() -> None:
    """Input and output of one base, the output 4 KiB behind the input."""
    (run,), model = runs_of(RELOC), fixture(RELOC).model
    (stage,) = model.net[0].stages
    group = group_of(RELOC)
    [read, write] = list(group.reloc_entries or ())
    group = replace(group, reloc_entries=(read, replace(write, base_addr_id=0, addr_offset=4096)))

    def behind(tensors: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
        return tuple(replace(tensor, relentry=RelEntry(0, 4096, 0)) for tensor in tensors or ())

    subnet = replace(stage.subnets[0], cmd_group=(group,), output_tensor=behind(stage.subnets[0].output_tensor))
    stage = replace(stage, sub_net=(subnet,), output_tensor=behind(stage.output_tensor))
    runtime = Runtime(BModel(replace(model, net=(replace(model.net[0], parameter=(stage,)),))), check=True)
    same(network(run, runtime).run(run.inputs), run)


def test_inputs_and_outputs_apart() -> None:
    """With `addr_mode` 1 they have an area of their own: here the one that the intermediate tensors of the net had."""
    (run,) = runs_of(ADD)
    model = fixture(ADD).model
    (stage,) = model.net[0].stages
    apart = replace(stage, io_addr=stage.ctx_addr, io_size=stage.ctx_size, ctx_addr=stage.ctx_addr + stage.ctx_size, ctx_sizes=None)
    runtime = Runtime(BModel(replace(model, net=(replace(model.net[0], parameter=(apart,), addr_mode=1),))), check=True)
    same(network(run, runtime).run(run.inputs), run)


def test_equal_coefficients_are_in_memory_once() -> None:
    """Two nets with the same coefficients fit into memory that two copies would not."""
    (run,), model = runs_of(CONV), fixture(CONV).model
    nets = tuple(replace(model.net[0], name=name) for name in "ab")
    (stage,) = model.net[0].stages
    assert stage.coeff_mem and stage.coeff_mem.binary_coeff
    needed = stage.coeff_mem.binary_coeff.size + 2 * stage.ctx_size
    runtime = Runtime(BModel(replace(model, net=nets)), ddr_bytes=needed)
    for name in "aba":
        same(runtime[name].run(run.inputs), run)


def test_other_coefficients_with_the_same_check_code_are_not_shared() -> None:
    (run,), model = runs_of(CONV), fixture(CONV).model
    (stage,) = model.net[0].stages
    assert stage.coeff_mem and stage.coeff_mem.binary_coeff
    zeros = replace(stage.coeff_mem, binary_coeff=Binary(bytes(stage.coeff_mem.binary_coeff.size)))
    other = replace(model.net[0], name="other", parameter=(replace(stage, coeff_mem=zeros),))
    runtime = Runtime(BModel(replace(model, net=(other, model.net[0]))))
    assert not runtime["other"].run(run.inputs)["y"].any()
    same(runtime[model.net[0].name].run(run.inputs), run)


def test_outputs_come_into_given_arrays() -> None:
    (run,) = runs_of(ADD)
    net = network(run, Runtime(fixture(ADD)))
    target = np.full_like(run.outputs["z"], np.nan)
    found = net(out={"z": target}, **run.inputs)
    assert found["z"] is target
    same(found, run)


def test_results_are_the_callers_own() -> None:
    (run,) = runs_of(ADD)
    net = network(run, Runtime(fixture(ADD)))
    first = net.run(run.inputs)
    first["z"][...] = 0  # writable, and no view of device memory
    assert not net.run({name: np.zeros_like(array) for name, array in run.inputs.items()})["z"].any()
    same(net.run(run.inputs), run)


def test_what_a_network_tells() -> None:
    runtime = Runtime(fixture(ADD_STAGES))
    net = runtime["add_f32"]
    assert list(runtime.nets) == ["add_f32"] and runtime.nets["add_f32"] is net
    assert [(t.name, t.dtype, t.shapes, t.scale, t.zero_point) for t in (*net.inputs, *net.outputs)] == [
        (name, np.dtype("f4"), ((1, 4, 8, 8), (2, 4, 8, 8), (4, 4, 8, 8)), 1.0, 0) for name in "xyz"
    ]
    assert not net.is_dynamic and Runtime(fixture(TOPK_BM1684)).chip == "BM1684"


def test_the_numbers_of_relocated_tensors_belong_to_a_stage() -> None:
    """Two nets with relocated inputs and outputs number them alike."""
    (run,), model = runs_of(RELOC), fixture(RELOC).model
    nets: list[Net] = [replace(model.net[0], name=name) for name in "ab"]
    runtime = Runtime(BModel(replace(model, net=tuple(nets))))
    zeros = {name: np.zeros_like(array) for name, array in run.inputs.items()}
    for name in "ab":
        runtime[name].run(zeros)
        same(runtime[name].run(run.inputs), run)
