"""Random arguments of the TPUKernel functions: legal in themselves (that the official library accepts them is tested in tests/vendor)."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given

from tests.support.draw_memory import DDR_BASES, LANE_BYTES, LANES, LOCAL_BASE, LOW_DDR_BYTES
from tests.support.draws import accepted_dtypes, calls, draw, drawable_functions
from tests.support.oracle import Call
from tests.support.signatures import signatures

LOCAL_END = LANES * LANE_BYTES


def test_nearly_every_function_can_be_drawn() -> None:
    assert len(drawable_functions()) >= 300


def test_the_data_type_table_covers_every_function_with_data_types() -> None:
    for function, signature in signatures().items():
        names = {parameter.name for parameter in signature.parameters if parameter.kind == "dtype"}
        assert all(set(assignment) == names for assignment in accepted_dtypes().get(function, ())), function
        assert bool(names) == bool(accepted_dtypes().get(function)), function


def test_the_same_seed_draws_the_same_arguments() -> None:
    for function in drawable_functions():
        assert draw(function, Random(7)) == draw(function, Random(7))


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(KeyError):
        draw("tpu_parallel_start", Random(0))


@given(calls(low_ddr=True))
def test_addresses_lie_in_local_memory_or_in_low_ddr(call: Call) -> None:
    signature = signatures()[call.function]
    for parameter, value in zip(signature.parameters, call.args, strict=True):
        match parameter.kind, value:
            case "local", int():
                assert 0 <= value < LOCAL_END
            case "variable", ("addr" | "vector", int(address)):
                assert 0 <= address < LOCAL_END
            case "system", int():
                assert DDR_BASES[0] <= value < DDR_BASES[0] + LOW_DDR_BYTES or LOCAL_BASE <= value < LOCAL_BASE + LOCAL_END
            case _:
                assert parameter.kind not in ("local", "system")


@given(calls())
def test_shapes_have_no_empty_side(call: Call) -> None:
    for parameter, value in zip(signatures()[call.function].parameters, call.args, strict=True):
        if parameter.kind == "dim4" and not parameter.name.endswith("_stride"):
            assert isinstance(value, tuple) and all(isinstance(size, int) and size >= 1 for size in value)
