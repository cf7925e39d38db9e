"""BModels against the official `model_tool`: what it prints of the recorded models, of what is written here, and what it combines."""

from __future__ import annotations

import difflib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from bmlang.bmodel import Binary, BModel, load, walk
from bmlang.bmodel.coeff import combine_coeff
from bmlang.bmodel.combine import Source, combine, extract
from bmlang.bmodel.edit import refresh
from bmlang.bmodel.fields import FieldPlan, plan_of
from bmlang.bmodel.schema import Cascade, KernelModule, Model, Net, RelEntry, Shape
from bmlang.cli.model_info import info_text
from bmlang.cli.model_print import print_text
from tests.bmodel.strategies import models
from tests.support.bmodels import ADD, ADD_DYNAMIC, ADD_STAGES, CONV, HANDMADE, MATMUL, RELOC, TOPK, TOPK_BM1684, fixture
from tests.support.model_tool import corpus, corpus_folder, model_tool, said, tool_available
from tests.support.oracle import oracle_folder
from tests.support.vendor import each

REASON = tool_available()
pytestmark = [pytest.mark.vendor, pytest.mark.skipif(REASON is not None, reason=str(REASON))]
recorded_model = each("path", corpus(), reason=f"there are no recorded models in {corpus_folder()}", ids=lambda path: path.stem)


def test_the_corpus_is_there() -> None:
    if not corpus():
        pytest.skip(f"there are no recorded models in {corpus_folder()}")
    assert len(corpus()) == 35


def text_of(path: Path, kind: str) -> str:
    return (corpus_folder() / "txt" / f"{path.stem}.{kind}.txt").read_text()


def same(ours: str, theirs: str) -> None:
    """Fails with the lines that differ."""
    found = list(difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "official", "ours", lineterm="", n=1))
    assert not found, "\n".join(found[:40])


# ------------------------------------------------------------------ printing


@recorded_model
def test_info_and_print_are_those_recorded(path: Path) -> None:
    same(info_text(load(path)) + "\n", text_of(path, "info"))
    same(print_text(load(path).model) + "\n\n", text_of(path, "print"))


@recorded_model
def test_written_again_a_file_prints_the_same(path: Path, tmp_path: Path) -> None:
    written = tmp_path / "written.bmodel"
    load(path).save(written)
    info, printed = (said(f"--{kind}", written) for kind in ("info", "print"))
    if path.stem == HANDMADE:  # the only tight one becomes aligned
        info = info.replace("bmodel is 4k aligned", "bmodel is not 4k aligned")
        printed = printed.replace("start: 4096", "start: 256")
    same(info, text_of(path, "info"))
    same(printed, text_of(path, "print"))


STAGE = fixture(CONV).model.net[0].stages[0]


def changed(model: dict[str, Any] | None = None, **stage: Any) -> BModel:
    """The convolution with other values."""
    old = fixture(CONV).model
    net = replace(old.net[0], parameter=(replace(STAGE, **stage),))
    return BModel(replace(old, **({"net": (net,)} | (model or {}))))


def net(name: str, device: int, main: str, **changes: Any) -> Net:
    return replace(fixture(CONV).model.net[0], name=name, cascade=Cascade(device_id=device, main_name=main), **changes)


