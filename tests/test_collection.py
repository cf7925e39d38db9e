"""The tests themselves: that they can be collected on a machine that has nothing but the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import LONG_FILES

VENDOR = Path(__file__).parent / "vendor"


def test_the_files_that_come_first_exist() -> None:
    assert all((VENDOR.parents[1] / name).is_file() for name in LONG_FILES)


def test_tests_of_the_official_libraries_are_collected_without_them(tmp_path: Path) -> None:
    environment = os.environ | {"TPUKERNEL_ORACLE": str(tmp_path / "none" / "official.py")}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", VENDOR]
    done = subprocess.run(command, cwd=VENDOR.parents[1], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
