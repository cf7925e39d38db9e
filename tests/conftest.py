"""Settings shared by all tests: how many examples hypothesis tries, and what makes all tests together fast.

The profile is chosen with the environment variable HYPOTHESIS_PROFILE or with pytest's option --hypothesis-profile (which wins):
`smoke` for a quick look, `normal` for every day, `nightly` for a long search.
"""

from __future__ import annotations

import gc
import os
import tempfile
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings

from tests.support.effort import DAY, DAY_VARIABLE, EXAMPLES, tries_all
from tests.support.vendor import skip_vendor_tests

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


LONG_FILES = (
    "tests/vendor/test_sim_products.py",
    "tests/layers/test_operators.py",
    "tests/vendor/test_nets.py",
    "tests/vendor/test_bmlang_matrix.py",
    "tests/sim/jit/test_pool.py",
    "tests/testing/test_plugin.py",
    "tests/test_examples.py",
    "tests/testing/test_reproduce.py",
    "tests/layers/test_quantise.py",
    "tests/sim/test_checks.py",
    "tests/lang/test_convolution.py",
    "tests/examples/test_kernels.py",
    "tests/isa/test_fuzz.py",
)
"""Files of tests that take longest. They come first: a long file at the end would have one core wait for it."""

TURNS = {"tests/lang/": 2, "tests/layers/": 2, "tests/sim/jit/": 4, "tests/sim/": 2}
"""Folders of files with many cases that are alike; the first one counts. Where all tests run, such a case comes every so many days; in
continuous integration, at night, and where a folder or file is named, all of them."""
_ALL_TESTS = "TPUKERNEL_TEST_ALL"
"""Variable by which the workers of a run know that no tests were chosen."""

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TPUKERNEL_THREADS", "1")  # the cores are taken by the other workers


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """All tests run on all cores; chosen files and tests run in one process, where a debugger works and nothing has to start."""
    return (os.cpu_count() or 1) if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


os.environ[DAY_VARIABLE] = str(DAY)  # one day for all processes, also at midnight


def pytest_report_header() -> str:
    return f"tests of the day: {DAY_VARIABLE}={DAY}"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[_ALL_TESTS] = "1" if config.args_source is pytest.Config.ArgsSource.TESTPATHS else ""
    if config.getoption("numprocesses", None):
        _share_bytecode(config)


def _share_bytecode(config: pytest.Config) -> None:
    """Where Python may write no bytecode beside the sources, the processes of one run share it in a temporary folder.

    Half of the time of a short process would go into compiling the sources, and tests start some hundred of them.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        folder = tempfile.TemporaryDirectory(prefix="bytecode-", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ.setdefault("PYTHONPYCACHEPREFIX", folder.name)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: the collector need not look at them again and again, which took a tenth of the time."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    skip_vendor_tests(items)
    if os.environ.get(_ALL_TESTS) and not tries_all():
        later = [item for item in items if not _is_its_turn(item)]
        config.hook.pytest_deselected(items=later)
        gone = set(later)
        items[:] = [item for item in items if item not in gone]
    places = {name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def _is_its_turn(item: pytest.Item) -> bool:
    """Whether a test comes today; those without parameters always do."""
    turns = next((turns for folder, turns in TURNS.items() if item.nodeid.startswith(folder)), 1)
    return "[" not in item.nodeid or crc32(item.nodeid.encode()) % turns == DAY % turns
