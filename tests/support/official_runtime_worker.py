"""Child process of `official_runtime.py`: loads the official runtime once and runs one net of each file that it is told.

    python official_runtime_worker.py OFFICIAL_SCRIPT

A request is a line of JSON on standard input: the file, the net, and archives of arrays for its inputs and outputs. The answer is a line,
too, on a private copy of standard output, as the libraries print there: empty, or what went wrong. Stands alone: it imports nothing of the
test suite.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any

import numpy as np


def main(script: str) -> None:
    """Answer requests until standard input closes."""
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    specification = importlib.util.spec_from_file_location("official", script)
    if specification is None or specification.loader is None:
        raise SystemExit(f"cannot import {script}")
    official: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(official)
    runtime = official.Bmrt("bm1684x")
    for line in sys.stdin:
        request = json.loads(line)
        message = ""
        try:
            runtime.load(request["model"])
            with np.load(request["inputs"]) as arrays:
                np.savez(request["outputs"], **runtime.run(request["net"], dict(arrays)))
        except RuntimeError as error:
            message = str(error)
        os.write(answer, (json.dumps(message) + "\n").encode())
    os._exit(0)  # the libraries' own teardown takes a second


if __name__ == "__main__":
    main(sys.argv[1])
