"""Mutants of the kernels of the examples: whether the checks and the comparison with numpy notice each mistake.

    python -m tests.support.kernel_mutants [COUNT] [CASE ...]

judges all mutants (or about COUNT of them) of all cases (or of these), prints by kind who noticed them, and those that nobody noticed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

import tpukernel as tpu
from tests.examples import references
from tests.examples.load import example
from tests.examples.references import Case, wide, within
from tests.lang.single import floats
from tests.support.command_edits import command_edits
from tests.support.kernel_edits import edits
from tpukernel.dtypes import dtype_of
from tpukernel.errors import TpuError
from tpukernel.lang import Kernel
from tpukernel.lang.elaborate import Elaborated, elaborate
from tpukernel.lang.execute import execute
from tpukernel.lang.ir import KernelIr
from tpukernel.lang.usage import raise_first
from tpukernel.lang.verify import verify

__all__ = ["CASES", "Mutant", "Verdict", "judge", "mutants"]


@tpu.kernel
def ordered(k: tpu.Builder, x: tpu.In, y: tpu.In, out: tpu.Out) -> None:
    """abs(x) + y, whose author says who waits for whom: no example does."""
    a, b, positive, result = (k.local(x.shape, x.dtype) for _ in range(4))
    with k.parallel():
        first = k.dma.load(a, x)
        second = k.dma.load(b, y)
        k.tiu.abs(positive, a, after=first)
        added = k.tiu.add(result, positive, b, after=second)
        k.dma.store(out, result, after=added)


def _ordered_case() -> Case:
    x, y = floats((1, 65, 3, 10), tpu.f32), floats((1, 65, 3, 10), tpu.f32, 1)
    wanted = np.abs(wide(x)) + wide(y)
    return Case("ordered", [x, y], wanted, within(wanted, tpu.f32, 1))


IMAGE = (2, 65, 3, 10)
ROWS = (2, 65, 3, 9)
TILES = {"tile_h": 2, "tile_w": 6}
CASES: dict[str, Callable[[], Case]] = {
    "abs_add": lambda: references.abs_add(IMAGE, tpu.f32, **TILES),
    "axpy": lambda: references.axpy(IMAGE, tpu.f16, **TILES),
    "scale_bias_relu": lambda: references.scale_bias_relu(IMAGE, tpu.bf16, **TILES),
    "softmax": lambda: references.softmax(ROWS, tpu.f32, scale=200, tile_h=2),
    "softmax f16": lambda: references.softmax(ROWS, tpu.f16, scale=200, tile_h=2),
    "layer_norm": lambda: references.layer_norm(ROWS, tpu.f32, tile_h=2),
    "layer_norm f16": lambda: references.layer_norm(ROWS, tpu.f16, tile_h=2),
    "rms_norm": lambda: references.rms_norm(ROWS, tpu.f16, epsilon=0.5, tile_h=2),
    "gelu": lambda: references.gelu(IMAGE, tpu.f32, **TILES),
    "gelu f16": lambda: references.gelu(IMAGE, tpu.f16, **TILES),
    "matmul": lambda: references.matmul(70, 50, 40, tpu.f32, tile_m=64, tile_n=32, tile_k=20),
    "matmul bf16": lambda: references.matmul(70, 50, 40, tpu.bf16, tile_m=64, tile_n=32, tile_k=20),
    "conv3x3": lambda: references.conv3x3(2, 5, 66, 7, 6, tpu.f32, stripe=5, tile=2, tile_oc=64),
    "transpose": lambda: references.transpose(70, 80, tpu.f32, tile=32),
    "attention": lambda: references.attention(70, 66, 24, tpu.f16, scale=200, tile=16),
    "int8_requant": lambda: references.int8_requant(IMAGE, **TILES),
    "argmax": lambda: references.argmax(ROWS, tpu.f32, 5, tile_h=2),
    "ordered": _ordered_case,
}
"""Small inputs for which each loop has several steps, the last of them smaller. The exponents of a softmax are large, so that it matters
that the largest one is subtracted."""


@dataclass(frozen=True)
class Mutant:
    """A kernel with one mistake.

    Attributes:
        case: whose inputs it gets.
        kind, what: the mistake.
        kernel: its representation; None where the mistake is in the commands.
        make: elaborates it.
    """

    case: str
    kind: str
    what: str
    kernel: KernelIr | None
    make: Callable[[], Elaborated]

    def __str__(self) -> str:
        return f"{self.case}: {self.kind}: {self.what}"


@dataclass(frozen=True)
class Verdict:
    """Who noticed a mutant, with the code of the error; `nobody`; or `crash`, with the error, which must not happen."""

    by: str
    code: str = ""


@cache
def case_of(name: str) -> Case:
    return CASES[name]()


@cache
def sound(name: str) -> Elaborated:
    """The kernel of a case without a mistake."""
    case = case_of(name)
    kernel: Kernel = ordered if name == "ordered" else example(case.name)
    given = dict(zip(kernel.signature.inputs, case.arrays, strict=True))
    shapes, dtypes = {key: array.shape for key, array in given.items()}, {key: dtype_of(array.dtype).name for key, array in given.items()}
    return kernel.elaborate(shapes, dtypes, **case.keywords)


def mutants(names: Sequence[str] = tuple(CASES)) -> Iterator[Mutant]:
    """All mutants, in an order that is always the same."""
    for name in names:
        found = sound(name)
        shapes = {key: place.shape for key, place in found.systems.items()}
        for edit in edits(found.kernel):
            make = partial(elaborate, edit.kernel, shapes, found.program.chip)
            yield Mutant(name, edit.kind, edit.what, edit.kernel, make)
        for each in command_edits(found):
            yield Mutant(name, each.kind, each.what, None, each.make)


def judge(mutant: Mutant) -> Verdict:
    """Who notices a mutant, in the order in which a test with `tpukernel.testing.run` would."""
    case = case_of(mutant.case)
    stage = "verifier"
    try:
        if mutant.kernel is not None:
            verify(mutant.kernel)
        stage = "elaboration"
        found = mutant.make()
        stage = "usage"
        raise_first(found.mistakes)
        stage = "simulator"
        names = [param.name for param in found.kernel.params if param.direction != "out"]
        outputs = execute(found, dict(zip(names, case.arrays, strict=True)), "interpreter", check=True)
    except TpuError as error:
        return Verdict(stage, error.code)
    except Exception as error:  # noqa: BLE001 - any other error is the finding
        return Verdict("crash", f"{stage}: {type(error).__name__}: {error}")
    try:
        (found_array,) = outputs.values()
        case.require(found_array)
    except AssertionError:
        return Verdict("numpy")
    return Verdict("nobody")


def main(arguments: Sequence[str]) -> int:
    """Judges mutants; 1 when one of them crashed."""
    numbers, names = [each for each in arguments if each.isdigit()], [each for each in arguments if not each.isdigit()]
    every = list(mutants(names or tuple(CASES)))
    parts = max(1, len(every) // int(numbers[0])) if numbers else 1
    table: dict[str, Counter[str]] = {}
    unnoticed: list[str] = []
    codes: Counter[str] = Counter()
    for mutant in every[::parts]:
        verdict = judge(mutant)
        table.setdefault(mutant.kind, Counter())[verdict.by] += 1
        codes[verdict.code if verdict.by != "crash" else "crash"] += 1
        if verdict.by in ("nobody", "crash"):
            unnoticed.append(f"{verdict.by}: {mutant} {verdict.code}")
            print(unnoticed[-1], flush=True)
    for kind, counts in table.items():
        print(f"{kind:12} {counts.total():5}: {', '.join(f'{by} {count}' for by, count in counts.most_common())}")
    total: Counter[str] = Counter()
    for counts in table.values():
        total += counts
    print(f"{'all':12} {total.total():5}: {', '.join(f'{by} {count}' for by, count in total.most_common())}")
    print(f"codes: {dict(codes.most_common())}")
    return int(bool(total["crash"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
