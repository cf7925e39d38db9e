"""How long it takes from an edit of a kernel to its result: `python -m benchmarks.editing [--smoke] [--json]`.

A kernel file, abs(x) + c, is written to a new folder, edited, loaded and run: again and again in one process, and each time in a new one,
with the byte code of the package on disk. Processor time is what the own process took: other processes do not add to it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

KERNEL = """import numpy as np

import tpukernel as tpu


@tpu.kernel
def abs_add(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, c: float) -> None:
    a, b, d = (k.local(x.shape, x.dtype) for _ in range(3))
    k.dma.load(a, x)
    k.tiu.abs(b, a)
    k.tiu.add(d, b, c)
    k.dma.store(out, d)


x = np.linspace(-1, 1, 4096, dtype=np.float32).reshape(1, 64, 8, 8)
found = abs_add(x, c=NUMBER)
assert np.array_equal(found, np.abs(x) + np.float32(NUMBER))
"""
WANTED = {"in one process": 0.3, "new process": 0.8}
"""Seconds of a quiet machine."""


def edited(path: Path, number: int) -> None:
    """The file, with another constant."""
    path.write_text(KERNEL.replace("NUMBER", f"{number}.5"), encoding="utf-8")


def processor_of_children() -> float:
    """Seconds that ended child processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def best(action: Callable[[int], object], clock: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Shortest time and shortest processor time of several runs in seconds."""
    times: list[tuple[float, float]] = []
    for number in range(repeats):
        start, busy = time.perf_counter(), clock()
        action(number)
        times.append((time.perf_counter() - start, clock() - busy))
    return min(each for each, _ in times), min(each for _, each in times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a short run that only shows that it works")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    repeats = 2 if arguments.smoke else 10
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.py"
        environment = os.environ | {"PYTHONPYCACHEPREFIX": str(Path(folder) / "byte code")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def here(number: int) -> None:
            edited(path, number)
            runpy.run_path(str(path))

        def anew(number: int) -> None:
            edited(path, number)
            subprocess.run([sys.executable, str(path)], env=environment, check=True)

        here(-1)  # the package is imported
        anew(-1)  # its byte code is written
        found = {"in one process": best(here, time.process_time, repeats), "new process": best(anew, processor_of_children, repeats)}
    if arguments.json:
        print(json.dumps({name: {"seconds": seconds, "processor": busy} for name, (seconds, busy) in found.items()}, indent=1))
        return
    for name, (seconds, busy) in found.items():
        print(f"{name:<16} {1000 * seconds:7.0f} ms, processor {1000 * busy:7.0f} ms (wanted: {1000 * WANTED[name]:.0f} ms)")


if __name__ == "__main__":
    main()
