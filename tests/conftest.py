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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_vendor_tests(items)
