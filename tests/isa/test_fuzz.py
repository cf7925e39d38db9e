"""Streams from outside are untrusted: whatever the bytes are, decoding gives instructions or a named error that says engine and offset.

`python -m tests.isa.test_fuzz SECONDS MEGABYTES` searches longer, with random seeds and a limit on memory.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.effort import by_profile
from tests.support.golden import golden_cases
from tests.support.rebuild import rebuilt
from tests.support.streams import official_streams
from tpukernel import BM1684X
from tpukernel.chips.chip import Engine
from tpukernel.isa import Instruction, decode, encode
from tpukernel.isa.errors import IsaError, StreamError
from tpukernel.isa.listing import line

EXAMPLES = by_profile(smoke=200, normal=800, nightly=10_000)
ENGINES: tuple[Engine, Engine] = ("tiu", "gdma")
SEEDS: dict[Engine, list[bytes]] = {
    "tiu": [case.tiu for case in golden_cases() if case.tiu] + [s.data for s in official_streams().values() if s.engine == "tiu"],
    "gdma": [case.gdma for case in golden_cases() if case.gdma] + [s.data for s in official_streams().values() if s.engine == "gdma"],
}


def survive(engine: Engine, data: bytes) -> str:
    """Decode, show, check and encode; the name of the outcome. Fails on anything but instructions or a stream error with a place."""
    try:
        instructions = decode(BM1684X, engine, data)
    except StreamError as error:
        check_place(error, engine, data)
        return error.code
    encoded = encode(BM1684X, instructions)
    assert encoded[: len(data)] == data and not any(encoded[len(data) :])
    for instruction in instructions:
        exercise(instruction)
    return "decoded"


def check_place(error: StreamError, engine: Engine, data: bytes) -> None:
    assert error.engine == engine and 0 <= error.offset < len(data)
    assert f"{engine} stream, offset {error.offset}" in str(error) and str(error).startswith(error.code)


def exercise(instruction: Instruction) -> None:
    """A command with any numbers in its fields can be listed, checked, and built anew from what it shows, or is refused by name."""
    assert line(instruction, BM1684X)
    for problem in instruction.problems(BM1684X):
        assert problem.rule and problem.operand and problem.instruction == instruction.title
    try:
        again = rebuilt(instruction).encoded(BM1684X)
    except IsaError:
        return  # operands that contradict each other, as only bytes can say it
    assert again.record == instruction.encoded(BM1684X).record


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(ENGINES), st.binary(max_size=300))
def test_random_bytes(engine: Engine, data: bytes) -> None:
    survive(engine, data)


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(ENGINES), st.data())
def test_mutated_streams(engine: Engine, data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(SEEDS[engine]))[:768])
    for bit, width, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(seed) * 8 - 1), st.integers(1, 32), st.integers(0, 2**32 - 1)), max_size=3)
    ):
        mutate(seed, bit, width, value)
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(seed))))
    survive(engine, bytes(seed[:cut]))


def mutate(data: bytearray, bit: int, width: int, value: int) -> None:
    whole, mask = int.from_bytes(data, "little"), ((1 << width) - 1) << bit & ((1 << len(data) * 8) - 1)
    data[:] = (whole & ~mask | value << bit & mask).to_bytes(len(data), "little")


def test_every_field_of_every_official_command_may_hold_anything() -> None:
    """Each field in turn, set to zero, all ones and a random number."""
    source = random.Random(1)
    outcomes: Counter[str] = Counter()
    for engine in ENGINES:
        kinds: dict[str, Instruction] = {}
        for case in golden_cases():
            for instruction in decode(BM1684X, engine, case.tiu if engine == "tiu" else case.gdma):
                kinds.setdefault(instruction.title, instruction)
        for instruction in kinds.values():
            bits = instruction.encoded(BM1684X)
            for low, width in bits.format.fields.values():
                for value in (0, (1 << width) - 1, source.getrandbits(width)):
                    data = bytearray(bits.record.to_bytes(bits.format.bytes, "little"))
                    mutate(data, low, width, value)
                    outcomes[survive(engine, bytes(data))] += 1
    assert outcomes["decoded"] > 1000 and {"ISA102", "ISA103", "ISA104"} <= outcomes.keys()


def search(seconds: float) -> Counter[str]:
    """Mutate until the time is over; the number of streams by outcome."""
    source, outcomes = random.Random(), Counter[str]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        engine = source.choice(ENGINES)
        data = bytearray(source.randbytes(source.randrange(1, 300)) if source.random() < 0.2 else source.choice(SEEDS[engine]))
        for _ in range(source.randrange(4)):
            mutate(data, source.randrange(len(data) * 8), source.randrange(1, 33), source.getrandbits(32))
        outcomes[survive(engine, bytes(data[: source.randrange(1, len(data) + 1)] if source.random() < 0.3 else data))] += 1
    return outcomes


if __name__ == "__main__":
    import resource

    limit = int(sys.argv[2]) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = search(float(sys.argv[1]))
    print(f"{sum(found.values())} streams: {dict(found.most_common())}")
