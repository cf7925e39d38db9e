"""Compares builders with the official library on random calls."""

from __future__ import annotations

from collections.abc import Container
from random import Random
from typing import cast

from tests.support.builders import builders
from tests.support.builders.common import encoded
from tests.support.draws import draw
from tests.support.oracle import Call, record
from tests.support.rebuild import rebuilt
from tpukernel import BM1684X
from tpukernel.isa import decode, encode


def check_builder(function: str, draws: int = 30, garbage: Container[str] = ()) -> None:
    """The builder makes what the library records; decoding it explains every bit, and no rule forbids what the library accepts.

    `garbage`: fields in which the library leaves numbers without an effect.
    """
    random = Random(function)
    params = [draw(function, random) for _ in range(draws)]
    for given, recorded in zip(params, record(Call.of(function, each) for each in params), strict=True):
        assert recorded.rejected is None, given
        assert encoded(builders()[function](given)) == (recorded.tiu, recorded.gdma), given
        for engine in ("tiu", "gdma"):
            data = cast("bytes", getattr(recorded, engine))
            instructions = decode(BM1684X, engine, data)
            assert not [field for instruction in instructions for field in instruction.residue if field not in garbage], given
            assert encode(BM1684X, [rebuilt(instruction) for instruction in instructions]) == data, given
            assert not [problem for instruction in instructions for problem in instruction.problems(BM1684X)], given
