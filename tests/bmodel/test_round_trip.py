"""Reading and writing: nothing is lost, and what cannot be kept is refused by name."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Annotated, Any

import pytest
from hypothesis import given

from bmlang.bmodel import Binary, BModel, Table, load, new_bmodel, walk
from bmlang.bmodel.combine import Source, combine, extract
from bmlang.bmodel.container import HEADER_BYTES
from bmlang.bmodel.diff import differences
from bmlang.bmodel.errors import FieldRangeError, RequiredFieldError, UnknownFieldError
from bmlang.bmodel.fields import Field
from bmlang.bmodel.schema import CmdGroup, CoeffMem, Location, Model, Net, NetParameter, RelEntry, Shape, Tensor
from bmlang.bmodel.section import ALIGNMENT
from tests.bmodel.strategies import models
from tests.support.bmodels import ADD, HANDMADE, fixture, model_bytes


@given(models())
def test_every_model_survives(model: Model) -> None:
    data = BModel(model).to_bytes()
    again = load(data)
    assert again.model == model
    assert again.to_bytes() == data
    assert list(differences(again, BModel(model))) == []


@pytest.mark.parametrize("name", sorted(model_bytes()))
def test_official_files_survive(name: str) -> None:
    read = fixture(name)
    again = load(read.to_bytes())
    assert again == read and list(differences(read, again)) == []
    if name != HANDMADE:  # which is tight; everything that is written is aligned
        assert len(read.to_bytes()) == len(model_bytes()[name])
        places = [[(path, binary.start, binary.size) for path, binary in walk(one.model, Binary)] for one in (read, again)]
        assert places[0] == places[1], "binaries stay where they are"


def test_absent_and_empty_are_different() -> None:
    for locations in (None, ()):
        net = Net(name="n", parameter=(NetParameter(input_tensor=(), output_tensor=(), coeff_mem=CoeffMem(location=locations)),))
        (stage,) = load(new_bmodel("BM1684X", [net]).to_bytes()).model.net[0].stages
        assert stage.coeff_mem is not None and stage.coeff_mem.location == locations


def test_bytes_that_are_no_utf8_survive() -> None:
    net = Net(name=b"na\xffme\x80".decode("utf-8", "surrogateescape"))
    data = new_bmodel("BM1684X", [net]).to_bytes()
    assert b"na\xffme\x80\0" in data
    assert load(data).model.net == (net,)


def test_reserved_and_trailing_bytes_survive() -> None:
    data = bytearray(model_bytes()[ADD] + b"and more")
    data[60:64] = b"info"
    read = load(data)
    assert read.reserved[-4:] == b"info" and bytes(read.trailing) == b"and more"
    assert load(read.to_bytes()) == read


# ------------------------------------------------------------------ the binary section


def stored(*binaries: bytes) -> BModel:
    groups = tuple(CmdGroup(binary_bdc=Binary(data)) for data in binaries)
    stage = NetParameter(input_tensor=(), output_tensor=(), cmd_group=groups)
    return new_bmodel("BM1684X", [Net(name="n", parameter=(stage,))])


def test_equal_binaries_are_stored_once_and_all_are_aligned() -> None:
    data = stored(b"a" * 5000, b"b", b"a" * 5000, b"c", b"b", b"").to_bytes()
    starts = [binary.start for path, binary in walk(load(data).model, Binary) if "binary_bdc" in path]
    assert starts == [0, 2 * ALIGNMENT, 0, 3 * ALIGNMENT, 2 * ALIGNMENT, 0]
    table_bytes, section_bytes = struct.unpack_from("<IQ", data, 8)
    assert (HEADER_BYTES + table_bytes) % ALIGNMENT == 0 and section_bytes == 4 * ALIGNMENT
    assert len(data) == HEADER_BYTES + table_bytes + section_bytes
    assert data.count(b"a" * 5000) == 1


def test_a_file_without_binaries_has_no_section() -> None:
    data = new_bmodel("BM1684X", []).to_bytes()
    assert struct.unpack_from("<Q", data, 12) == (0,)


# ------------------------------------------------------------------ what cannot be written


@dataclass(frozen=True, kw_only=True, slots=True)
class NewerTensor(Tensor):
    """A tensor of a schema to come."""

    comment: Annotated[str | None, Field(20, "string")] = None


def newer() -> BModel:
    tensor = NewerTensor(name="x", shape=(Shape(dim=(1,)),), comment="from the future")
    stage = NetParameter(input_tensor=(tensor,), output_tensor=())
    return load(new_bmodel("BM1684X", [Net(name="n", parameter=(stage,))]).to_bytes())


def test_newer_fields_are_read_over_but_never_dropped() -> None:
    read = newer()
    assert [(path, one.id) for path, table in walk(read.model, Table) for one in table.unknown] == [
        ("net[0].parameter[0].input_tensor[0]", 20)
    ]
    message = r"Model.net\[0\].parameter\[0\].input_tensor\[0\]: the file has fields of Tensor .* 20 \(offset \d+\)"
    with pytest.raises(UnknownFieldError, match=message):
        read.to_bytes()
    with pytest.raises(UnknownFieldError, match="20"):
        next(extract(read))[2].to_bytes()
    with pytest.raises(UnknownFieldError, match=r"b.bmodel: net\[0\]"):
        combine([Source("a.bmodel", fixture(ADD)), Source("b.bmodel", read)])


def changed(**values: Any) -> BModel:
    model = new_bmodel("BM1684X", []).model
    return BModel(replace(model, **values))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"device_num": 1 << 32}, "Model.device_num is 4294967296"),
        ({"neuron_size": -1}, "Model.neuron_size"),
        ({"bmodel_type": 1.5}, "Model.bmodel_type"),
        ({"chip": "\ud800"}, "Model.chip"),
        ({"chip": b"BM1684X"}, "Model.chip"),
        ({"lib_backend": b"bytes"}, "Model.lib_backend"),
    ],
)
def test_values_that_do_not_fit(values: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldRangeError, match=field):
        changed(**values).to_bytes()


@pytest.mark.parametrize(
    ("stage", "field"),
    [
        ({"ctx_sizes": (1, -1)}, r"parameter\[0\].ctx_sizes\[1\]"),
        ({"coeff_mem": CoeffMem(location=(Location(name="w", size=1 << 64),))}, r"coeff_mem.location\[0\].size"),
        ({"cmd_group": (CmdGroup(reloc_entries=(RelEntry(0, 0, -1),)),)}, r"cmd_group\[0\].reloc_entries\[0\].cmd_offset"),
        ({"input_tensor": (Tensor(name="x", scale=1e300),)}, r"input_tensor\[0\].scale"),
    ],
)
def test_values_that_do_not_fit_deep_inside(stage: dict[str, Any], field: str) -> None:
    parameter = replace(NetParameter(input_tensor=(), output_tensor=()), **stage)
    with pytest.raises(FieldRangeError, match=field):
        new_bmodel("BM1684X", [Net(name="n", parameter=(parameter,))]).to_bytes()


def test_required_fields_are_wanted() -> None:
    with pytest.raises(RequiredFieldError, match="Model.chip is None"):
        changed(chip=None).to_bytes()
