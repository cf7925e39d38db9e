"""The hypothesis profiles of tests/conftest.py, and the two ways to choose one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.effort import EXAMPLES

ROOT = Path(__file__).resolve().parents[1]


def test_profiles_differ_in_effort_and_have_no_deadline() -> None:
    assert EXAMPLES["smoke"] < EXAMPLES["normal"] < EXAMPLES["nightly"]
    for name, examples in EXAMPLES.items():
        profile = settings.get_profile(name)
        assert (profile.max_examples, profile.deadline) == (examples, None)


@pytest.mark.parametrize(
    ("variable", "option", "expected"),
    [(None, None, "normal"), ("smoke", None, "smoke"), (None, "nightly", "nightly"), ("smoke", "nightly", "nightly")],
)
def test_profile_is_chosen(tmp_path: Path, variable: str | None, option: str | None, expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("HYPOTHESIS_PROFILE", "PYTEST_ADDOPTS")}
    environment |= {"HYPOTHESIS_PROFILE": variable} if variable else {}
    command = [sys.executable, "-m", "pytest", "-v", "--collect-only", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}"]
    command += [f"--hypothesis-profile={option}"] if option else []
    done = subprocess.run([*command, __file__], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert f"hypothesis profile '{expected}'" in done.stdout, done.stdout + done.stderr
