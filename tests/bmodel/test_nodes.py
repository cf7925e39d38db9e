"""The map from commands to operators that a file carries."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bmlang as bm
from bmlang.bmodel import Binary, load
from bmlang.bmodel.errors import NodeMapError
from bmlang.bmodel.nodes import MAX_BYTES, EngineName, NodeMap, NodeName, nodes_of
from bmlang.bmodel.schema import NetParameter
from bmlang.bmodel.streams import read_streams
from bmlang.runtime import compare, load_recording

NODES = [NodeName("conv", "bm::conv", "net.py:3:9"), NodeName("relu", "bm::relu"), NodeName("é\n", "acme::f", "<cell 1>:1:1")]
ENGINES: st.SearchStrategy[EngineName] = st.sampled_from(["tiu", "gdma"])
COMMANDS = st.dictionaries(
    st.tuples(st.integers(0, 2), ENGINES, st.integers(1, 40)), st.sampled_from([node.name for node in NODES]), max_size=60
)


@given(COMMANDS)
def test_what_is_written_is_read(commands: dict[tuple[int, EngineName, int], str]) -> None:
    made = NodeMap.of(NODES, commands)
    read = NodeMap.read(made.data())
    assert read == made
    for group in range(3):
        for engine in ("tiu", "gdma"):
            for command in range(42):
                node = read.node_of(group, engine, command)
                assert (None if node is None else node.name) == commands.get((group, engine, command))


@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(NodeMapError):
        NodeMap.read(data)


GOOD = json.loads(NodeMap.of(NODES, {(0, "tiu", 1): "conv", (0, "gdma", 1): "relu"}).data())


DAMAGE: list[tuple[dict[str, object], str]] = [
    ({"version": 2}, "unknown version"),
    ({"nodes": {}}, "lacks a list"),
    ({"nodes": [["a", "b"]]}, "lacks a list"),
    ({"nodes": [["a", "b", 1]]}, "a name that is none"),
    ({"nodes": [["a" * 5000, "b", ""]]}, "a name that is none"),
    ({"groups": [{"group": 0, "engine": "hau", "runs": []}]}, "unknown engine"),
    ({"groups": [{"group": -1, "engine": "tiu", "runs": []}]}, "-1 where a number"),
    ({"groups": [{"group": True, "engine": "tiu", "runs": []}]}, "True where a number"),
    ({"groups": [{"group": 0, "engine": "tiu", "runs": [[1, 1, 3]]}]}, "3 where a number from 0 to 2"),
    ({"groups": [{"group": 0, "engine": "tiu", "runs": [[1, 1, 0], [1, 1, 0]]}]}, "not in order"),
    ({"groups": [{"group": 0, "engine": "tiu", "runs": [[1, 0, 0]]}]}, "not in order"),
    ({"groups": [{"group": 0, "engine": "tiu", "runs": [[1, 1e9, 0]]}]}, "where a number"),
]


@pytest.mark.parametrize(("change", "complaint"), DAMAGE)
def test_damage_is_told(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(NodeMapError, match=complaint):
        NodeMap.read(json.dumps(GOOD | change).encode())


def test_sizes_are_limited() -> None:
    with pytest.raises(NodeMapError, match="are allowed|has"):
        NodeMap.read(b" " * (MAX_BYTES + 1))
    with pytest.raises(NodeMapError, match="is no JSON"):
        NodeMap.read(b"[" * 100_000)


def test_what_belongs_to_others_is_left_alone() -> None:
    stage = NetParameter(input_tensor=(), output_tensor=())
    assert nodes_of(stage) is None
    assert nodes_of(replace(stage, net_profile=Binary(b"[bmprofile] layer"))) is None
    with pytest.raises(NodeMapError):
        nodes_of(replace(stage, net_profile=Binary(b'{"format": "tpukernel-nodes"')))


@bm.function
def user(x: bm.Tensor) -> bm.Tensor:
    a = bm.relu(x)
    return bm.softmax(a, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return bm.compile(user, stages=[{"x": (1, 100, 8, 8)}]).save(tmp_path / "user.bmodel")


def test_every_command_of_a_compiled_file_has_an_operator(path: Path) -> None:
    stage = load(path).model.net[0].stages[0]
    nodes = nodes_of(stage)
    assert nodes is not None and stage.cmd_group is not None
    assert "relu bm::relu test_nodes.py:" in str(nodes.nodes[0])
    group = stage.cmd_group[0]
    counts: dict[EngineName, int] = {"tiu": group.bdc_num, "gdma": group.gdma_num}
    for engine, count in counts.items():
        assert all(nodes.node_of(0, engine, command) for command in range(1, count)), "all but the end command"
        assert nodes.node_of(0, engine, count) is None


def test_the_commands_of_a_file_know_their_operators(path: Path) -> None:
    found = read_streams(path)
    assert found is not None and len(found) == 1
    streams = found[0]
    assert any("bm::relu" in text for text in streams.names.values())
    assert any("bm::relu" in (command.source or "") for command in streams.program().groups[0].tiu)


def test_recordings_speak_of_operators(path: Path, tmp_path: Path) -> None:
    runtime = bm.Runtime(path)
    with runtime.record(tmp_path / "run.zip") as recording:
        runtime["user"](x=np.ones((1, 100, 8, 8), np.float32))
    loaded = load_recording(tmp_path / "run.zip")
    assert [entry.node for entry in loaded.entries] == [entry.node for entry in recording.entries]
    nodes = {entry.node.split()[0] for entry in loaded.entries if entry.node}
    assert nodes == {"relu", "softmax"}
    assert all(entry.node for entry in loaded.entries if entry.engine in ("tiu", "gdma") and not entry.title.endswith(".end"))
    told = str(compare(loaded, {"output": np.zeros((1, 100, 8, 8), np.float32)}))
    assert "  this element was written by gdma command" in told
    assert "  which belongs to softmax bm::softmax test_nodes.py:" in told
