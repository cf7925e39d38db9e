"""Functions of the units for convolution, pooling and products of matrices: builders and decoder against the library on random calls."""

from __future__ import annotations

import pytest

from tests.support.builders import conv, matmul, pool
from tests.support.live_builders import check_builder
from tests.support.signatures import signatures

pytestmark = pytest.mark.vendor

FUNCTIONS = sorted(name for module in (conv, pool, matmul) for name in module.BUILDERS)


def test_every_function_of_these_units_has_a_builder() -> None:
    stems = ("conv2d", "depthwise", "pool2d", "_mm")
    assert sorted(name for name in signatures() if any(stem in name for stem in stems)) == FUNCTIONS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_builder_and_decoder_agree_with_the_library(function: str) -> None:
    check_builder(function)