X, Y = STAGE.input_tensor[0], STAGE.output_tensor[0]
SECOND = replace(
    STAGE,
    input_tensor=(replace(X, name="inner", hidden=0), replace(X, name="late", hidden=3, index=5)),
    output_tensor=(replace(Y, hidden=4, index=2), replace(Y, name="early", hidden=1, scale=0.1234567, zero_point=-3)),
)
NETS = (net("a_0", 0, "a"), net("a_1", 1, "a", parameter=(SECOND,)), replace(fixture(CONV).model.net[0], addr_mode=3), net("alone", 3, ""))
VARIANTS = {
    "cascade": changed({"net": NETS, "device_num": 2}),
    "no kernel table": changed({"kernel_module": None}),
    "large kernel": changed({"kernel_module": KernelModule(file_name="k", binary=Binary(bytes(1_000_000)))}),
    "kernel mode": changed({"kernel_module": KernelModule(file_name="k", binary=Binary(b"k"), mode=1)}),
    "kernel mode garbage": changed({"kernel_module": KernelModule(file_name="k", binary=Binary(b"k"), mode=-4096)}),
    "other chip": changed({"chip": "BM1688"}),
    "fixed commands": changed({"chip": "BM1684"}),
    "older chip": changed({"chip": "BM1682"}),
    "cores": changed(core_num=8),
    "dynamic sizes": changed(n_dynamic=1),
    "dynamic": changed(is_dynamic=1, h_w_dynamic=1),
    "scales": changed(input_tensor=(replace(X, scale=1e20), replace(X, scale=1e-7, data_type=11), replace(X, shape=(Shape(dim=()),)))),
    "host memory": changed(cpu_mem_size=10),
    "no weights": changed(coeff_mem=None),
    "several subnets": changed(sub_net=STAGE.subnets * 2),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_info_of_variants(name: str, tmp_path: Path) -> None:
    path = tmp_path / "variant.bmodel"
    VARIANTS[name].save(path)
    same(info_text(load(path)) + "\n", said("--info", path))
    same(print_text(load(path).model) + "\n\n", said("--print", path))


def test_info_of_all_nets_of_a_cascade(tmp_path: Path) -> None:
    path = tmp_path / "cascade.bmodel"
    VARIANTS["cascade"].save(path)
    same(info_text(load(path), every=True) + "\n", said("--info", path, "--all"))


def opened(model: Model) -> Model:
    """The model with what the official tool wants before it opens a file: a chip, and nets with names and stages."""
    nets = model.net or (Net(name=""),)
    named = tuple(replace(one, name=f"net{one.name}", parameter=one.parameter or (STAGE,)) for one in nets)
    return replace(model, chip=f"chip{model.chip}", net=named)


@given(models())
@settings(max_examples=settings().max_examples // 3 + 1, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_model_prints_the_same(tmp_path: Path, model: Model) -> None:
    path = tmp_path / "any.bmodel"
    BModel(opened(model)).save(path)
    same(print_text(load(path).model) + "\n\n", said("--print", path))


# ------------------------------------------------------------------ combining


def comparable(text: str) -> str:
    """A printed model without what differs from run to run, and from writer to writer."""
    return re.sub(r"^  (time|version): .*$", "", text, flags=re.MULTILINE)


def binaries(path: Path) -> list[bytes]:
    return [bytes(binary.data) for _, binary in walk(load(path).model, Binary)]


def files(folder: Path, bmodels: Sequence[BModel]) -> list[Path]:
    """The models as files that the official tool combines: with a kernel mode that is none of its garbage."""
    paths = [folder / f"{k}.bmodel" for k in range(len(bmodels))]
    for path, bmodel in zip(paths, bmodels, strict=True):
        refresh(bmodel).save(path)
    return paths


ADDS = [single for _, _, single in extract(fixture(ADD_STAGES))]
COMBINATIONS = {
    "stages": ADDS,
    "stages in another order": ADDS[::-1],
    "nets": [fixture(name) for name in (ADD, CONV, MATMUL, TOPK)],
    "static and dynamic nets": [fixture(ADD_DYNAMIC), fixture(CONV)],
    "several nets and stages": [fixture(ADD_STAGES), fixture(MATMUL), fixture(RELOC)],
    "BM1684": [fixture(TOPK_BM1684)],
    "host module": [replace(fixture(ADD), model=replace(fixture(ADD).model, device_num=3)), fixture(CONV)],
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_combine(name: str, tmp_path: Path) -> None:
    paths = files(tmp_path, COMBINATIONS[name])
    ours, theirs = tmp_path / "ours.bmodel", tmp_path / "theirs.bmodel"
    combine([Source(str(path), load(path)) for path in paths]).bmodel.save(ours)
    said("--combine", *paths, "-o", theirs)
    same(comparable(said("--print", ours)), comparable(said("--print", theirs)))
    assert binaries(ours) == binaries(theirs)


@pytest.mark.parametrize("names", [(CONV, MATMUL), (MATMUL, TOPK, CONV)])
def test_combine_coeff(names: Sequence[str], tmp_path: Path) -> None:
    paths = files(tmp_path, [fixture(name) for name in names])
    ours, theirs = tmp_path / "ours.bmodel", tmp_path / "theirs.bmodel"
    combine_coeff([Source(str(path), load(path)) for path in paths]).bmodel.save(ours)
    said("--combine_coeff", *paths, "-o", theirs)
    places = re.compile(r"start: \d+")  # the official tool stores the joined coefficients first
    texts = [places.sub("start", comparable(said("--print", path))) for path in (ours, theirs)]
    same(*texts)
    assert binaries(ours) == binaries(theirs)


REFUSED = {
    "the same file twice": [ADDS[0], ADDS[0]],
    "static and dynamic": [
        ADDS[0],
        replace(
            fixture(ADD_DYNAMIC),
            model=replace(fixture(ADD_DYNAMIC).model, net=(replace(fixture(ADD_DYNAMIC).model.net[0], name="add_f32"),)),
        ),
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_official_tool_refuses_is_refused(name: str, tmp_path: Path) -> None:
    paths = files(tmp_path, REFUSED[name])
    assert model_tool("--combine", *paths, "-o", tmp_path / "out.bmodel").returncode
    with pytest.raises(Exception, match="BMODEL12"):
        combine([Source(str(path), load(path)) for path in paths])


def test_extract_keeps_what_the_official_tool_loses(tmp_path: Path) -> None:
    (path,) = files(tmp_path, [fixture(RELOC)])
    said("--extract", path, folder=tmp_path)
    ((_, _, ours),) = extract(load(path))
    theirs = load(tmp_path / "bm_net0_stage0.bmodel").model
    assert (theirs.net[0].addr_mode, ours.model.net[0].addr_mode) == (0, 4)
    assert replace(theirs.net[0], addr_mode=4) == ours.model.net[0]


# ------------------------------------------------------------------ the schema


def test_the_schema_is_the_one_in_the_tool() -> None:
    """The tool contains its schema as text, for its own printing."""
    text = (oracle_folder() / "bin" / "model_tool").read_bytes().decode("latin-1")
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text[text.index("namespace bmodel;") :][:20_000], flags=re.DOTALL)
    declared = {name: body for _, name, body in re.findall(r"\b(table|struct) (\w+)\s*\{([^}]*)\}", text)}
    assert len(declared) >= 20
    todo, seen = [plan_of(Model), plan_of(RelEntry)], set[str]()
    for plan in todo:
        seen.add(plan.name)
        todo += [plan_of(one.target) for one in plan.fields if one.target is not None and one.target.__name__ not in seen]
        fields = re.findall(r"(\w+)\s*:\s*(\[?\w+\]?)\s*(?:=\s*([-\w.]+))?\s*(\([^)]*\))?\s*;", declared[plan.name])
        assert {one.name for one in plan.fields} == {name for name, *_ in fields}, plan.name
        for position, (name, kind, default, attributes) in enumerate(fields):
            one = next(one for one in plan.fields if one.name == name)
            number = re.search(r"id:\s*(\d+)", attributes)
            assert one.id == (int(number[1]) if number else position), (plan.name, name)
            assert kind == written(one), (plan.name, name)
            assert ("required" in attributes) == (one.required and plan.cls is not RelEntry), (plan.name, name)
            if isinstance(one.default, (int, float)):
                assert one.default == float(default or 0), (plan.name, name)
    assert seen == declared.keys() - {"Binary"}


def written(one: FieldPlan) -> str:
    """The type of a field as the schema writes it."""
    name = "Binary" if one.wire == "binary" else one.target.__name__ if one.target else one.wire
    return f"[{name}]" if one.vector else name


def test_official_tool_is_the_version_the_study_measured() -> None:
    done: subprocess.CompletedProcess[str] = model_tool("--version")
    assert "1.30.2" in done.stdout
