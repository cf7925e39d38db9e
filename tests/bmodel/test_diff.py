"""Differences of two files."""

from __future__ import annotations

from dataclasses import replace

from bmlang.bmodel import Binary, BModel, new_bmodel
from bmlang.bmodel.diff import differences
from bmlang.bmodel.schema import CoeffMem, Location, Net, RelEntry
from tests.support.bmodels import ADD, CONV, RELOC, fixture


def lines(first: BModel, second: BModel) -> list[str]:
    return list(differences(first, second))


def changed_coeff(coeff: CoeffMem) -> BModel:
    model = fixture(CONV).model
    stage = replace(model.net[0].stages[0], coeff_mem=coeff)
    return BModel(replace(model, net=(replace(model.net[0], parameter=(stage,)),)))


def test_equal_files() -> None:
    moved = BModel(replace(fixture(ADD).model, lib_backend=Binary(b"", 4096)))
    assert lines(fixture(ADD), moved) == [], "where a binary lies is no difference"


def test_scalars_texts_and_absent_fields() -> None:
    model = fixture(ADD).model
    other = replace(model, chip="BM1684", device_num=2, kernel_module=None)
    assert lines(fixture(ADD), BModel(other)) == [
        "chip: 'BM1684X' -> 'BM1684'",
        "kernel_module: KernelModule -> absent",
        "device_num: 0 -> 2",
    ]


def test_vectors_of_tables() -> None:
    both = BModel(replace(fixture(ADD).model, net=(*fixture(ADD).model.net, Net(name="more"))))
    assert lines(fixture(ADD), both) == ["net[1]: absent -> Net 'more'"]
    assert lines(both, fixture(ADD)) == ["net[1]: Net 'more' -> absent"]


def test_binaries_and_codes() -> None:
    coeff = fixture(CONV).model.net[0].stages[0].coeff_mem
    assert coeff is not None and coeff.binary_coeff is not None
    data = bytearray(coeff.binary_coeff.data)
    data[7] ^= 1
    data[100] ^= 1
    place = "net[0].parameter[0].coeff_mem"
    assert lines(fixture(CONV), changed_coeff(replace(coeff, binary_coeff=Binary(bytes(data)), check_code=b"\1\2"))) == [
        f"{place}.check_code: {coeff.check_code.hex() if coeff.check_code else ''} -> 0102",
        f"{place}.binary_coeff: 2 of 16384 bytes differ, the first at 0x7",
    ]
    assert lines(fixture(CONV), changed_coeff(replace(coeff, binary_coeff=Binary(b"12")))) == [
        f"{place}.binary_coeff: 16384 bytes -> 2 bytes"
    ]
    assert lines(fixture(CONV), changed_coeff(replace(coeff, location=(Location(name="a", size=1),)))) == [
        f"{place}.location[0].name: 'tpu.Conv2D.weight' -> 'a'",
        f"{place}.location[0].size: 12288 -> 1",
        f"{place}.location[1]: Location 'tpu.Conv2D.bias' -> absent",
    ]


def test_numbers_and_structures() -> None:
    model = fixture(RELOC).model
    stage = model.net[0].stages[0]
    tensor = replace(stage.input_tensor[0], relentry=RelEntry(9, 8, 7), scale=float("nan"))
    other = BModel(replace(model, net=(replace(model.net[0], parameter=(replace(stage, input_tensor=(tensor,), ctx_sizes=(1, 2)),)),)))
    assert lines(other, other) == []
    texts = lines(fixture(RELOC), other)
    assert "net[0].parameter[0].input_tensor[0].scale: 1.0 -> nan" in texts
    assert "net[0].parameter[0].ctx_sizes: [20480] -> [1, 2]" in texts
    assert any(text.endswith("-> 9") and "relentry.base_addr_id" in text for text in texts)


def test_what_stands_around_the_model() -> None:
    plain = new_bmodel("BM1684X", [])
    texts = lines(plain, replace(plain, reserved=b"\1" * 44, trailing=b"more"))
    assert texts[0].startswith("header.reserved: 0000") and texts[1] == "after the binary section: 0 bytes -> 4 bytes"
