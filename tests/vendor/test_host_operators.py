"""Operators of the host on the official runtime, in files that we compile: the same bits, or a refusal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bmlang as bm
from bmlang.bmodel import BModel, load
from bmlang.host.sorting import TopK
from tests.support.model_tool import corpus, said, tool_available
from tests.support.official_runtime import Request, official_outputs
from tests.support.operator_matrix import REFUSED

pytestmark = pytest.mark.vendor

RANDOM = np.random.default_rng(11)
BOXES = RANDOM.uniform(0, 6, (2, 40, 4)).astype(np.float32)
SCORES = RANDOM.uniform(-3, 3, (2, 3, 40)).astype(np.float32)
GIVEN = {"boxes": BOXES, "scores": SCORES}
SHAPES = {name: array.shape for name, array in GIVEN.items()}


@bm.function
def head(boxes: bm.Tensor, scores: bm.Tensor) -> dict[str, bm.Tensor]:
    """Commands, suppression, the best of all and their boxes, elements above a limit: every kind of tensor between subnets."""
    likely = bm.sigmoid(scores)
    values, places = bm.topk(bm.reshape(likely, (240,)), 7)
    picked = bm.gather(bm.reshape(boxes, (80, 4)), bm.cast(bm.floor(bm.cast(places, bm.f32) * 0.25), bm.i32))
    order, _ = bm.sort(bm.reshape(boxes, (2, 160)), 1, descending=True)
    return {
        "kept": bm.nms(bm.relu(boxes), likely, 5, overlap=0.3, least=0.4),
        "values": values + 1.0,
        "picked": picked,
        "order": order,
        "above": bm.masked_select(boxes, boxes > 5.5),
        "where": bm.nonzero(likely > 0.9),
    }


@bm.function
def filled(boxes: bm.Tensor, scores: bm.Tensor) -> bm.Tensor:
    return bm.fill_up(bm.nms(boxes, scores, 5), -1) + 1


@pytest.mark.parametrize("mode", ["f32", "f16"])
def test_a_detection_head_computes_the_same_bits_there(mode: str) -> None:
    model = bm.compile(head, stages=[SHAPES], mode=mode)
    (found,) = official_outputs([Request(model.bmodel.to_bytes(), "head", GIVEN)])
    assert not found.failure
    ours = model.run(**GIVEN)
    assert found.outputs.keys() == ours.keys()
    for name, array in found.outputs.items():
        assert array.shape == ours[name].shape and array.tobytes() == ours[name].tobytes(), name


def test_sizes_follow_the_data() -> None:
    """Nothing above the limits among them."""
    model = bm.compile(head, stages=[SHAPES])
    requests: list[Request] = []
    for scale in (0.0, 1.0, 2.0):
        net = replace(model.bmodel.model.net[0], name=f"head{scale}")
        file = BModel(replace(model.bmodel.model, net=(net,))).to_bytes()
        requests.append(Request(file, net.name, {"boxes": BOXES * np.float32(scale), "scores": SCORES}))
    sizes: set[int] = set()
    for request, found in zip(requests, official_outputs(requests), strict=True):
        ours = model.run(**request.inputs)
        assert not found.failure
        assert {name: (array.shape, array.tobytes()) for name, array in found.outputs.items()} == {
            name: (array.shape, array.tobytes()) for name, array in ours.items()
        }
        sizes.add(ours["above"].size)
    assert 0 in sizes and len(sizes) > 1


def test_a_file_with_operators_of_ours_alone_is_refused_when_it_is_loaded() -> None:
    model = bm.compile(filled, stages=[SHAPES])
    assert model.run(**GIVEN)["output"].shape == (30, 3)
    (found,) = official_outputs([Request(model.bmodel.to_bytes(), "filled", GIVEN)])
    assert REFUSED in found.failure


def test_the_official_tool_shows_the_subnets(tmp_path: Path) -> None:
    if reason := tool_available():
        pytest.skip(reason)
    path = bm.compile([head, filled], stages={"head": [SHAPES], "filled": [SHAPES]}).save(f"{tmp_path}/host.bmodel")
    info = said("--info", path)
    numbers = [len(net.stages[0].subnets) for net in load(path).model.net]
    assert [int(line.split(":")[1]) for line in info.splitlines() if line.startswith("subnet number")] == numbers
    assert said("--print", path).count("op_type") == 7


def test_parameters_of_topk_are_those_of_the_official_compiler() -> None:
    files = [path for path in corpus() if "cpusubnet" in path.name]
    if not files:
        pytest.skip("there are no recorded models")
    (stage,) = load(files[0]).model.net[0].stages
    (param,) = (param for subnet in stage.subnets for param in subnet.cpu_param or ())
    assert param.op_type == 17 and param.binary_param is not None
    assert bytes(param.binary_param.data) == TopK(5, 1).data()
