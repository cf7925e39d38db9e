"""A call that the official library stops at is refused by our function, too: random calls with one argument that may not fit.

The reverse does not hold: the library looks at memory ranges and alignments only when it executes a call.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import cast

import pytest

from tests.support.api_calls import instructions
from tests.support.draws import draw
from tests.support.oracle import Call, Value, record
from tests.support.signatures import signatures
from tpukernel import BM1684X
from tpukernel.api import Function, gdma_copy, gdma_gather, gdma_matrix, quantization, rows, scatter_gather
from tpukernel.errors import TpuError

pytestmark = pytest.mark.vendor

MODULES = (gdma_copy, gdma_gather, gdma_matrix, quantization, scatter_gather)
NAMES = sorted(name for module in MODULES for name in module.__all__ if isinstance(rows()[name], Function))
DRAWS = 40
LANE = BM1684X.lane_bytes
SIZES = (0, 1, 2, 3, 64, 65, 4096, 65535, 65536, 1 << 18)


def _moved(random: Random, value: Value) -> Value:
    return cast("int", value) + random.choice((1, 2, 4, 16, 64, LANE))


def _resized(random: Random, value: Value) -> Value:
    if value is None:
        return None
    sizes = list(cast("tuple[int, ...]", value))
    sizes[random.randrange(len(sizes))] = random.choice(SIZES)
    return tuple(sizes)


SPOILED: dict[str, Callable[[Random, Value], Value]] = {
    "local": _moved,
    "system": _moved,
    "dim4": _resized,
    "int": lambda random, value: random.choice(SIZES[:-1]),
    "uint": lambda random, value: random.choice(SIZES),
    "s8": lambda random, value: random.choice((-128, -64, -33, 32, 63, 64, 127)),
    "rounding": lambda random, value: random.randrange(7),
}


def spoiled(name: str, random: Random) -> dict[str, Value]:
    """A drawn call with another value of one argument."""
    params = draw(name, random)
    kinds = {parameter.name: parameter.kind for parameter in signatures()[name].parameters if parameter.kind in SPOILED}
    chosen = random.choice(sorted(kinds))
    return params | {chosen: SPOILED[kinds[chosen]](random, params[chosen])}


def refused(name: str, params: dict[str, Value]) -> bool:
    try:
        for instruction in instructions(name, params):
            instruction.check(BM1684X)
            instruction.encoded(BM1684X)
    except TpuError:
        return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_what_the_library_stops_at_is_refused(name: str) -> None:
    random = Random(f"spoiled {name}")
    calls = [spoiled(name, random) for _ in range(DRAWS)]
    official = record(Call.of(name, each) for each in calls)
    assert not [(call, found.rejected) for call, found in zip(calls, official, strict=True) if found.rejected and not refused(name, call)]
