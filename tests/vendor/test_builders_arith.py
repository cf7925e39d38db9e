"""Functions of elementwise arithmetic: builders and decoder against the library on random calls."""

from __future__ import annotations

import pytest

from tests.support.builders import arith
from tests.support.live_builders import check_builder

pytestmark = pytest.mark.vendor


@pytest.mark.parametrize("function", sorted(arith.BUILDERS))
def test_builder_and_decoder_agree_with_the_library(function: str) -> None:
    check_builder(function)
