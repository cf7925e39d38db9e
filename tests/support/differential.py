"""Runs single instructions and short sequences on the official C model and on the interpreter, and compares the memories.

    arena = Arena(rng)
    a, b, dst = (arena.tensor((2, 70, 3, 5), f32) for _ in range(3))
    assert compare([Arith(op=ArithOp.ADD, dst=dst, src0=a, src1=b)], seed=1) == []

Every operand is filled with numbers that provoke mistakes (see `hard_values`), everything around the operands with random bytes. What is
compared is in all lanes the stretch from the lowest operand to the highest and a margin on both sides; of DDR and L2 the same. The official
model has 256 MiB of DDR.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from tests.support.effort import by_profile
from tests.support.oracle import Job, run_jobs
from tpukernel.chips.bm1684x import BM1684X
from tpukernel.chips.layout import lane_bytes_needed, strides_of
from tpukernel.chips.static_memory import static_memory
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.errors import TpuError
from tpukernel.isa.codec import decode
from tpukernel.isa.instruction import Instruction
from tpukernel.sim.interpreter import execute
from tpukernel.sim.memory import Array, Memory

__all__ = ["CASES", "CHIP", "SHAPES", "Arena", "Case", "compare", "hard_values", "windows"]

CHIP = BM1684X
MARGIN = 128
JOBS_PER_BATCH = 64
CASES = by_profile(smoke=1, normal=2, nightly=20)
"""Random cases for each operation and combination of types: 20 in the nightly profile, 2 every day, 1 for a quick look."""
SHAPES: tuple[Dim4, ...] = ((2, 70, 3, 5), (1, 130, 1, 7), (3, 1, 9, 11), (1, 64, 4, 16), (2, 5, 1, 33), (1, 3, 17, 1))
"""Shapes with several rows in a lane, odd widths, whole and broken EU rows, and more than one n."""

Bytes = NDArray[np.uint8]
Window = tuple[str, int, int]
"""(space, offset, size)."""


@dataclass(frozen=True)
class Case:
    """An instruction and, where random numbers will not do (indices, counts), the contents of some operands by name.

    `following`: instructions that run after it; their operands are filled only where they are not operands of an earlier one.
    """

    instruction: Instruction
    values: Mapping[str, Array] = field(default_factory=dict[str, Array])
    following: Sequence[Instruction] = ()


# ---------------------------------------------------------------------------- comparing


def compare(cases: Iterable[Instruction | Case], seed: int) -> list[str]:
    """Run each instruction alone on both models; one text for each that differs, or that the official model rejects.

    What our rules (`Instruction.problems`) reject is a difference too: the cases are to be legal.
    """
    rng, memory = np.random.default_rng(seed), Memory(CHIP)
    work = [case if isinstance(case, Case) else Case(case) for case in cases]
    batches = (work[start : start + JOBS_PER_BATCH] for start in range(0, len(work), JOBS_PER_BATCH))
    return [text for batch in batches for text in _compare(batch, memory, rng)]


def _compare(cases: Sequence[Case], memory: Memory, rng: np.random.Generator) -> Iterator[str]:
    runs = [_Run(case, memory, rng) for case in cases]
    for run, official in zip(runs, run_jobs([run.job for run in runs], fresh=False), strict=True):
        if official.rejected is not None:
            yield f"rejected by the official model: {official.rejected}\n{run.instructions!r}"
        else:
            yield from run.differences(official.memory)


class _Run:
    """One case: what was in the windows of memory that matter; all cases share one memory."""

    def __init__(self, case: Case, memory: Memory, rng: np.random.Generator) -> None:
        # What is executed is what the command says, not what was given.
        given = [each.numbered(number, 0) for number, each in enumerate((case.instruction, *case.following), start=1)]
        self.instructions = [decode(CHIP, each.engine, _bytes_of(each))[0] for each in given]
        self.memory = memory
        self.windows = list(windows(self.memory, self.instructions))
        for space, offset, size in self.windows:
            self.memory.range(space, offset, size)[:] = rng.integers(0, 256, size, np.uint8)
        for instruction in reversed(self.instructions):
            for use in instruction.operands():
                if not isinstance(use.value, Constant) and not _is_static(use.value.address):
                    values = case.values.get(use.name) if instruction is self.instructions[0] else None
                    self.memory.store(use.value, hard_values(rng, use.value.shape, use.value.dtype) if values is None else values)
        self.initial = [self.memory.range(*window).copy() for window in self.windows]
        initial: dict[str, list[tuple[int, Bytes]]] = {"static": [(0, static_memory(CHIP))]}
        for (space, offset, _), content in zip(self.windows, self.initial, strict=True):
            initial.setdefault(space, []).append((offset, content))
        self.job = Job(commands=[(each.engine, _bytes_of(each)) for each in given], initial=initial, reads=self.windows)

    def _set(self, contents: Sequence[Bytes]) -> None:
        for window, content in zip(self.windows, contents, strict=True):
            self.memory.range(*window)[:] = content

    def differences(self, official: Sequence[Bytes]) -> Iterator[str]:
        """What the interpreter does differently from the official model, which left `official` in the windows."""
        problems = [problem for instruction in self.instructions for problem in instruction.problems(CHIP)]
        if problems:
            yield f"legal for the official model, but: {problems[0]}\n{self.instructions!r}"
            return
        self._set(self.initial)
        last = self.instructions[-1]
        before: dict[str, Array] = {}
        try:
            for instruction in self.instructions:
                if instruction is last:
                    before = {use.name: self.memory.load(use.value) for use in last.operands()}
                execute(instruction, self.memory)
        except TpuError as error:
            yield f"accepted by the official model, but: {error}\n{self.instructions!r}"
            return
        ours = [self.memory.range(*window).copy() for window in self.windows]
        if all(map(np.array_equal, ours, official)):
            return
        results = {use.name: (use.value, self.memory.load(use.value)) for use in last.operands() if use.direction != "in"}
        self._set(official)
        count = sum(int((a != b).sum()) for a, b in zip(ours, official, strict=True))
        lines = [f"{count} bytes differ: {self.instructions!r}"]
        for name, (operand, our) in results.items():
            lines += _elements(name, _bits(our), _bits(self.memory.load(operand)), before)
        yield "\n".join(lines)


def _bytes_of(instruction: Instruction) -> bytes:
    bits = instruction.encoded(CHIP)
    return bits.record.to_bytes(bits.format.bytes, "little")


def _bits(values: Array) -> Array:
    return values.copy(order="C").view(f"u{values.itemsize}")


def _elements(name: str, ours: Array, theirs: Array, inputs: Mapping[str, Array], limit: int = 6) -> Iterator[str]:
    wrong = np.argwhere(ours != theirs)
    yield f"  {name}: {len(wrong)} of {ours.size} elements differ"
    for index in map(tuple, wrong[:limit]):
        digits = 2 * ours.itemsize
        operands = {n: _bits(v) for n, v in inputs.items() if v.shape == ours.shape or v.ndim == 0}
        given = ", ".join(f"{n}={int(v[index] if v.ndim else v[()]):#x}" for n, v in operands.items())
        yield f"    {index}: {int(ours[index]):#0{digits + 2}x}, official {int(theirs[index]):#0{digits + 2}x}; {given}"


# ---------------------------------------------------------------------------- memory


def _is_static(address: int) -> bool:
    return address in CHIP.regions["static"]


def windows(memory: Memory, instructions: Sequence[Instruction]) -> Iterator[Window]:
    """The stretches of memory around the operands."""
    low, high = CHIP.lane_bytes, 0
    spans: dict[str, list[tuple[int, int]]] = {}
    for use in (use for instruction in instructions for use in instruction.operands()):
        if isinstance(use.value, Constant):
            continue
        space, placement = memory.place(use.value)
        if isinstance(use.value, LocalTensor) and space == "lmem":
            start = use.value.address % CHIP.lane_bytes
            end = start + lane_bytes_needed(CHIP, use.value)
            if end > CHIP.lane_bytes:  # a stretch of DMA_general that goes on in the next lane
                start, end = 0, CHIP.lane_bytes
            low, high = min(low, start), max(high, end)
        elif space == "lmem":  # system addresses of local memory: whole lanes
            low, high = 0, CHIP.lane_bytes
        elif space != "static":
            spans.setdefault(space, []).append((placement.base, placement.end))
    if high:
        low, high = max(0, low - MARGIN), min(CHIP.lane_bytes, high + MARGIN)
        for lane in range(CHIP.lanes):
            yield "lmem", lane * CHIP.lane_bytes + low, high - low
    for space, ranges in spans.items():
        for start, end in _merged((max(0, start - MARGIN), min(end + MARGIN, memory.sizes[space])) for start, end in ranges):
            yield space, start, end - start


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


class Arena:
    """Places operands one behind the other in local memory, all from one start lane on.

    Args:
        rng: source of the draws.
        lane: start lane; drawn when not given.
    """

    def __init__(self, rng: Random, lane: int | None = None) -> None:
        self.rng = rng
        self.lane = rng.choice((0, 0, 1, 5, 60, 63)) if lane is None else lane
        self._end = 64 * rng.randrange(4)

    def tensor(self, shape: Dim4, dtype: Dtype, layout: Layout = Layout.EU_ALIGNED, strides: Dim4 | None = None) -> LocalTensor:
        """A tensor of that layout; `strides` with FREE."""
        unit = 64 if layout is not Layout.FREE else dtype.itemsize
        start = -(-self._end // unit) * unit
        tensor = LocalTensor(self.lane * CHIP.lane_bytes + start, shape, dtype, layout, strides)
        self._end = start + lane_bytes_needed(CHIP, tensor) + self.rng.choice((0, 0, 2 * dtype.itemsize, 64))
        return tensor

    def align(self, unit: int) -> None:
        """The next operand starts at a multiple of `unit` bytes of its lane, if its layout does not say more."""
        self._end = -(-self._end // unit) * unit

    def skip(self, size: int) -> None:
        """Leave out some bytes."""
        self._end += size

    def strided(self, shape: Dim4, dtype: Dtype, *, broadcast: bool) -> LocalTensor:
        """A tensor with strides of its own or EU-aligned; with `broadcast` some strides may be 0."""
        rng = self.rng
        kind = rng.choice(("aligned", "compact", "free", "free", *(("zeros", "zeros") if broadcast else ())))
        if kind == "aligned":
            return self.tensor(shape, dtype)
        n, c, h, w = strides_of(CHIP, LocalTensor(self.lane * CHIP.lane_bytes, shape, dtype, Layout.COMPACT))
        if kind != "compact":
            w = rng.randint(1, 3)
            h = shape[3] * w + rng.randrange(4)
            c = shape[2] * h + rng.randrange(9)
            n = -(-(self.lane + shape[1]) // CHIP.lanes) * c + rng.randrange(9)
        if kind == "zeros":
            n, c, h, w = (stride * rng.randrange(2) for stride in (n, c, h, w))
        return self.tensor(shape, dtype, Layout.FREE, (n, c, h, w))

    def constant(self, dtype: Dtype) -> Constant:
        """A constant, as hard as `hard_values`."""
        values = hard_values(np.random.default_rng(self.rng.getrandbits(32)), (1,), dtype)
        return Constant(int(_bits(values)[0]), dtype)


# ---------------------------------------------------------------------------- contents


def hard_values(rng: np.random.Generator, shape: tuple[int, ...], dtype: Dtype) -> Array:
    """Numbers that provoke mistakes: any bits, numbers of like size (so that sums cancel and comparisons are close), limits, zeros, small
    numbers; of floats also NaN, infinities, denormals, and numbers whose products are denormal.
    """
    bits = rng.integers(0, 1 << dtype.bits, shape, np.uint64)
    special = np.array(_special(dtype), np.uint64)
    kinds = [bits, special[rng.integers(0, special.size, shape)]]
    if dtype.is_float:
        digits, half = {32: (23, 126), 16: (10, 14) if dtype.kind == "f" else (7, 126)}[dtype.bits]
        sign = bits & (1 << (dtype.bits - 1))
        fraction = bits & ((1 << digits) - 1)
        for centre, spread in ((half, 3), (half, 40 if dtype.bits == 32 or dtype.kind == "b" else 8), (half // 2 + 1, 4)):
            exponent = np.clip(centre + rng.integers(-spread, spread + 1, shape), 0, 2 * half + 1).astype(np.uint64)
            kinds.append(sign | exponent << np.uint64(digits) | fraction)
        whole = rng.integers(-300, 300, shape) / rng.choice((1, 2, 4), shape)  # halves and quarters: ties when they are rounded
        kinds.append(whole.astype(np.float32).astype(dtype.numpy).view(f"u{dtype.itemsize}").astype(np.uint64))
    else:
        kinds.append(rng.integers(-9, 10, shape).astype(np.uint64) & np.uint64((1 << dtype.bits) - 1))
        kinds.append(bits >> np.minimum(rng.integers(0, dtype.bits, shape), dtype.bits - 1).astype(np.uint64))
    chosen = np.choose(rng.integers(0, len(kinds), shape), kinds)
    return chosen.astype(f"u{dtype.itemsize}").view(dtype.numpy)


def _special(dtype: Dtype) -> list[int]:
    top, ones = 1 << (dtype.bits - 1), (1 << dtype.bits) - 1
    if dtype.is_int:
        return [0, 1, ones, top, top - 1, top + 1, 2, ones - 1]
    digits = {32: 23, 16: 10 if dtype.kind == "f" else 7}[dtype.bits]
    one = 1 << digits
    infinity = top - one
    positive = [0, 1, one - 1, one, one + 1, infinity - 1, infinity, infinity + 1, infinity + one // 2, infinity + one // 2 + 1, top - 1]
    return positive + [value | top for value in positive]
