"""Which operator of a model each command, and each subnet for the host, belongs to, kept in the file: `NetParameter.net_profile`.

The field is the one in which the official compiler keeps what its profiler knows about layers (`--debug`); its contents are the compiler's
own. Runtimes copy commands and coefficients and leave it alone, and the official tool carries it along when it combines files. What is
written here is JSON that begins with `{"format": "tpukernel-nodes"`; anything else in the field is left to whom it belongs.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeAlias, cast

from bmlang.bmodel.errors import NodeMapError
from bmlang.bmodel.fields import Binary
from bmlang.bmodel.memory import command_groups
from bmlang.bmodel.schema import NetParameter

__all__ = ["NodeMap", "NodeName", "groups_before", "nodes_of"]

EngineName: TypeAlias = Literal["tiu", "gdma"]
ENGINES: Final[tuple[EngineName, ...]] = ("tiu", "gdma")
BEGIN: Final = b'{"format": "tpukernel-nodes"'
VERSION: Final = 1
MAX_BYTES: Final = 1 << 24
MAX_TEXT: Final = 4096
"""Characters of one name."""
MAX_COMMANDS: Final = 1 << 31

Run: TypeAlias = tuple[int, int, int]
"""Commands in a row of one node: number of the first one, how many, number of the node."""


@dataclass(frozen=True)
class NodeName:
    """An operator of a model.

    Attributes:
        name: its name in the graph.
        op: what it is, for example `bm::conv`.
        place: file, line and column in which the user wrote it, without folders; empty when unknown.
    """

    name: str
    op: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.op}{f' {self.place}' if self.place else ''}"


@dataclass(frozen=True)
class NodeMap:
    """The operators of a stage and the commands of each.

    Attributes:
        nodes: the operators.
        runs: by command group (of all those of the stage) and engine: commands in a row, in order.
        hosted: by subnet for the host the number of the operator.
    """

    nodes: tuple[NodeName, ...]
    runs: Mapping[tuple[int, EngineName], tuple[Run, ...]]
    hosted: Mapping[int, int] = field(default_factory=dict[int, int])

    @classmethod
    def of(
        cls, nodes: Sequence[NodeName], commands: Mapping[tuple[int, EngineName, int], str], hosted: Mapping[int, str] | None = None
    ) -> NodeMap:
        """The map for the name of the node of each command, by group, engine and number (from 1 on), and of each subnet for the host."""
        numbers = {node.name: number for number, node in enumerate(nodes)}
        runs: dict[tuple[int, EngineName], list[Run]] = {}
        for group, engine, command in sorted(commands):
            known = runs.setdefault((group, engine), [])
            node = numbers[commands[group, engine, command]]
            if known and known[-1][2] == node and sum(known[-1][:2]) == command:
                known[-1] = (known[-1][0], known[-1][1] + 1, node)
            else:
                known.append((command, 1, node))
        on_host = {subnet: numbers[name] for subnet, name in (hosted or {}).items()}
        return cls(tuple(nodes), {key: tuple(each) for key, each in runs.items()}, on_host)

    @cached_property
    def _begins(self) -> Mapping[tuple[int, EngineName], list[int]]:
        return {key: [first for first, _, _ in each] for key, each in self.runs.items()}

    def node_of(self, group: int, engine: EngineName, command: int) -> NodeName | None:
        """The operator of a command by its number, from 1 on; None for one that belongs to none, as end commands."""
        key = (group, engine)
        place = bisect_right(self._begins.get(key, []), command) - 1
        if place < 0:
            return None
        first, count, node = self.runs[key][place]
        return self.nodes[node] if command < first + count else None

    def hosted_node(self, subnet: int) -> NodeName | None:
        """The operator of a subnet for the host; None where the map does not say."""
        return self.nodes[self.hosted[subnet]] if subnet in self.hosted else None

    def data(self) -> bytes:
        """The map as bytes."""
        groups = [{"group": group, "engine": engine, "runs": list(map(list, each))} for (group, engine), each in sorted(self.runs.items())]
        nodes = [[node.name, node.op, node.place] for node in self.nodes]
        told: dict[str, object] = {"format": "tpukernel-nodes", "version": VERSION, "nodes": nodes, "groups": groups}
        if self.hosted:
            told["hosted"] = list(map(list, sorted(self.hosted.items())))
        return json.dumps(told, separators=(",", ": ")).encode()

    @classmethod
    def read(cls, data: bytes) -> NodeMap:
        """The map that bytes describe.

        Raises:
            NodeMapError: they describe none.
        """
        if len(data) > MAX_BYTES:
            raise NodeMapError(f"the map of commands has {len(data):,} bytes", help=f"{MAX_BYTES:,} are allowed")
        try:
            told = json.loads(data)
        except (ValueError, RecursionError):
            raise NodeMapError("the map of commands is no JSON", help=_HELP) from None
        if not isinstance(told, dict) or cast("dict[str, object]", told).get("version") != VERSION:
            raise NodeMapError("the map of commands has an unknown version", help=_HELP)
        fields = cast("dict[str, object]", told)
        nodes = tuple(NodeName(*map(_text, _list(each, 3))) for each in _list(fields.get("nodes")))
        runs: dict[tuple[int, EngineName], tuple[Run, ...]] = {}
        for each in _list(fields.get("groups")):
            group = cast("dict[str, object]", each) if isinstance(each, dict) else {}
            known: Mapping[object, EngineName] = {name: name for name in ENGINES}
            engine = known.get(str(group.get("engine")))
            if engine is None:
                raise NodeMapError("the map of commands has an unknown engine", help=_HELP)
            runs[_number(group.get("group"), MAX_COMMANDS), engine] = tuple(_runs(_list(group.get("runs")), len(nodes)))
        pairs = (_list(each, 2) for each in _list(fields.get("hosted", [])))
        return cls(nodes, runs, {_number(subnet, MAX_COMMANDS): _number(node, len(nodes) - 1) for subnet, node in pairs})


_HELP: Final = "the model runs all the same; compile it again to have names of operators"


def _runs(given: Sequence[object], nodes: int) -> Iterator[Run]:
    end = 1
    for each in given:
        numbers = _list(each, 3)
        first, count, node = _number(numbers[0], MAX_COMMANDS), _number(numbers[1], MAX_COMMANDS), _number(numbers[2], nodes - 1)
        if first < end or count < 1:
            raise NodeMapError("commands of the map of commands are not in order", help=_HELP)
        end = first + count
        yield first, count, node


def _list(value: object, size: int | None = None) -> Sequence[object]:
    if not isinstance(value, list) or (size is not None and len(cast("list[object]", value)) != size):
        raise NodeMapError("the map of commands lacks a list", help=_HELP)
    return cast("list[object]", value)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise NodeMapError("the map of commands has a name that is none", help=_HELP)
    return value


def _number(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise NodeMapError(f"the map of commands has {value!r} where a number from 0 to {most} should be", help=_HELP)
    return value


def groups_before(stage: NetParameter, subnet: int) -> int:
    """How many command groups the subnets before one have: groups are counted through the whole stage in a map."""
    return sum(len(tuple(command_groups(each))) for each in stage.subnets[:subnet])


def nodes_of(stage: NetParameter) -> NodeMap | None:
    """The map of a stage; None where there is none, or something of another compiler.

    Raises:
        NodeMapError: it is damaged.
    """
    profile: Binary | None = stage.net_profile
    if profile is None or profile.size < len(BEGIN) or bytes(profile.data[: len(BEGIN)]) != BEGIN:
        return None
    if profile.size > MAX_BYTES:
        raise NodeMapError(f"the map of commands has {profile.size:,} bytes", help=f"{MAX_BYTES:,} are allowed")
    return NodeMap.read(bytes(profile.data))
