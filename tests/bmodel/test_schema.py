"""The declaration of the schema itself."""

from __future__ import annotations

import dataclasses

import pytest

from bmlang.bmodel import schema
from bmlang.bmodel.fields import Struct, Table, plan_of, walk
from bmlang.bmodel.schema import CmdGroup, Model, RelEntry, Tensor, data_type_bits, data_type_name
from tests.support.bmodels import RELOC, fixture

TABLES = [cls for cls in vars(schema).values() if isinstance(cls, type) and issubclass(cls, (Table, Struct)) and cls not in (Table, Struct)]


@pytest.mark.parametrize("cls", TABLES, ids=lambda cls: cls.__name__)
def test_every_field_has_a_number_of_its_own_without_gaps(cls: type[Table] | type[Struct]) -> None:
    plan = plan_of(cls)
    assert [one.id for one in plan.fields] == list(range(len(plan.fields)))
    declared = {member.name for member in dataclasses.fields(cls)} - {"unknown"}
    assert {one.name for one in plan.fields} == declared


@pytest.mark.parametrize("cls", TABLES, ids=lambda cls: cls.__name__)
def test_tables_name_their_targets(cls: type[Table] | type[Struct]) -> None:
    for one in plan_of(cls).fields:
        assert (one.target is not None) == (one.wire in ("table", "struct"))
        if issubclass(cls, Table):
            scalar = not one.vector and one.wire not in ("string", "table", "struct", "binary")
            assert scalar == isinstance(one.default, (int, float)), "scalars have a default, everything else can be absent"


def test_all_tables_are_reachable() -> None:
    reached: set[type] = set()
    todo: list[type[Table] | type[Struct]] = [Model]
    while todo:
        cls = todo.pop()
        reached.add(cls)
        todo += [one.target for one in plan_of(cls).fields if one.target is not None and one.target not in reached]
    assert reached == set(TABLES)


def test_walk_finds_what_the_dataclasses_hold() -> None:
    model = fixture(RELOC).model
    stage = model.net[0].stages[0]
    assert stage.cmd_group is not None
    group = stage.cmd_group[0]
    assert dict(walk(model, CmdGroup))["net[0].parameter[0].cmd_group[0]"] is group
    assert [entry for path, entry in walk(model, RelEntry) if path.startswith("net[0].parameter[0].cmd_group")] == list(
        group.reloc_entries or ()
    )
    assert [tensor.name for tensor in stage.input_tensor] == [
        tensor.name for path, tensor in walk(stage, Tensor) if path.startswith("input_tensor")
    ]


def test_data_types() -> None:
    assert (data_type_name(0), data_type_bits(0)) == ("float32", 32)
    assert (data_type_name(9), data_type_bits(9)) == ("int4", 4)
    assert (data_type_name(11), data_type_bits(11)) == ("unkown", None)
