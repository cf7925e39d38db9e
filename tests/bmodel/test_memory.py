"""Memory figures: those of the official tool, and right where it is wrong."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from bmlang.bmodel import Binary
from bmlang.bmodel.memory import LOADER_BYTES, Memory, memory_of
from bmlang.bmodel.schema import CmdGroup, CoeffMem, CoreCommands, CpuConst, CpuParam, KernelModule, Model, NetParameter, SubNet
from tests.support.bmodels import ADD_DYNAMIC, CONV, fixture, recorded

STAGE = fixture(CONV).model.net[0].stages[0]


@pytest.mark.parametrize(("name", "text"), recorded("info").items())
def test_the_figures_of_the_official_tool(name: str, text: str) -> None:
    found = re.search(r"\(weight: (\d+), instruct: (\d+), .*\n.*\(weight: (\d+), runtime: (\d+)\)\n\D*(\d+)\n\D*(\d+)", text)
    assert found is not None
    memory = memory_of(fixture(name).model)
    figures = memory.weight, memory.instruct, memory.host_weight, memory.host_runtime, memory.soc_peak, memory.pcie_peak
    assert figures == tuple(map(int, found.groups()))


def of(*nets: tuple[NetParameter, ...], **changes: Any) -> Memory:
    """Figures of a model whose nets have these stages."""
    model: Model = fixture(CONV).model
    return memory_of(replace(model, net=tuple(replace(model.net[0], name=f"{k}", parameter=net) for k, net in enumerate(nets)), **changes))


def stage(**changes: Any) -> NetParameter:
    return replace(STAGE, **changes)


def coeff(size: int, code: bytes) -> CoeffMem:
    return CoeffMem(binary_coeff=Binary(bytes(size)), check_code=code)


def group(tiu: int, gdma: int) -> tuple[CmdGroup, ...]:
    return (CmdGroup(bdc_num=1, gdma_num=2, binary_bdc=Binary(bytes(tiu)), binary_gdma=Binary(bytes(gdma))),)


def test_every_stage_counts_for_itself() -> None:
    """The official tool counts the first one again and again."""
    large = stage(coeff_mem=coeff(50_000, b"large"), sub_net=(replace(STAGE.subnets[0], cmd_group=group(1000, 2000)),), ctx_size=99_999)
    memory = of((STAGE, large))
    assert (memory.weight, memory.instruct, memory.neuron) == (16384 + 50_000, 768 + 3000, 99_999)


def test_equal_weights_count_once() -> None:
    assert of((STAGE,), (STAGE,)).weight == 16384
    assert of((STAGE,), (stage(coeff_mem=coeff(10, b"other")),)).weight == 16394


def test_intermediate_tensors_share_memory_unless_a_net_has_several_subnets() -> None:
    large = stage(ctx_size=999_999)
    assert of((STAGE,), (large,)).neuron == 999_999
    several = stage(ctx_size=999_999, sub_net=STAGE.subnets * 2)
    assert of((STAGE,), (several,)).neuron == of((several,), (STAGE,), (stage(ctx_size=7),)).neuron == 999_999 + 32768


@pytest.mark.parametrize(
    ("chip", "instruct", "peak"), [("BM1684X", 3000, 4000), ("BM1684", 384, 2000), ("BM1682", 768, 2000), ("?", 3000, 2000)]
)
def test_commands_of_the_chips(chip: str, instruct: int, peak: int) -> None:
    groups = group(1000, 2000)
    memory = of((stage(coeff_mem=None, cmd_group=groups, sub_net=(replace(STAGE.subnets[0], cmd_group=groups),)),), chip=chip)
    assert (memory.instruct, memory.soc_peak - LOADER_BYTES, memory.pcie_peak - LOADER_BYTES) == (instruct, peak, peak)


def test_commands_core_by_core() -> None:
    core = CoreCommands(gdma_tiu_commands=group(1000, 2000), sdma_commands=(Binary(bytes(5)),), cdma_commands=(Binary(bytes(7)),))
    memory = of((stage(sub_net=(replace(STAGE.subnets[0], cmd_group=None, core_commands=(core, core)),)),))
    assert memory.instruct == 2 * 3012


def test_what_loading_takes() -> None:
    kernel = KernelModule(file_name="k", binary=Binary(bytes(1_000_000)))
    memory = of((stage(coeff_mem=coeff(1_500_000, b"")),), kernel_module=kernel)
    assert (memory.soc_peak, memory.pcie_peak) == (LOADER_BYTES + 2_000_000, LOADER_BYTES + 2_000_000)
    assert of((stage(coeff_mem=coeff(3_000_000, b"")),), kernel_module=kernel).pcie_peak == LOADER_BYTES + 3_000_000
    assert of().soc_peak == LOADER_BYTES


def test_dynamic_subnets_and_the_host() -> None:
    assert memory_of(fixture(ADD_DYNAMIC).model).instruct == 4 * 208
    consts = tuple(CpuConst(const_data=Binary(bytes(size)), check_code=code) for size, code in ((1000, b"a"), (3000, b"b"), (1000, b"a")))
    cpu = SubNet(subnet_mode=1, cpu_param=(CpuParam(cpu_const=consts),))
    memory = of((stage(sub_net=(cpu,), cpu_mem_size=10),))
    assert (memory.host_weight, memory.host_runtime, memory.instruct) == (4000, 40, 0)


def test_the_conversion_buffer() -> None:
    assert of((STAGE,)).io_buffer == 16 * 16 * 16 * 4
    assert of((stage(input_tensor=(replace(STAGE.input_tensor[0], data_type=2),), output_tensor=()),)).io_buffer == 16 * 16 * 16
