"""Random calls of the TPUKernel functions that calculate on the host, and what the official ones return.

python -m tests.support.host_calls        records tests/data/host_calls_bm1684x.json anew (needs the official library)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import cast, get_type_hints

import numpy as np

from tests.support.api_calls import DTYPES, python_arguments
from tests.support.oracle import HostCall, Job, Value, run_jobs
from tpukernel.api import HostFunction, Parameter, Range, control, registration, rows, synchronization, utils
from tpukernel.chips.tensors import Constant, Dim4
from tpukernel.dtypes import Dtype
from tpukernel.errors import TpuError

FILE = Path(__file__).resolve().parents[1] / "data" / "host_calls_bm1684x.json"
RECORDED = 12
CODES = {dtype: code for code, dtype in DTYPES.items()}

Args = dict[str, object]
"""By parameter name, in order, as C has them: numbers of data types, raw bits of scalars."""
Result = tuple[int, ...]

_RESULTS: dict[object, str] = {int: "int", bool: "bool", Dim4: "out4", Range: "range", Constant: "uint"}
_WIDE = {"tpu_l2_sram_get_start_addr": "u64", "tpu_global_mem_get_start_addr": "u64", "tpu_local_shape_5d_to_4d": "4out"}


def _returned(row: HostFunction[..., object]) -> object:
    return get_type_hints(row.__wrapped__, include_extras=True)["return"]


def _plain_rows() -> dict[str, HostFunction[..., object]]:
    """The functions that return a number or shape and touch neither a recording nor memory."""
    groups = {utils.GROUP, registration.GROUP, control.GROUP, synchronization.GROUP}
    found: dict[str, HostFunction[..., object]] = {}
    for name, row in rows().items():
        if (row.group in groups or name == "tpu_cache_line_size") and isinstance(row, HostFunction):
            found[name] = cast("HostFunction[..., object]", row)
    return {name: row for name, row in found.items() if _returned(row) in _RESULTS and name != "tpu_is_parallel_state"}


FUNCTIONS = _plain_rows()


@dataclass(frozen=True)
class HostCase:
    """A call and what the official function returns: a number, the numbers of a shape or range, or nothing when it refuses."""

    function: str
    args: Args
    expected: Sequence[int] | None


# ---------------------------------------------------------------------------- draws

SPECIAL_F32 = np.array([0, -0.0, 0.5, 1.5, -2.5, 65504, 65520, -65519.9, 1e-40, 3e38, np.inf, -np.inf, np.nan, 2**31, -129], np.float32)


def _scalar(random: Random, dtype: Dtype) -> int:
    if dtype.is_int:
        return random.choice([random.getrandbits(32), random.randrange(-5, 5) & 0xFFFFFFFF])
    if random.random() < 0.3:
        return random.getrandbits(32)
    with np.errstate(all="ignore"):
        exponent = np.float32(10.0 ** random.randrange(-8, 11))
        special = random.choice(SPECIAL_F32.tolist()) if random.random() < 0.4 else random.choice([-1, 1]) * random.random() * exponent
        bits = np.array([special], np.float32).astype(dtype.numpy).view(f"u{dtype.itemsize}")
    return int(bits[0])


def _uint(random: Random, name: str) -> int:
    limits = {"start_idx": 64, "h": 300, "w": 300, "dim": 7}
    return random.randrange(1000) if random.random() < 0.1 and name == "start_idx" else random.randrange(limits.get(name, 2000))


_DRAW: dict[str, Callable[[Random, Parameter], object]] = {
    "local": lambda random, _: random.randrange(64 << 18) if random.random() < 0.8 else random.getrandbits(32),
    "uint": lambda random, each: _uint(random, each.name),
    "int": lambda random, _: random.choice([random.randrange(100), random.randrange(40000), -random.randrange(100)]),
    "dim4": lambda random, _: [random.randrange(1, 5), random.randrange(1, 300), random.randrange(1, 40), random.randrange(1, 90)],
    "dim5": lambda random, _: [random.randrange(1, 50) for _ in range(5)],
    "dtype": lambda random, each: CODES[random.choice(each.kind.dtypes or tuple(CODES))],
    "rounding": lambda random, _: random.randrange(7) if random.random() < 0.05 else random.randrange(5),
    "bool": lambda random, _: random.random() < 0.5,
    "range": lambda random, _: [random.randrange(6), random.randrange(6)],
    "ranges": lambda random, _: [[low := random.randrange(30), low + random.randrange(-1, 4)] for _ in range(random.randrange(0, 6))],
}


def draw_args(function: str, random: Random) -> Args:
    """Arguments for a function."""
    parameters = FUNCTIONS[function].parameters
    found = {each.name: _DRAW[each.kind.name](random, each) for each in parameters if each.kind.name != "scalar"}
    if "ranges" in found:
        found["num"] = len(cast("list[object]", found["ranges"]))
    for each in parameters:
        if each.kind.name == "scalar":
            found[each.name] = _scalar(random, DTYPES[cast("int", found["src_dtype"])])
    return {each.name: found[each.name] for each in parameters}


# ---------------------------------------------------------------------------- runs


def official(function: str, calls: Sequence[Args]) -> list[Result | None]:
    """What the official function returns; None where it stops."""
    kinds = [each.kind.name for each in FUNCTIONS[function].parameters]
    result = _WIDE.get(function, _RESULTS[_returned(FUNCTIONS[function])])
    host = [HostCall(function, result, list(zip(kinds, call.values(), strict=True))) for call in calls]
    # A call that is refused ends its job. Those that may be are tried alone, the others together as long as that goes well.
    risky = [ours(function, call) is None for call in calls]
    together = iter(_results([each for each, alone in zip(host, risky, strict=True) if not alone]))
    return [_results([each])[0] if alone else next(together) for each, alone in zip(host, risky, strict=True)]


def _results(calls: Sequence[HostCall]) -> list[Result | None]:
    if not calls:
        return []
    [found] = run_jobs([Job(host=calls)])
    if found.rejected is None:
        return list(found.returned)
    return [None] if len(calls) == 1 else [result for each in calls for result in _results([each])]


def ours(function: str, call: Args) -> Result | None:
    """What our function returns; None where it refuses."""
    try:
        found = FUNCTIONS[function](**python_arguments(function, cast("dict[str, Value]", call)))
    except TpuError:
        return None
    if isinstance(found, Constant):
        return (found.bits,)
    return cast("Result", found) if isinstance(found, tuple) else (int(cast("int", found)),)


def stored() -> list[HostCase]:
    """The recorded calls."""
    found = cast("list[dict[str, object]]", json.loads(FILE.read_text(encoding="utf-8")))
    return [HostCase(**each) for each in found]  # pyright: ignore[reportArgumentType]


def main() -> None:
    """Record the file anew."""
    lines: list[str] = []
    for function in FUNCTIONS:
        calls = [draw_args(function, Random(f"{function} {number}")) for number in range(RECORDED if FUNCTIONS[function].parameters else 1)]
        found = zip(calls, official(function, calls), strict=True)
        lines += [json.dumps(asdict(HostCase(function, call, expected)), separators=(",", ":")) for call, expected in found]
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
