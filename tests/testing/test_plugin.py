"""The pytest plugin in a pytest of its own: marker, fixtures, scripts for failures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest

import tpukernel as tpu

ROOT = Path(tpu.__file__).resolve().parents[1]

HEAD = """
import numpy as np
import pytest
from hypothesis import Phase, given, settings

import tpukernel as tpu
from tpukernel.testing import assert_close, random, run, shapes


@tpu.kernel
def add_one(k, x: tpu.In, out: tpu.Out):
    n, c, h, w = x.shape
    for c0 in k.range(0, c, k.chip.lanes):
        cs = tpu.minimum(k.chip.lanes, c - c0)
        a = k.local((n, cs, h, w), x.dtype)
        k.dma.load(a, x[:, c0 : c0 + cs])
        k.tiu.add(a, a, 1)
        k.dma.store(out[:, c0 : c0 + cs], a)
"""


def run_pytest(folder: Path, test: str, *options: str, cache: bool = True) -> tuple[int, str]:
    """Exit code and output of pytest with the plugin on a file of tests."""
    (folder / "test_own.py").write_text(HEAD + dedent(test), encoding="utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\naddopts = --strict-markers --strict-config -q\nfilterwarnings = error\n", encoding="utf-8"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "HYPOTHESIS", "TPUKERNEL"))}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "pytest", "-p", "tpukernel.testing.plugin", *([] if cache else ["-p", "no:cacheprovider"]), *options]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def script(output: str) -> tuple[int, str]:
    """Exit code and errors of the script that the summary names."""
    summary = output.partition("scripts that repeat the failures")[2]
    (path,) = re.findall(r"^python (.*\.py)$", summary, re.MULTILINE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, path], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_the_project_declares_the_plugin() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]["pytest11"]
    assert [import_module(name).__name__ for name in declared.values()] == ["tpukernel.testing.plugin"]


def test_fixtures_and_marker(tmp_path: Path) -> None:
    code, output = run_pytest(
        tmp_path,
        """
        def test_plain(tpu_run, tpu_chip, tpu_random):
            x, y = tpu_random((1, 70, 1, 9)), tpu_random((1, 70, 1, 9), "i8", low=0, high=3)
            assert tpu_chip is tpu.BM1684X and x.dtype == np.float32 and 0 <= y.min() and y.max() <= 3
            assert not np.array_equal(x, tpu_random((1, 70, 1, 9)))
            assert_close(tpu_run(add_one, x), x.astype(np.float64) + 1)

        def engines(found=[]):
            from tpukernel.testing import last_run
            run(add_one, np.ones((1, 1, 1, 3), np.float32))
            return last_run().engines

        @pytest.mark.tpu(engines=["jit"])
        def test_marked():
            assert engines() == ("jit",)

        def test_marks_end_with_the_test():
            assert engines() == ("interpreter", "jit")

        @pytest.mark.tpu(chip="BM1684")
        def test_chip(tpu_chip, tpu_run):
            assert tpu_chip is tpu.BM1684
            with pytest.raises(tpu.errors.TpuError, match="BM1684"):
                tpu_run(add_one, np.ones((1, 1, 1, 3), np.float32))

        @given(shapes(max_elements=2000))
        @settings(max_examples=5, deadline=None)
        def test_with_hypothesis(tpu_run, shape):
            x = random(shape, "f32")
            assert_close(tpu_run(add_one, x), x.astype(np.float64) + 1)
        """,
    )
    assert code == 0 and "5 passed" in output, output


def test_options(tmp_path: Path) -> None:
    test = """
        def test_engines():
            from tpukernel.testing import last_run
            run(add_one, np.ones((1, 1, 1, 3), np.float32))
            assert last_run().engines == ("jit",)
    """
    code, output = run_pytest(tmp_path, test, "--tpu-engines=jit")
    assert code == 0, output
    code, output = run_pytest(tmp_path, test, "--tpu-engines=gpu")
    assert code == 4 and "use one or more of interpreter, jit" in output
    assert "--tpu-reproductions=FOLDER" in run_pytest(tmp_path, test, "--help")[1]
    assert "@pytest.mark.tpu(chip" in run_pytest(tmp_path, test, "--markers")[1]


def test_a_marker_with_other_keywords_is_refused(tmp_path: Path) -> None:
    code, output = run_pytest(tmp_path, "@pytest.mark.tpu(lanes=3)\ndef test_it():\n    pass\n")
    assert code != 0 and "marker tpu takes chip= and engines=" in output


WRONG_RESULT = """
def test_it():
    x = random((1, 3, 1, 50), 'f16')
    assert_close(run(add_one, x), x.astype(float) + 2)
