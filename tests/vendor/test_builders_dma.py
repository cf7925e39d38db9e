"""GDMA functions: builders and decoder against the library on random calls."""

from __future__ import annotations

import pytest

from tests.support.builders import dma
from tests.support.live_builders import check_builder

pytestmark = pytest.mark.vendor

STRIDES_IN_THE_SOURCE_ADDRESS = {"tpu_gdma_set_C_system": ("src_start_addr_l32", "src_start_addr_h8", "unused552")}


@pytest.mark.parametrize("function", sorted(dma.BUILDERS))
def test_builder_and_decoder_agree_with_the_library(function: str) -> None:
    check_builder(function, draws=60, garbage=STRIDES_IN_THE_SOURCE_ADDRESS.get(function, ()))
