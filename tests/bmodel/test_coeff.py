"""Joining coefficients: every address in commands and tables leads to the same bytes as before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bmlang.bmodel import BModel, load, sha256
from bmlang.bmodel.coeff import combine_coeff
from bmlang.bmodel.combine import Source, extract
from bmlang.bmodel.errors import ChipMismatchError, CoefficientError
from bmlang.bmodel.schema import CmdGroup, CoeffMem, NetParameter
from bmlang.bmodel.streams import groups_of
from bmlang.bmodel.verify import verify
from tests.support.bmodels import ADD, ADD_DYNAMIC, CONV, MATMUL, RELOC, TOPK, TOPK_BM1684, fixture
from tpukernel.chips.tensors import SystemTensor
from tpukernel.isa import decode

DDR = 0x1_0000_0000


def sources(*names: str) -> list[Source]:
    return [Source(name, fixture(name)) for name in names]


def coeff_of(stage: NetParameter) -> tuple[CoeffMem, bytes]:
    assert stage.coeff_mem is not None and stage.coeff_mem.binary_coeff is not None
    return stage.coeff_mem, bytes(stage.coeff_mem.binary_coeff.data)


def meaning(bmodel: BModel) -> Iterator[tuple[object, ...]]:
    """What the addresses of all commands mean: a byte of the coefficients by its contents, or a byte of the intermediate tensors."""
    for place in groups_of(bmodel.model):
        coeff, data = coeff_of(place.stage)
        assert place.group.binary_gdma is not None
        for command in decode("BM1684X", "gdma", place.group.binary_gdma.data):
            for use in command.operands():
                if isinstance(use.value, SystemTensor) and use.value.address >= DDR:
                    offset = use.value.address - coeff.address
                    weights = offset < place.stage.ctx_addr - coeff.address
                    yield use.name, data[offset : offset + 4096] if weights else use.value.address - place.stage.ctx_addr


@pytest.mark.parametrize("names", [(CONV, MATMUL), (MATMUL, CONV), (TOPK, CONV, MATMUL)])
def test_commands_reach_the_same_bytes(names: tuple[str, ...]) -> None:
    made = load(combine_coeff(sources(*names)).bmodel.to_bytes())
    assert made.model.bmodel_type == 1
    assert list(meaning(made)) == [entry for name in names for entry in meaning(fixture(name))]
    assert verify(made).findings == ()
    stages = [net.stages[0] for net in made.model.net]
    assert len({coeff_of(stage)[1] for stage in stages}) == 1
    coeff, data = coeff_of(stages[0])
    assert coeff.check_code == sha256(data)
    assert len(data) == sum(len(coeff_of(fixture(name).model.net[0].stages[0])[1]) for name in names)
    for stage, name in zip(stages, names, strict=True):
        old = fixture(name).model.net[0].stages[0]
        shift = stage.ctx_addr - old.ctx_addr
        assert stage.ctx_addr == coeff.address + len(data)
        moved = [tensor.device_addr - shift for tensor in (*stage.input_tensor, *stage.output_tensor)]
        assert moved == [tensor.device_addr for tensor in (*old.input_tensor, *old.output_tensor)]
        assert stage.dynamic_combined_coeff_offset == len(data)


def test_equal_weights_are_there_once() -> None:
    model = fixture(CONV).model
    twin = Source("twin.bmodel", BModel(replace(model, net=(replace(model.net[0], name="twin"),))))
    made = combine_coeff([*sources(CONV), twin]).bmodel.model
    assert [coeff_of(net.stages[0])[1] for net in made.net] == [coeff_of(model.net[0].stages[0])[1]] * 2
    assert made.net[0].stages[0].cmd_group == model.net[0].stages[0].cmd_group, "nothing moves"


def test_joined_files_can_be_joined_again() -> None:
    pair = combine_coeff(sources(CONV, MATMUL)).bmodel
    made = combine_coeff([Source("pair.bmodel", pair), *sources(TOPK)]).bmodel
    assert list(meaning(made)) == [entry for name in (CONV, MATMUL, TOPK) for entry in meaning(fixture(name))]
    assert verify(made).findings == ()
    parts = [single for _, _, single in extract(made)]
    assert [list(meaning(part)) for part in parts] == [list(meaning(fixture(name))) for name in (CONV, MATMUL, TOPK)]


def test_inputs_and_outputs_apart_move_too() -> None:
    model = fixture(CONV).model
    stage = model.net[0].stages[0]
    # The first half of the intermediate memory becomes that of inputs and outputs.
    half = stage.ctx_size // 2
    apart = replace(stage, io_addr=stage.ctx_addr, io_size=half, ctx_addr=stage.ctx_addr + half, ctx_size=half, ctx_sizes=(half,))
    alone = BModel(replace(model, net=(replace(model.net[0], parameter=(apart,), addr_mode=1),)))
    made = combine_coeff([Source("alone.bmodel", alone), *sources(MATMUL)]).bmodel.model.net[0].stages[0]
    coeff, data = coeff_of(made)
    assert (made.io_addr, made.ctx_addr) == (coeff.address + len(data), coeff.address + len(data) + half)


def changed(stage: dict[str, Any] | None = None, coeff: dict[str, Any] | None = None) -> Source:
    model = fixture(CONV).model
    old = model.net[0].stages[0]
    assert old.coeff_mem is not None
    new = replace(old, coeff_mem=replace(old.coeff_mem, **(coeff or {})), **(stage or {}))
    return Source("changed.bmodel", BModel(replace(model, net=(replace(model.net[0], parameter=(new,)),))))


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (sources(ADD), "no coefficients with names"),
        (sources(TOPK_BM1684), "its commands cannot be moved: ISA110"),
        (sources(ADD_DYNAMIC), "no coefficients with names"),
        (sources(RELOC), "address mode other than 0 and 1"),
        ([changed(coeff={"location": None})], "no coefficients with names"),
        ([changed(coeff={"encrypt_mode": 1})], "encrypted"),
        ([changed(stage={"is_dynamic": 1})], "dynamic"),
        ([*sources(MATMUL), changed(coeff={"address": DDR + 4096})], "its coefficients begin at 0x100001000"),
        ([changed(stage={"cmd_group": (CmdGroup(gdma_num=99),)})], None),
    ],
)
def test_what_cannot_be_joined(wanted: list[Source], reason: str | None) -> None:
    if reason is None:  # a group without a stream has nothing to move
        assert combine_coeff(wanted).bmodel.model.bmodel_type == 1
        return
    with pytest.raises(CoefficientError, match=reason):
        combine_coeff(wanted)


def test_weights_behind_the_coefficients() -> None:
    coeff, data = coeff_of(fixture(CONV).model.net[0].stages[0])
    assert coeff.location is not None
    with pytest.raises(CoefficientError, match="ends at 0x9"):
        combine_coeff([changed(coeff={"location": (replace(coeff.location[0], size=0x9000),)})])
    assert len(data) == 0x4000


def test_commands_that_use_unnamed_weights() -> None:
    coeff, _ = coeff_of(fixture(CONV).model.net[0].stages[0])
    assert coeff.location is not None
    with pytest.raises(CoefficientError, match="0x100003000, which is in none of the named weights"):
        combine_coeff([changed(coeff={"location": coeff.location[:1]})])


@pytest.mark.parametrize(("size", "code"), [(100, "ISA101"), (400, "ISA10")])
def test_streams_that_cannot_be_decoded(size: int, code: str) -> None:
    stage = fixture(CONV).model.net[0].stages[0]
    assert stage.cmd_group is not None and stage.cmd_group[0].binary_gdma is not None
    binary = stage.cmd_group[0].binary_gdma
    data = bytes(binary.data[:size]) + (b"\xff" * 96 if size == 400 else b"")
    group = replace(stage.cmd_group[0], binary_gdma=replace(binary, data=data))
    with pytest.raises(CoefficientError, match=f"its commands cannot be moved: {code}"):
        combine_coeff([changed(stage={"cmd_group": (group,)})])


def test_what_combine_refuses_is_refused_here() -> None:
    with pytest.raises(ChipMismatchError):
        combine_coeff(sources(CONV, TOPK_BM1684))
