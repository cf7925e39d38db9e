"""The chips as data: relations between the figures, names, and the tables of the static memory."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import tpukernel
from tests.support.golden import static_memory
from tpukernel.chips import BM1684, BM1684X, CHIPS, Chip, ChipNameError, Region, chip_of
from tpukernel.dtypes import DTYPES, f32, i8, i16, u8

any_chip = pytest.mark.parametrize("chip", CHIPS.values(), ids=repr)


@any_chip
@pytest.mark.parametrize("change", [str, str.upper, str.lower, str.title])
def test_names(chip: Chip, change: Callable[[str], str]) -> None:
    assert chip_of(change(chip.name)) is chip
    assert chip_of(chip) is chip
    assert getattr(tpukernel, chip.name) is chip
    assert repr(chip) == chip.name


@pytest.mark.parametrize("name", ["", "BM1685", "BM1684X ", "bm1684x\0", "x" * 10_000, "ᴮᴹ¹⁶⁸⁴"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(ChipNameError, match="there is no chip") as caught:
        chip_of(name)
    assert "BM1684X" in str(caught.value.help)


@any_chip
def test_a_copy_is_the_chip(chip: Chip) -> None:
    assert copy.deepcopy(chip) is chip
    assert pickle.loads(pickle.dumps(chip)) is chip  # noqa: S301
    assert {chip: 1}[chip_of(chip.name)] == 1
    assert len(set(CHIPS.values())) == len(CHIPS)


@any_chip
def test_memories(chip: Chip) -> None:
    assert chip.lane_bytes == chip.banks * chip.bank_bytes
    assert chip.bank_bytes % chip.eu_bytes == 0
    assert chip.regions["lmem"].size == chip.local_bytes == chip.lanes * chip.lane_bytes
    assert chip.regions["ddr"].end == 1 << 40
    ordered = sorted(chip.regions.values(), key=lambda region: region.base)
    assert all(low.end <= high.base for low, high in pairwise(ordered))
    assert all(name == region.name for name, region in chip.regions.items())


def test_published_figures() -> None:
    assert (BM1684X.lanes, BM1684X.lane_bytes, BM1684X.banks, BM1684X.eu_bytes) == (64, 256 * 1024, 16, 64)
    assert (BM1684.lanes, BM1684.lane_bytes, BM1684.banks, BM1684.eu_bytes) == (64, 512 * 1024, 8, 128)
    assert [BM1684X.eu_count(DTYPES[name]) for name in ("i8", "f16", "f32")] == [64, 32, 16]
    assert BM1684.eu_count(f32) == 32
    assert (BM1684X.max_command_id, BM1684.max_command_id) == (0xFFFFF, 0xFFFF)


def test_regions() -> None:
    region = Region("part", 100, 10)
    assert [address in region for address in (99, 100, 109, 110, "100", 100.5)] == [False, True, True, False, False, False]
    assert region.end == 110


@any_chip
def test_dtype_codes(chip: Chip) -> None:
    for dtype, code in chip.dtype_codes.items():
        assert chip.dtypes_by_code[code, dtype.is_signed] is dtype
        if dtype.is_float:
            assert chip.dtypes_by_code[code, False] is dtype
    assert len(chip.dtypes_by_code) == sum(2 if dtype.is_float else 1 for dtype in chip.dtype_codes)
    assert set(chip.weight_pack) <= set(chip.dtype_codes)
    assert set(chip.packs) <= set(chip.dtype_codes)


def test_bm1684x_types() -> None:
    assert set(BM1684X.dtype_codes) == set(DTYPES.values())
    # data_type_t of the TPUKernel header: code << 1 | signed
    assert {t.name: code << 1 | t.is_signed for t, code in BM1684X.dtype_codes.items()} == {
        "i8": 1, "u8": 0, "i16": 7, "u16": 6, "f16": 3, "bf16": 11, "i32": 9, "u32": 8, "f32": 5,
    }  # fmt: skip
    assert (BM1684X.dtypes_by_code[0, True], BM1684X.dtypes_by_code[0, False]) == (i8, u8)
    assert BM1684X.weight_pack[i16] == 1


def test_chips_are_frozen() -> None:
    with pytest.raises(AttributeError):
        BM1684X.lanes = 32  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        BM1684X.dtype_codes[f32] = 7  # pyright: ignore[reportIndexIssue]


TURN = 2 * math.pi


def bernoulli(count: int) -> list[Fraction]:
    """The first Bernoulli numbers, B1 = -1/2."""
    found = [Fraction(1)]
    for m in range(1, count):
        found.append(-sum((math.comb(m + 1, k) * found[k] for k in range(m)), Fraction(0)) / (m + 1))
    return found


def tangent(k: int) -> float:
    """Coefficient of x^(2k+1) in tan(pi x)."""
    m = k + 1
    rational = abs(bernoulli(2 * m + 1)[2 * m]) * 4**m * (4**m - 1) / math.factorial(2 * m)
    return float(rational) * math.pi ** (2 * k + 1)


SERIES: dict[str, Callable[[int], float]] = {
    "exp_values": lambda k: math.exp(k - 103),
    "exp": lambda k: 1 / math.factorial(k),
    "log": lambda k: (-1) ** (k + 1) / k if k else 0.0,
    "sin": lambda k: (-1) ** k * TURN ** (2 * k + 1) / math.factorial(2 * k + 1),
    "cos": lambda k: (-1) ** k * TURN ** (2 * k) / math.factorial(2 * k),
    "tan": tangent,
    "arcsin": lambda k: math.comb(2 * k, k) / (4**k * (2 * k + 1)),
    "arctan": lambda k: (-1) ** k / (2 * k + 1),
    "iota": lambda k: k,
}


@pytest.mark.parametrize("name", [name for name in BM1684X.static_tables if name != "erf"])
def test_static_tables_are_series(name: str) -> None:
    """Offset, length and type of each table: what the official library put there is the series, rounded once or through f32."""
    table = BM1684X.static_tables[name]
    size = table.dtype.itemsize
    found = static_memory()[table.offset : table.offset + table.count * size].view(table.dtype.numpy)
    exact = np.array([SERIES[name.partition("_")[0] if name != "exp_values" else name](k) for k in range(table.count)])
    if table.dtype.is_int:
        np.testing.assert_array_equal(found, exact)
        return
    unit = 2.0 ** -{32: 23, 16: 10 if table.dtype.kind == "f" else 7}[table.dtype.bits]
    smallest = {"f32": 2.0**-149, "f16": 2.0**-24, "bf16": 2.0**-133}[table.dtype.name]
    np.testing.assert_allclose(found.astype(np.float64), exact, rtol=unit, atol=smallest)


def test_static_tables_do_not_overlap() -> None:
    tables = sorted(BM1684X.static_tables.values(), key=lambda table: table.offset)
    assert all(low.offset + low.count * low.dtype.itemsize <= high.offset for low, high in pairwise(tables))
    last = tables[-1]
    assert last.offset + last.count * last.dtype.itemsize <= BM1684X.regions["static"].size
    assert all(name == table.name for name, table in BM1684X.static_tables.items())


def test_erf_table() -> None:
    """erf(x) = 1 - t exp(-x^2 + p(t)), t = 1 / (1 + x / 2), to 1.2e-7 for x >= 0."""
    table = BM1684X.static_tables["erf"]
    p = static_memory()[table.offset : table.offset + 4 * table.count].view(np.float32).astype(np.float64)
    x = np.linspace(0, 5, 200)
    t = 1 / (1 + x / 2)
    found = 1 - t * np.exp(-(x**2) + np.polynomial.polynomial.polyval(t, p))
    assert np.abs(found - [math.erf(value) for value in x]).max() < 1.3e-7
