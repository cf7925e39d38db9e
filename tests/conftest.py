"""Settings shared by all tests: how many examples hypothesis tries.

The profile is chosen with the environment variable HYPOTHESIS_PROFILE or with pytest's option --hypothesis-profile (which wins):
`smoke` for a quick look, `normal` for every day, `nightly` for a long search.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.support.vendor import skip_vendor_tests

EXAMPLES = {"smoke": 5, "normal": 60, "nightly": 3000}

for _name, _examples in EXAMPLES.items():
    settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,  # a loaded machine is no fault of the code
        derandomize="CI" in os.environ and _name != "nightly",
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "normal"))


if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TPUKERNEL_THREADS", "1")  # the cores are taken by the other workers


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """All tests run on all cores; chosen files and tests run in one process, where a debugger works and nothing has to start."""
    return (os.cpu_count() or 1) if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_vendor_tests(items)
