"""Fixtures of the command line's tests."""

from __future__ import annotations

import pytest

from tests.cli.runs import Command


@pytest.fixture
def tpukernel(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command `tpukernel`, called in this process."""
    return Command(capsys)
