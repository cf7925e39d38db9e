"""Child process: asks one official library for strides, sizes and figures.

    python official_numbers.py OFFICIAL_SCRIPT CHIP

Requests are a JSON list on standard input, each [function, arguments]; an argument is an int or a list of four (a `dim4`). The answer is
the list of results: the int that the function returns, or the `dim4` that it fills in (functions named `..._stride`). Stands alone on
purpose: the library prints to standard output, changes the floating point mode of its process and may end it.
"""

from __future__ import annotations

import ctypes as C  # noqa: N812
import importlib.util
import json
import os
import re
import sys
from typing import Any

FILLS_DIM4 = re.compile(r"\w+_stride(_for_\w+bit)?")
RETURNS_64_BITS = {"tpu_l2_sram_get_start_addr", "tpu_global_mem_get_start_addr"}


def _argument(value: Any) -> Any:
    return C.byref((C.c_int * 4)(*value)) if isinstance(value, list) else C.c_int(value)


def _ask(library: Any, name: str, arguments: list[Any]) -> int | list[int]:
    function = getattr(library, name)
    values = [_argument(value) for value in arguments]
    if FILLS_DIM4.fullmatch(name):
        result = (C.c_int * 4)()
        function(C.byref(result), *values)
        return list(result)
    function.restype = C.c_uint64 if name in RETURNS_64_BITS else C.c_int
    return function(*values)


def main(script: str, chip: str) -> None:
    """Answer one list of requests."""
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    specification = importlib.util.spec_from_file_location("official", script)
    if specification is None or specification.loader is None:
        raise SystemExit(f"cannot import {script}")
    official = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(official)
    library = official.Cmodel(chip, "libbackend.so", 1 << 24).lib
    results = [_ask(library, name, arguments) for name, arguments in json.load(sys.stdin)]
    data = json.dumps(results).encode()
    while data:
        data = data[os.write(answer, data) :]
    os._exit(0)  # the library's own teardown is slow


if __name__ == "__main__":
    main(*sys.argv[1:3])
