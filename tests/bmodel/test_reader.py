"""Damaged files: errors that name field and offset, in little memory and little time."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bmlang.bmodel import Binary, load, new_bmodel
from bmlang.bmodel.container import MAP_FROM_BYTES
from bmlang.bmodel.errors import BinaryRangeError, FormatError, HeaderError, MagicError, SizeLimitError, TableRangeError
from tests.support import bmodel_mutants
from tests.support.bmodels import ADD, RELOC, model_bytes, write_fixture
from tests.support.effort import by_profile

MUTANTS_OF_A_FILE = by_profile(smoke=15, normal=40, nightly=20_000)


@pytest.mark.parametrize("name", sorted(model_bytes()))
def test_mutants_are_refused_by_name_or_are_models(name: str) -> None:
    """`python -m tests.support.bmodel_mutants` runs all of them."""
    every = sum(1 for _ in bmodel_mutants.mutants([name]))
    parts = max(1, every // MUTANTS_OF_A_FILE)
    outcomes, failures = bmodel_mutants.run_apart(name, every % 7, parts)
    assert not failures
    assert sum(outcomes.values()) >= every // parts - 7
    assert outcomes["accepted"] and outcomes["BMODEL103"], "the mutants are neither all harmless nor all fatal"


def test_mutants_reach_every_field_that_a_file_has() -> None:
    sites = bmodel_mutants.sites(model_bytes()[RELOC])
    kinds = Counter(site.what.rsplit(": ", 1)[-1] if ": " in site.what else "scalar" for site in sites)
    assert {"reference", "length", "size", "start", "place of the field list", "scalar", "zero at the end", "member 0"} <= kinds.keys()
    assert any("reloc_entries[0]" in site.what for site in sites) and any("relentry" in site.what for site in sites)
    assert len({site.offset for site in sites}) == len(sites)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 63])
def test_less_than_a_header(length: int) -> None:
    with pytest.raises(MagicError if length < 4 else HeaderError) as caught:
        load(model_bytes()[ADD][:length])
    assert f"{length} bytes" in caught.value.message


@pytest.mark.parametrize("length", [64, 1000, 4096, 12287])
def test_cut_files(length: int) -> None:
    with pytest.raises(HeaderError, match="are left"):
        load(model_bytes()[ADD][:length])


@pytest.mark.parametrize(
    ("offset", "code", "value", "field"),
    [(4, "I", 60, "header.header_size"), (8, "I", 1 << 31, "header.flatbuffers_size"), (12, "Q", 1 << 40, "header.binary_size")],
)
def test_header(offset: int, code: str, value: int, field: str) -> None:
    data = bytearray(model_bytes()[ADD])
    struct.pack_into("<" + code, data, offset, value)
    with pytest.raises(HeaderError) as caught:
        load(data)
    assert (caught.value.field, caught.value.offset) == (field, offset)


def test_empty_tables() -> None:
    with pytest.raises(TableRangeError, match="4 bytes at 0"):
        load(struct.pack("<IIIQ", 0xFF55AAEE, 64, 0, 0) + bytes(44))


def test_more_tables_than_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.bmodel"
    size = 1 << 30
    with path.open("wb") as file:
        file.write(struct.pack("<IIIQ", 0xFF55AAEE, 64, size, 0) + bytes(44))
        file.truncate(64 + size)  # sparse: takes no room
    with pytest.raises(SizeLimitError, match=str(size)):
        load(path)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.bmodel"
    path.write_bytes(model_bytes()[ADD][:5000])
    with pytest.raises(FormatError) as caught:
        load(path)
    assert str(caught.value.where).startswith(f"{path}: header.binary_size, offset 12")


def test_large_files_are_mapped(tmp_path: Path) -> None:
    path = write_fixture(ADD, tmp_path)
    with path.open("ab") as file:
        file.truncate(MAP_FROM_BYTES)
    read = load(path)
    assert len(read.trailing) == MAP_FROM_BYTES - len(model_bytes()[ADD])
    assert read.model == load(model_bytes()[ADD]).model
    read.save(path)  # over the mapped file
    assert load(path) == read


def test_a_file_of_zeros() -> None:
    with pytest.raises(MagicError, match="begins with 0x00000000"):
        load(bytes(5000))


@pytest.mark.parametrize(("start", "size"), [(4097, 0), (4096, 1), (0, 4097), (1 << 63, 1 << 63), (4088, 9)])
def test_binary_behind_the_section(start: int, size: int) -> None:
    bmodel = new_bmodel("BM1684X", [])
    data = replace(bmodel, model=replace(bmodel.model, lib_backend=Binary(b"12345678"))).to_bytes()
    with pytest.raises(BinaryRangeError) as caught:
        load(data.replace(struct.pack("<QQ", 0, 8), struct.pack("<QQ", start, size)))
    assert caught.value.field == "Model.lib_backend"
    assert data[caught.value.offset :].startswith(struct.pack("<QQ", 0, 8))
