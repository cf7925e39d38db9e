"""Functions of the units for quantisation, moves, gathers, special functions, channels, selects and vectors: builders and decoder against
the library on random calls."""

from __future__ import annotations

import pytest

from tests.support.builders import compare, gather, linear, quant, special, transpose, vector
from tests.support.live_builders import check_builder

pytestmark = pytest.mark.vendor

MODULES = (quant, transpose, gather, special, linear, compare, vector)


@pytest.mark.parametrize("function", sorted(name for module in MODULES for name in module.BUILDERS))
def test_builder_and_decoder_agree_with_the_library(function: str) -> None:
    check_builder(function)
