"""Objects that the tests compile are kept beside pytest's own cache, not in the user's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.native import Comparison
from tpukernel import cache
from tpukernel.sim.jit import llvm


@pytest.fixture(autouse=True, scope="package")
def own_cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    kept: pytest.Cache | None = getattr(request.config, "cache", None)  # absent when the plugin is switched off
    own = cache.Cache(Path(kept.mkdir("jit") if kept else tmp_path_factory.mktemp("jit")) / "objects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llvm, "default_cache", lambda: own)
        yield


@pytest.fixture(scope="package")
def comparison() -> Comparison:
    return Comparison()
