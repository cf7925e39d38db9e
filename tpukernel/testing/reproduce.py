"""Scripts that repeat a failure outside of its test."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

import tpukernel
from tpukernel.testing.record import Run
from tpukernel.testing.settings import reproduction_folder
from tpukernel.testing.sources import Source

__all__ = ["write_reproduction"]

Array = NDArray[np.generic]
EMBEDDED: Final = 64
"""Arrays of up to so many elements are in the script itself, larger ones in a file beside it."""
_PACKAGES: Final = ("numpy", "ml_dtypes", "llvmlite", "hypothesis", "pytest")


def write_reproduction(
    run: Run, folder: Path | str | None = None, *, title: str | None = None, notes: Mapping[str, str] | None = None
) -> Path:
    """Write a script that does the run again, with the same inputs, and requires of the results what failed.

    The kernel is imported from its module if that has it, else its source text is copied, with what it uses; of a text
    (`.tpuk`) all of it. Larger arrays are in an
    `.npz` file of the script's name. A script of the same name is replaced.

    Args:
        run: the run, for example `last_run()`.
        folder: where; by default `TPUKERNEL_REPRODUCTIONS`, or `.tpukernel` in the current folder. It is made if it does not exist.
        title: what failed, the name of the test; it gives the file its name.
        notes: further lines for the head of the script, such as a seed.

    Returns:
        The path of the script.

    Raises:
        ReproductionError: the kernel or a keyword cannot be written down.
        OSError: the folder or file cannot be written.
    """
    name = run.kernel.signature.name
    # The name begins and ends so that no test runner takes the script for a test.
    stem = "repeat_" + re.sub(r"\W+", "_", title or name).strip("_")[-120:].removesuffix("_test")
    place = Path(folder) if folder is not None else reproduction_folder()
    script = _Script(run)
    text = "\n".join(script.lines(title or f"kernel {name}", f"{stem}.npz", notes or {})) + "\n"
    place.mkdir(parents=True, exist_ok=True)
    if script.saved:
        np.savez(place / f"{stem}.npz", *script.saved)
    path = place / f"{stem}.py"
    path.write_text(text, encoding="utf-8")
    return path.resolve()


class _Script:
    def __init__(self, run: Run) -> None:
        self.run = run
        self.saved: list[Array] = []
        self._source = Source()

    def lines(self, title: str, data: str, notes: Mapping[str, str]) -> Iterator[str]:
        """The text. Its parts are made first: they say what the head has to import."""
        run, source = self.run, self._source
        kernel, names = source.kernel(run.kernel), run.kernel.signature.inputs
        inputs = [f"    {self._array(array)},  # {name}" for name, array in zip(names, run.arrays, strict=True)]
        body = ["arrays = [", *inputs, "]", self._call(kernel), *self._judgement()]
        if self.saved:
            body.insert(0, f"data = np.load(Path(__file__).with_name({data!r}), allow_pickle=False)")
        yield f'"""Repeats a failure: {_plain(title)}'
        yield ""
        yield f"Written by {_versions()}."
        yield from (f"{name}: {_plain(value)}" for name, value in notes.items())
        if run.error is not None:
            yield f"The failure: {_plain(str(run.error).partition(chr(10))[0])}"
        yield from ('"""', "", "from __future__ import annotations", "")
        yield from ["import sys"] if source.folders else []
        yield from ["from pathlib import Path"] if self.saved else []
        yield from (f"sys.path.insert(0, {folder!r})" for folder in source.folders)
        yield from sorted({*source.imports, "import numpy as np", "import tpukernel as tpu", "import tpukernel.testing"})
        for definition in source.definitions:
            yield f"\n\n{definition}" if definition.lstrip().startswith(("@", "def ", "if ")) else definition
        yield from ("", "", "def repeat_the_failure() -> None:")
        yield from (f"    {line}" for line in body)
        yield from ("", "", "repeat_the_failure()")

    def _call(self, kernel: str) -> str:
        run = self.run
        keywords = [f"{name}={self._source.literal(value, f'keyword {name}')}" for name, value in run.keywords.items()]
        return f"found = tpu.testing.run({', '.join([kernel, '*arrays', f'chip={run.chip!r}', f'engines={run.engines!r}', *keywords])})"

    def _judgement(self) -> Iterator[str]:
        """What was required of the results."""
        failed = self.run.failed
        if failed is not None:
            names = list(self.run.outputs)
            found = "found" if len(names) == 1 else f"found[{names.index(failed.output)}]"
            yield f"wanted = {self._array(failed.wanted)}"
            keywords = [f"{name}={self._keyword(value)}" for name, value in failed.keywords.items() if value is not None]
            yield f"tpu.testing.assert_close({', '.join([found, 'wanted', *keywords])})"
        elif self.run.error is None:
            yield "print(found)  # the run works; what the test required of it is only in the test"

    def _keyword(self, value: object) -> str:
        if isinstance(value, np.ndarray | np.generic):
            return self._array(np.asarray(cast("Array", value)))
        return self._source.literal(value, "a keyword of assert_close")

    def _no_comparison(self) -> Iterator[str]:
        if self.run.error is None:
            yield "print(found)  # the run works; what the test required of it is only in the test"

    def _array(self, array: Array) -> str:
        """An expression for an array; what is large or not finite goes into the file."""
        narrow = array.dtype.name == "bfloat16"
        values = array.astype(np.float64).reshape(-1).tolist() if array.dtype.kind == "f" or narrow else [0.0]
        if array.size <= EMBEDDED and all(map(isfinite, values)):
            if narrow:
                return f"np.array({array.astype(np.float32).tolist()}, np.float32).astype(tpu.bf16.numpy)"
            return f"np.array({array.tolist()}, np.dtype({array.dtype.str!r}))"
        self.saved.append(array.view(np.uint16) if narrow else array)
        return f'data["arr_{len(self.saved) - 1}"]' + ".view(tpu.bf16.numpy)" * narrow


def _plain(text: str) -> str:
    """Text that can stand between triple quotes."""
    return text.replace("\\", "/").replace('"""', "'''").rstrip('"')


def _versions() -> str:
    found = [f"tpukernel {tpukernel.__version__}", f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found) + f", on {platform.machine()} {platform.system()} with {os.cpu_count()} processors"
