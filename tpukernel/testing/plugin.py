"""The pytest plugin: marker `tpu`, fixtures, and a script for each failure that repeats it. Loaded by pytest where tpukernel is installed.

Nothing of tpukernel but this module is imported before a test uses it.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from numpy import generic
    from numpy.typing import NDArray

    from tpukernel.chips.chip import Chip
    from tpukernel.dtypes import Dtype
    from tpukernel.sim.machine import ExecutionEngine
    from tpukernel.testing.settings import Settings

__all__ = ["tpu_chip", "tpu_random", "tpu_run"]

_ENGINES = ("interpreter", "jit")
_PROPERTY = "tpu_reproduction"
_EARLIER: pytest.StashKey[object] = pytest.StashKey()
"""The last run of the tests before this one: no failure of this test is repeated with it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest."""
    group = parser.getgroup("tpukernel", "kernels of Sophon TPUs")
    group.addoption(
        "--tpu-engines", default=",".join(_ENGINES), metavar="NAMES", help="engines that execute kernels (default: %(default)s)"
    )
    group.addoption("--tpu-reproductions", metavar="FOLDER", help="folder for scripts that repeat failures (default: in pytest's cache)")
    parser.addini("tpu_reproductions", "folder for scripts that repeat failures", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest."""
    config.addinivalue_line(
        "markers", 'tpu(chip="BM1684X", engines=("interpreter", "jit")): chip and engines of the kernels that the test runs'
    )
    _chosen_engines(config)


def _chosen_engines(config: pytest.Config) -> tuple[str, ...]:
    found = tuple(each.strip() for each in str(config.getoption("--tpu-engines")).split(",") if each.strip())
    if not found or not set(found) <= set(_ENGINES):
        raise pytest.UsageError(f"--tpu-engines {','.join(found)}: use one or more of {', '.join(_ENGINES)}")
    return found


# ---------------------------------------------------------------------------- each test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """The test has the settings of its marker."""
    marker = item.get_closest_marker("tpu")
    if marker is not None and (marker.args or not marker.kwargs.keys() <= {"chip", "engines"}):
        raise pytest.UsageError(f"{item.nodeid}: marker tpu takes chip= and engines=")
    if marker is None and "tpukernel.testing.settings" not in sys.modules and _chosen_engines(item.config) == _ENGINES:
        return (yield)
    from tpukernel.testing import record, settings

    before = settings.current()
    settings.use(_settings(item, marker))
    item.stash[_EARLIER] = record.last_run()
    try:
        return (yield)
    finally:
        settings.use(before)


def _settings(item: pytest.Item, marker: pytest.Mark | None) -> Settings:
    from tpukernel.testing.settings import Settings

    given: Mapping[str, Any] = {} if marker is None else marker.kwargs
    engines: tuple[ExecutionEngine, ...] = tuple(given.get("engines", _chosen_engines(item.config)))
    return Settings(str(given.get("chip", Settings.chip)), engines)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed with a kernel gets a script that repeats it; the report names it."""
    error = None if call.excinfo is None else call.excinfo.value
    expected = isinstance(error, pytest.skip.Exception | pytest.xfail.Exception) or item.get_closest_marker("xfail") is not None
    if call.when == "call" and isinstance(error, Exception | pytest.fail.Exception) and not expected:
        note = _reproduced(item)
        if note:
            error.add_note(note)
    return (yield)


def _reproduced(item: pytest.Item) -> str | None:
    record = sys.modules.get("tpukernel.testing.record")
    run = None if record is None else record.last_run()
    if run is None or run is item.stash.get(_EARLIER, None):
        return None
    from tpukernel.errors import TpuError
    from tpukernel.testing.reproduce import write_reproduction

    seed = item.config.getoption("hypothesis_seed", None)
    notes = {} if seed is None else {"hypothesis seed": str(seed)}
    try:
        path = write_reproduction(run, _folder(item.config), title=item.nodeid, notes=notes)
    except (TpuError, OSError) as error:
        return f"no script that repeats the failure: {error}"
    item.user_properties.append((_PROPERTY, str(path)))
    return f"to repeat the failure: python {path}"


def _folder(config: pytest.Config) -> Path | None:
    given = config.getoption("--tpu-reproductions") or config.getini("tpu_reproductions")
    if given:
        return config.rootpath / str(given)
    cache = getattr(config, "cache", None)
    return None if cache is None else Path(cache.mkdir("tpukernel"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Called by pytest: the scripts of all failures."""
    failed = terminalreporter.getreports("failed")
    paths = [value for report in failed for name, value in report.user_properties if name == _PROPERTY]
    if paths:
        terminalreporter.section("tpukernel: scripts that repeat the failures")
        for path in paths:
            terminalreporter.line(f"python {path}")


# ---------------------------------------------------------------------------- fixtures


@pytest.fixture(scope="session")
def tpu_run() -> Callable[..., object]:
    """`tpukernel.testing.run`: a kernel on all engines, with all checks, on the chip of the marker `tpu`. (Works with @given, too.)"""
    from tpukernel.testing.running import run

    return run


@pytest.fixture
def tpu_chip(request: pytest.FixtureRequest) -> Chip:
    """The chip of the test: that of its marker `tpu`, or BM1684X."""
    from tpukernel.chips.chip import chip_of

    item = cast("pytest.Item", request.node)
    return chip_of(_settings(item, item.get_closest_marker("tpu")).chip)


@pytest.fixture
def tpu_random(request: pytest.FixtureRequest) -> Callable[..., NDArray[generic]]:
    """`tpu_random(shape, dtype)`: random arrays, other ones for each call and each test, and the same ones in every run."""
    from tpukernel.testing.values import random

    item = cast("pytest.Item", request.node)
    calls = [zlib.crc32(item.nodeid.encode())]

    def numbers(shape: tuple[int, ...], dtype: Dtype | str = "f32", **limits: float | None) -> NDArray[generic]:
        calls[0] += 1
        return random(shape, dtype, calls[0], **limits)

    return numbers
