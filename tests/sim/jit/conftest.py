"""Objects that the tests compile are kept beside pytest's own cache, not in the user's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.native import Comparison
from tpukernel import cache
from tpukernel.sim.jit import llvm


@pytest.fixture(autouse=True, scope="package")
def own_cache(request: pytest.FixtureRequest) -> Iterator[None]:
    own = cache.Cache(Path(request.config.cache.mkdir("jit") if request.config.cache else ".") / "objects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llvm, "default_cache", lambda: own)
        yield


@pytest.fixture(scope="package")
def comparison() -> Comparison:
    return Comparison()
