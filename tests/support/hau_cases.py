"""Random work for the HAU, and what the official C model makes of it.

python -m tests.support.hau_cases        records tests/data/hau_bm1684x.json anew (needs the official library)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tests.support.api_calls import DTYPES
from tests.support.oracle import HostCall, Job, run_jobs
from tpukernel import BM1684X
from tpukernel.api import Bits, HostFunction, executing, rows
from tpukernel.errors import TpuError
from tpukernel.sim import Machine

FILE = Path(__file__).resolve().parents[1] / "data" / "hau_bm1684x.json"
RECORDED = 150
LARGEST_RECORDED = 9
"""Numbers or boxes of a recorded case, so that the file stays small."""

DDR = BM1684X.regions["ddr"].base
INPUTS, OUTPUTS = (0x0, 0x100000), (0x200000, 0x300000)
"""Offsets in DDR."""
GUARD = 64
"""Bytes behind an output that must stay as they are."""
FILL = 0xAA
NUMBERS = {5: "float", 9: "int", 8: "int"}
Value = int | float | bool

SPECIAL = np.array([0, 0x80000000, 0x3F800000, 0x40000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 1, 0x80000001], np.uint32)
"""Zeros of both signs, ordinary numbers, infinities, NaNs, denormals."""


@dataclass(frozen=True)
class Case:
    """A call, with its arguments in order.

    Attributes:
        function: its name.
        kinds: of the arguments.
        args: of which data types are the numbers of C and scalars raw bits.
        inputs: offset in DDR and bytes in hexadecimal.
        outputs: offset and size of what is compared, which holds `FILL` before.
        expected: these bytes in hexadecimal as the official model leaves them, if they are known.
        refused: whether the official library refuses the call.
    """

    function: str
    kinds: Sequence[str]
    args: Sequence[Value]
    inputs: Sequence[tuple[int, str]]
    outputs: Sequence[tuple[int, int]]
    expected: Sequence[str] = field(default_factory=tuple[str, ...])
    refused: bool = False


# ---------------------------------------------------------------------------- draws


def draw_case(random: Random, largest: int) -> Case:
    """A call of any function of the HAU with up to `largest` numbers or boxes; a few break a rule."""
    return random.choice([_sort, _sort_with_index, _sort_general, _hard_nms, _soft_nms, _line_gather])(random, largest)


def _numbers(random: Random, dtype: int, count: int) -> NDArray[np.uint32]:
    rng = np.random.default_rng(random.getrandbits(64))
    kind = random.randrange(4)
    if dtype == 5 and kind == 0:
        return SPECIAL[rng.integers(0, len(SPECIAL), count)]
    if dtype == 5 and kind == 1:
        return rng.standard_normal(count).astype(np.float32).view(np.uint32)
    if dtype == 5:
        return rng.integers(-3, 4, count).astype(np.float32).view(np.uint32)
    few = rng.integers(-3, 4, count) if kind else rng.integers(-(1 << 31), 1 << 31, count)
    return few.astype(np.int32).view(np.uint32)


def _length(random: Random, largest: int) -> tuple[int, int]:
    length = random.randrange(1, largest + 1)
    k = length if random.random() < 0.5 else random.randrange(1, length + 1)
    return length, random.choice([0, length + 1]) if random.random() < 0.05 else k


def _hexed(values: NDArray[np.generic]) -> str:
    return values.tobytes().hex()


def _sort(random: Random, largest: int) -> Case:
    dtype, (length, k) = random.choice([5, 9, 8]), _length(random, largest)
    kinds = ("system", "system", "int", "int", "bool", "dtype")
    args = (DDR + OUTPUTS[0], DDR + INPUTS[0], length, k, random.random() < 0.5, random.choice([3, 1]) if random.random() < 0.03 else dtype)
    inputs = [(INPUTS[0], _hexed(_numbers(random, dtype, length)))]
    return Case("tpu_hau_sort", kinds, args, inputs, [(OUTPUTS[0], 4 * length + GUARD)])


def _index(random: Random, length: int) -> NDArray[np.uint32]:
    rng = np.random.default_rng(random.getrandbits(64))
    return rng.integers(-3, 3 * length, length).astype(np.int32).view(np.uint32)


def _sort_with_index(random: Random, largest: int) -> Case:
    dtype, (length, k) = random.choice([5, 9, 8]), _length(random, largest)
    specific = random.random() < 0.5
    source = (DDR + INPUTS[0], DDR + INPUTS[1]) if specific else (DDR + INPUTS[0],)
    function = "tpu_hau_sort_specific_index" if specific else "tpu_hau_sort_natural_index"
    kinds = ("system",) * (2 + len(source)) + ("int", "int", "bool", "dtype")
    args = (DDR + OUTPUTS[0], DDR + OUTPUTS[1], *source, length, k, random.random() < 0.5, dtype)
    inputs = [(INPUTS[0], _hexed(_numbers(random, dtype, length))), (INPUTS[1], _hexed(_index(random, length)))]
    size = 4 * length + GUARD
    return Case(function, kinds, args, inputs, [(OUTPUTS[0], size), (OUTPUTS[1], size)])


def _sort_general(random: Random, largest: int) -> Case:
    flag, (length, k) = random.randrange(3), _length(random, largest)
    kinds = ("system",) * 4 + ("uint", "int", "int", "int", "int", "int")
    flags = [int(random.random() < 0.5) for _ in range(3)]
    wrong = 3 if random.random() < 0.05 else flag
    args = (DDR + INPUTS[0], DDR + INPUTS[1], DDR + OUTPUTS[0], DDR + OUTPUTS[1], wrong, length, *flags, k)
    inputs = [(INPUTS[0], _hexed(_numbers(random, (5, 9, 8)[flag], length))), (INPUTS[1], _hexed(_index(random, length)))]
    size = 4 * length + GUARD
    return Case("tpu_hau_sort_general", kinds, args, inputs, [(OUTPUTS[0], size), (OUTPUTS[1], size)])


def _boxes(random: Random, largest: int) -> tuple[int, int]:
    boxes = random.randrange(1, largest + 1)
    keep = random.choice([0, boxes, random.randrange(0, boxes + 3)])
    return (0, keep) if random.random() < 0.02 else (boxes, -1 if random.random() < 0.02 else keep)


def _hard_nms(random: Random, largest: int) -> Case:
    boxes, keep = _boxes(random, largest)
    rng = np.random.default_rng(random.getrandbits(64))
    matrix = (rng.random(boxes * boxes) < random.choice([0.5, 0.9, 0.98])).astype(np.uint8)
    if random.random() < 0.3:
        matrix |= (rng.integers(0, 128, boxes * boxes) * 2).astype(np.uint8)
    shift = 2 if random.random() < 0.03 else 0
    args = (DDR + OUTPUTS[0] + shift, DDR + INPUTS[0] + random.randrange(4), boxes, keep)
    inputs = [(args[1] - DDR, _hexed(matrix))]
    return Case("tpu_hau_hard_nms", ("system", "system", "int", "int"), args, inputs, [(OUTPUTS[0], boxes // 8 + GUARD)])


def _soft_nms(random: Random, largest: int) -> Case:
    boxes, keep = _boxes(random, largest)
    rng = np.random.default_rng(random.getrandbits(64))
    kind = random.choice(["plain", "ties", "signs", "special"])
    if kind == "plain":
        decay, scores, threshold = rng.random(boxes * boxes), rng.random(boxes), random.random() * 0.6
    else:
        factors, values = {
            "ties": ([0, 0.5, 1], [0, 0.25, 0.5, 1, 2]),
            "signs": ([0, 0.5, 1, -1], [0, -0.25, -0.0, 0.5, 1, -2]),
            "special": ([0, 0.5, 1, 1, 1e-39, np.nan], [0, 0.25, 0.5, 1, 2, 1e-40, np.nan, np.inf]),
        }[kind]
        decay, scores = rng.choice(factors, boxes * boxes), rng.choice(values, boxes)
        threshold = random.choice([0, 0.25, 0.5, 0.125, -0.5, -3, 1e-40])
    inputs = [(INPUTS[0], _hexed(decay.astype(np.float32))), (INPUTS[1], _hexed(scores.astype(np.float32)))]
    args = (DDR + OUTPUTS[0], DDR + INPUTS[0], DDR + INPUTS[1], float(np.float32(threshold)), boxes, keep)
    outputs = [(OUTPUTS[0], boxes // 8 + GUARD), (INPUTS[1], 4 * boxes)]
    return Case("tpu_hau_soft_nms", ("system", "system", "system", "float", "int", "int"), args, inputs, outputs)


def _line_gather(random: Random, largest: int) -> Case:
    code = random.choice(list(DTYPES))
    dtype = DTYPES[code]
    lines, length, count = random.randrange(1, 9), random.randrange(0, largest + 1), random.randrange(0, largest + 1)
    start = random.randrange(lines)
    end = random.randrange(start, lines) if random.random() < 0.95 else random.choice([lines, start - 1])
    rng = np.random.default_rng(random.getrandbits(64))
    low = random.getrandbits(dtype.bits)
    high = random.choice([0, (1 << 32) - (1 << dtype.bits), 1 << 31 if random.random() < 0.1 else 0])
    index = rng.integers(-1, lines + 2, count).astype(np.int32)
    shift = 4 if random.random() < 0.05 else 0
    inputs = [(INPUTS[0], rng.bytes(lines * length * dtype.itemsize).hex()), (INPUTS[1], _hexed(index))]
    kinds = ("system", "system", "system", "scalar", *["int"] * 5, "dtype", "bool")
    args = (DDR + OUTPUTS[0] + shift, DDR + INPUTS[0], DDR + INPUTS[1], low | high, lines, length, count, start, end, code)
    outputs = [(OUTPUTS[0], length * count * dtype.itemsize + GUARD)]
    return Case("tpu_hau_line_gather", kinds, (*args, random.random() < 0.5), inputs, outputs)


# ---------------------------------------------------------------------------- runs


def official(cases: Sequence[Case]) -> list[tuple[list[str], bool]]:
    """The outputs of the official model, and whether it refused."""
    jobs = [
        Job(
            host=[HostCall(case.function, "none", list(zip(case.kinds, case.args, strict=True)))],
            initial={"ddr": [(at, np.frombuffer(data, np.uint8)) for at, data in _image(case)]},
            reads=[("ddr", at, size) for at, size in case.outputs],
        )
        for case in cases
    ]
    return [([part.tobytes().hex() for part in found.memory], found.rejected is not None) for found in run_jobs(jobs, fresh=False)]


def ours(case: Case) -> tuple[list[str], bool]:
    """The outputs of the simulator, and whether it refused."""
    machine = Machine(BM1684X)
    for at, data in _image(case):
        machine.write("ddr", at, data)
    row = cast("HostFunction[..., object]", rows()[case.function])
    arguments = [_PYTHON.get(kind, lambda value: value)(value) for kind, value in zip(case.kinds, case.args, strict=True)]
    try:
        with executing(machine):
            row(*arguments)
    except TpuError:
        return [], True
    return [machine.read("ddr", at, size).hex() for at, size in case.outputs], False


def _image(case: Case) -> list[tuple[int, bytes]]:
    """What is in memory before: the outputs are filled, the inputs put on top."""
    filled = [(at, bytes([FILL]) * size) for at, size in case.outputs]
    return [*filled, *((at, bytes.fromhex(data)) for at, data in case.inputs)]


_PYTHON: dict[str, Callable[[Value], object]] = {
    "dtype": lambda value: DTYPES[int(value)],
    "scalar": lambda value: Bits(int(value)),
}


def stored() -> list[Case]:
    """The recorded cases."""
    found = cast("list[dict[str, object]]", json.loads(FILE.read_text(encoding="utf-8")))
    return [Case(**each) for each in found]  # pyright: ignore[reportArgumentType]


def main() -> None:
    """Record the file anew."""
    cases = [draw_case(Random(seed), LARGEST_RECORDED) for seed in range(RECORDED)]
    recorded = [
        asdict(case) | {"expected": outputs, "refused": refused} for case, (outputs, refused) in zip(cases, official(cases), strict=True)
    ]
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in recorded)
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
