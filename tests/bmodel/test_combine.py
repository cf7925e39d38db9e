"""Combining and extracting: order, refusals, and nothing that gets lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bmlang.bmodel import Binary, BModel, load, new_bmodel, walk
from bmlang.bmodel.combine import Source, combine, extract
from bmlang.bmodel.errors import ChipMismatchError, NetConflictError, StageShapeError
from bmlang.bmodel.schema import Cascade, CpuopModule, KernelModule, Model, Net, NetParameter, Shape, SubNet, Tensor
from tests.support.bmodels import ADD, ADD_DYNAMIC, ADD_STAGES, CONV, MATMUL, RELOC, TOPK, TOPK_BM1684, fixture


def sources(*names: str) -> list[Source]:
    return [Source(name, fixture(name)) for name in names]


def binaries(model: Model) -> list[bytes]:
    return [bytes(binary.data) for _, binary in walk(model, Binary)]


# ------------------------------------------------------------------ nets and stages


def test_nets_stand_side_by_side_in_the_order_of_the_files() -> None:
    made = combine(sources(CONV, ADD, MATMUL))
    assert [net.name for net in made.bmodel.model.net] == ["conv_relu_f32", "add_f32", "matmul_f32"]
    assert made.places == (((0, 0),), ((1, 0),), ((2, 0),)) and made.notes == ()
    assert [net.stages for net in made.bmodel.model.net] == [fixture(name).model.net[0].stages for name in (CONV, ADD, MATMUL)]
    assert made.bmodel.model.neuron_size == 32768


def test_stages_come_out_and_go_back_in() -> None:
    stages = [Source(f"{stage}", single) for _, stage, single in extract(fixture(ADD_STAGES))]
    assert [len(source.model.net[0].stages) for source in stages] == [1, 1, 1]
    back = combine([stages[2], stages[0], stages[1]])
    assert back.places == (((0, 0),), ((0, 1),), ((0, 2),))
    shapes = [[tensor.shape for tensor in stage.input_tensor] for stage in back.bmodel.model.net[0].stages]
    whole = fixture(ADD_STAGES).model.net[0].stages
    assert shapes == [[tensor.shape for tensor in whole[k].input_tensor] for k in (2, 0, 1)]
    straight = combine(stages).bmodel
    assert straight.model.net == fixture(ADD_STAGES).model.net


def test_combined_files_are_read_back_whole() -> None:
    made = combine(sources(TOPK, CONV, RELOC)).bmodel
    again = load(made.to_bytes())
    assert again == made
    assert binaries(again.model) == binaries(made.model)
    assert [net.addr_mode for net in again.model.net] == [0, 0, 4]


def tensor(**changes: Any) -> Tensor:
    return replace(Tensor(name="x", shape=(Shape(dim=(1, 3)),)), **changes)


def source(name: str = "a.bmodel", **changes: Any) -> Source:
    """A file with one net of one stage; `net` and `model` are changes of these tables, everything else changes the stage."""
    stage = dict(changes)
    net, model = stage.pop("net", {}), stage.pop("model", {})
    output = Tensor(name="y", shape=(Shape(dim=(1, 3)),))
    parameter = replace(NetParameter(input_tensor=(tensor(),), output_tensor=(output,)), **stage)
    made = new_bmodel("BM1684X", [replace(Net(name="net", parameter=(parameter,)), **net)])
    return Source(name, BModel(replace(made.model, **model)))


OTHER_SHAPE = (tensor(shape=(Shape(dim=(2, 3)),)),)


def test_two_stages_of_one_net() -> None:
    made = combine([source(), source("b.bmodel", input_tensor=OTHER_SHAPE)])
    assert [len(net.stages) for net in made.bmodel.model.net] == [2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"net": {"addr_mode": 1}}, "the address mode: 0 and 1"),
        ({"is_dynamic": 1}, "static or dynamic: static and dynamic"),
        ({"input_tensor": (tensor(name="other"),)}, "the inputs"),
        ({"input_tensor": (tensor(data_type=1),)}, "the inputs"),
        ({"input_tensor": (tensor(scale=0.5),)}, "the inputs"),
        ({"input_tensor": (tensor(zero_point=3),)}, "the inputs"),
        ({"input_tensor": (tensor(), tensor(name="z"))}, "the inputs"),
        ({"input_tensor": (tensor(shape=(Shape(dim=(2, 3)), Shape(dim=(4, 3)))),)}, "the inputs"),
        ({"n_dynamic": 1}, "n_dynamic"),
        ({"h_w_dynamic": 1}, "h_w_dynamic"),
        ({"output_tensor": (tensor(name="other"),)}, "the names of the outputs"),
        ({"sub_net": (SubNet(), SubNet())}, "one or several subnets: one and several"),
        ({"net": {"cascade": Cascade(main_name="all")}}, "spread over devices"),
    ],
)
def test_stages_that_do_not_fit_together(change: dict[str, Any], reason: str) -> None:
    other = source("b.bmodel", **({"input_tensor": OTHER_SHAPE} | change))
    with pytest.raises(NetConflictError, match=reason) as caught:
        combine([source(), other])
    assert caught.value.where == "net 'net' of a.bmodel and b.bmodel"
    renamed = source("b.bmodel", **({"input_tensor": OTHER_SHAPE} | change | {"net": change.get("net", {}) | {"name": "another"}}))
    assert len(combine([source(), renamed]).bmodel.model.net) == 2, "under another name it is welcome"


def test_the_same_shapes_twice() -> None:
    with pytest.raises(StageShapeError, match=r"\[\[\(1, 3\)\]\]"):
        combine([source(), source("b.bmodel")])
    with pytest.raises(StageShapeError):
        combine(sources(ADD_STAGES, ADD))


def test_static_and_dynamic_official_files() -> None:
    static, dynamic = fixture(ADD), fixture(ADD_DYNAMIC)
    renamed = replace(dynamic, model=replace(dynamic.model, net=(replace(dynamic.model.net[0], name="add_f32"),)))
    with pytest.raises(NetConflictError, match="static or dynamic"):
        combine([Source("add.bmodel", static), Source("dynamic.bmodel", renamed)])
    assert len(combine(sources(ADD_DYNAMIC, CONV)).bmodel.model.net) == 2


def test_nothing_to_combine() -> None:
    with pytest.raises(ValueError, match="nothing"):
        combine([])


# ------------------------------------------------------------------ chips and modules


def test_chips_are_not_mixed() -> None:
    with pytest.raises(ChipMismatchError, match=f"{ADD} is for BM1684X, {TOPK_BM1684} for BM1684"):
        combine(sources(ADD, TOPK_BM1684))


def kernel(data: bytes, mode: int = 0) -> dict[str, Any]:
    return {"kernel_module": KernelModule(file_name=f"{data!r}.so", binary=Binary(data), mode=mode)}


def named(name: str, **model: Any) -> Source:
    return source(f"{name}.bmodel", net={"name": name}, model=model)


def test_the_first_kernel_module_that_is_one_is_used() -> None:
    made = combine([named("none"), named("first", **kernel(b"1")), named("second", **kernel(b"2")), named("same", **kernel(b"1"))])
    assert made.bmodel.model.kernel_module == kernel(b"1")["kernel_module"]
    assert made.notes == ("the kernel_module of second.bmodel is another one; that of first.bmodel is used for all nets",)


def test_kernel_modes() -> None:
    with pytest.raises(ChipMismatchError, match=r"a.bmodel has mode normal, that of b.bmodel mode rvti"):
        combine([named("a", **kernel(b"1")), named("b", **kernel(b"1", 1))])
    garbage = combine([named("a", **kernel(b"1", -445742822)), named("b", **kernel(b"1"))]).bmodel.model.kernel_module
    assert garbage is not None and garbage.mode == 0, "what the official --kernel_remove leaves there means nothing"
    assert combine([named("a"), named("b", **kernel(b"", 1))]).bmodel.model.kernel_module is not None, "an empty one needs no mode"


def test_a_file_without_a_kernel_table() -> None:
    assert combine([named("a", kernel_module=None)]).bmodel.model.kernel_module is None
    made = combine([named("a", kernel_module=None), named("b")]).bmodel.model.kernel_module
    assert made is not None and made.binary.size == 0


def test_other_modules_and_numbers() -> None:
    library = CpuopModule(file_name="cpuop.so", binary=Binary(b"ops"))
    made = combine([named("a", device_num=2), named("b", cpuop_module=library, lib_backend=Binary(b"lib"), device_num=4)])
    model = made.bmodel.model
    assert (model.cpuop_module, model.lib_backend, model.device_num) == (library, Binary(b"lib"), 4)
    other = combine([named("a", lib_backend=Binary(b"lib")), named("b", lib_backend=Binary(b"bil"))])
    assert other.notes == ("the lib_backend of b.bmodel is another one; that of a.bmodel is used for all nets",)


def test_extract_keeps_everything_of_the_model() -> None:
    library = CpuopModule(file_name="cpuop.so", binary=Binary(b"ops"))
    whole = combine([named("a", device_num=2, cpuop_module=library, **kernel(b"module")), *sources(RELOC)]).bmodel
    cascade = Cascade(device_id=1, step=2, main_name="all")
    whole = replace(whole, model=replace(whole.model, net=(replace(whole.model.net[0], cascade=cascade), whole.model.net[1])))
    (_, _, first), (net, stage, second) = extract(whole)
    for single in (first, second):
        assert single.model.kernel_module == kernel(b"module")["kernel_module"]
        assert (single.model.cpuop_module, single.model.device_num) == (library, 2)
    assert (first.model.net[0].cascade, second.model.net[0].addr_mode) == (cascade, 4)
    assert (net, stage) == (1, 0) and second.model.net[0] == fixture(RELOC).model.net[0]
    assert second.model.neuron_size == fixture(RELOC).model.net[0].stages[0].ctx_size