"""
MISTAKE = """
@tpu.kernel
def bad(k, x: tpu.In, out: tpu.Out):
    k.dma.load(k.local((1, 3, 1, 9), x.dtype), x[:, :, :, 3:])

def test_it():
    run(bad, random((1, 3, 1, 9), 'f32'))
"""
PROPERTY = """
@given(shapes(max_elements=3000))
@settings(max_examples=20, deadline=None, derandomize=True, database=None, phases=[Phase.generate, Phase.shrink])
def test_it(shape):
    x = random(shape, 'f32')
    assert_close(run(add_one, x), x.astype(float) + 1 + (shape[1] > 64))
"""
FAILING = {
    "a wrong result": (WRONG_RESULT, "KER181"),
    "a mistake": (MISTAKE, "KER113"),
    "found by hypothesis": (PROPERTY, "KER181: 65 of 65 elements"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_failure_has_a_script_that_fails_likewise(tmp_path: Path, name: str) -> None:
    test, message = FAILING[name]
    code, output = run_pytest(tmp_path, test)
    assert code == 1 and message in output, output
    assert re.search(r"^E .*to repeat the failure: python .*repeat_test_own_py_test_it.py", output, re.MULTILINE), output
    (path,) = (tmp_path / ".pytest_cache" / "d" / "tpukernel").glob("*.py")
    assert path.name == "repeat_test_own_py_test_it.py"
    code, error = script(output)
    assert code == 1 and message in error


def test_a_failed_assert_of_the_test_itself(tmp_path: Path) -> None:
    code, output = run_pytest(tmp_path, "def test_it():\n    assert run(add_one, random((1, 1, 1, 3), 'f32')).sum() == 1e9", cache=False)
    assert code == 1
    assert script(output) == (0, "")
    assert (tmp_path / ".tpukernel" / "repeat_test_own_py_test_it.py").exists()


def test_the_folder_can_be_chosen(tmp_path: Path) -> None:
    test = "def test_it():\n    run(add_one, np.ones((1, 1, 1, 3), np.float32))\n    assert False"
    for folder, *options in [("one", "--tpu-reproductions=one"), ("two", "-o", "tpu_reproductions=two")]:
        _, output = run_pytest(tmp_path, test, *options)
        assert (tmp_path / folder / "repeat_test_own_py_test_it.py").exists(), output


def test_no_script_where_none_is_needed(tmp_path: Path) -> None:
    _, output = run_pytest(
        tmp_path,
        """
        from tpukernel.testing import last_run

        X = np.ones((1, 1, 1, 3), np.float32)

        def test_passes():
            run(add_one, X)

        def test_fails_without_a_kernel():
            assert last_run() is not None, "the run of the test before"
            assert False, "on purpose"

        @pytest.mark.xfail
        def test_expected():
            run(add_one, X)
            assert False

        def test_skips():
            run(add_one, X)
            pytest.skip("later")
        """,
    )
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed" in output and "repeat" not in output and "on purpose" in output
    assert not (tmp_path / ".pytest_cache" / "d" / "tpukernel").exists()


def test_a_script_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    test = """
        def test_it():
            table = np.ones(3)

            @tpu.kernel
            def kernel(k, x: tpu.In, out: tpu.Out):
                k.assert_(bool(table[0] > 3))

            run(kernel, np.ones((1, 1, 1, 3), np.float32))
    """
    code, output = run_pytest(tmp_path, test)
    assert code == 1 and "no script that repeats the failure: KER184: table, which kernel uses" in output


def test_other_projects_pay_nothing(tmp_path: Path) -> None:
    """A run of pytest that has nothing to do with kernels loads the plugin and no more."""
    (tmp_path / "test_none.py").write_text(
        "import sys\n\nLARGE = ('tpukernel.lang', 'tpukernel.sim', 'hypothesis')\n\n"
        "def test_it():\n    assert not [name for name in sys.modules if name.startswith(LARGE)]\n"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tpukernel.testing.plugin"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
