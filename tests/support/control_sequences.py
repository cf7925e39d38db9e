"""Random sequences of commands, polls, parallel sections and id nodes, and what the official library makes of them.

python -m tests.support.control_sequences        records tests/data/control_bm1684x.json anew (needs the official library)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import cast

from tests.support.oracle import Call, Job, Recorded, run_jobs
from tpukernel import BM1684X
from tpukernel.api import (
    IdNode,
    recording,
    tpu_bdc_cpy,
    tpu_disable_check_id_node,
    tpu_enable_check_id_node,
    tpu_gdma_cpy_S2L,
    tpu_get_id_node,
    tpu_get_parallel_id_node,
    tpu_hau_poll,
    tpu_initialize,
    tpu_parallel_end,
    tpu_parallel_start,
    tpu_poll,
    tpu_set_id_node,
    tpu_set_parallel_id_node,
)
from tpukernel.dtypes import f32
from tpukernel.errors import TpuError
from tpukernel.isa import Program, decode

FILE = Path(__file__).resolve().parents[1] / "data" / "control_bm1684x.json"
RECORDED = 120

Node = Sequence[int]
Step = tuple[str, *tuple[Node, ...]]
"""A short name, and the id nodes that the step takes."""
Numbers = list[list[int]]

SHAPE = (1, 4, 2, 2)
DDR = BM1684X.regions["ddr"].base
PLAIN = {
    "poll": tpu_poll,
    "hau_poll": tpu_hau_poll,
    "start": tpu_parallel_start,
    "end": tpu_parallel_end,
    "initialize": tpu_initialize,
    "check": tpu_enable_check_id_node,
    "uncheck": tpu_disable_check_id_node,
}
"""Steps without arguments."""
NAMES = {name: row.name for name, row in PLAIN.items()}
NODES = {"set": "tpu_set_id_node", "set_views": "tpu_set_parallel_id_node"}
CALLS = {
    "tiu": Call.of("tpu_bdc_cpy", dst_addr=4096, src_addr=0, shape=SHAPE, dst_stride=None, src_stride=None, dtype=5),
    "gdma": Call.of("tpu_gdma_cpy_S2L", dst_addr=0, src_addr=DDR, shape=SHAPE, dst_stride=None, src_stride=None, dtype=5),
}


@dataclass(frozen=True)
class Outcome:
    """What a sequence gives: the numbers (own, awaited) of both streams, or that its last step is refused."""

    steps: list[Step]
    tiu: Numbers
    gdma: Numbers
    refused: bool


def run_step(step: Step) -> None:
    """Do a step in the recording."""
    name, *nodes = step
    found = [IdNode(tiu, gdma, bool(parallel)) for tiu, gdma, parallel in nodes]
    match name:
        case "tiu":
            tpu_bdc_cpy(4096, 0, SHAPE, None, None, f32)
        case "gdma":
            tpu_gdma_cpy_S2L(0, DDR, SHAPE, None, None, f32)
        case "set":
            tpu_set_id_node(found[0])
        case "set_views":
            tpu_set_parallel_id_node(found[0], found[1])
        case _:
            PLAIN[name]()


def replay(steps: Iterable[Step]) -> tuple[Program, bool]:
    """The recording of the steps, and whether the last one was refused."""
    with recording(BM1684X) as program:
        try:
            for step in steps:
                run_step(step)
        except TpuError:
            return program, True
    return program, False


def draw_steps(random: Random) -> list[Step]:
    """A sequence that is legal, but perhaps for its last step."""
    steps: list[Step] = [("initialize",)] if random.random() < 0.2 else []
    nodes = random.random() < 0.5
    with recording(BM1684X) as program:
        for _ in range(random.randrange(1, 25)):
            step = _draw_step(random, program, nodes=nodes)
            steps.append(step)
            try:
                run_step(step)
            except TpuError:
                break
    return steps


def _draw_step(random: Random, program: Program, *, nodes: bool) -> Step:
    choice = random.random()
    if choice < 0.6:
        return (random.choice(["tiu", "gdma"]),)
    if choice < 0.75:
        return ("end" if program.in_parallel else "start",)
    if nodes and choice < 0.9:
        return _draw_nodes(random)
    return (random.choice(["poll", "hau_poll", "check", "uncheck", "start", "end"] if random.random() < 0.3 else ["check", "hau_poll"]),)


def _draw_nodes(random: Random) -> Step:
    """Nodes near the numbers that are due, so that many sequences go on."""
    if random.random() < 0.3:
        tiu, gdma = tpu_get_parallel_id_node()
        return "set_views", _near(random, tiu, engine=0), _near(random, gdma, engine=1)
    return "set", _near(random, tpu_get_id_node(), engine=random.randrange(2))


def _near(random: Random, node: IdNode, *, engine: int) -> Node:
    numbers = [node.tiu, node.gdma]
    changed = 1 - engine if random.random() < 0.8 else engine
    numbers[changed] = random.randrange(numbers[changed] + 2)
    return [*numbers, int(node.parallel if random.random() < 0.9 else not node.parallel)]


# ---------------------------------------------------------------------------- the official library


def official(sequences: Sequence[Sequence[Step]]) -> list[Recorded]:
    """What the library records. Each sequence finds it as it is at first."""
    return run_jobs([Job(calls=[_call(step) for step in steps], reads=[("ddr", 0, 4)]) for steps in sequences], arithmetic=False)


def _call(step: Step) -> Call:
    name, *nodes = step
    if name in CALLS:
        return CALLS[name]
    return Call(NODES[name], tuple(tuple(node) for node in nodes)) if nodes else Call(NAMES[name])


def numbers(stream: bytes, engine: str) -> Numbers:
    """Own and awaited number of each command of a stream."""
    return [[each.id, each.depends] for each in decode(BM1684X, "tiu" if engine == "tiu" else "gdma", stream)]


def stored() -> list[Outcome]:
    """The recorded outcomes."""
    found = cast("list[dict[str, object]]", json.loads(FILE.read_text(encoding="utf-8")))
    return [Outcome(**each) for each in found]  # pyright: ignore[reportArgumentType]


def main() -> None:
    """Record the file anew."""
    sequences = [draw_steps(Random(seed)) for seed in range(RECORDED)]
    outcomes = [
        Outcome(steps, numbers(found.tiu, "tiu"), numbers(found.gdma, "gdma"), found.rejected is not None)
        for steps, found in zip(sequences, official(sequences), strict=True)
    ]
    lines = ",\n".join(json.dumps(asdict(outcome), separators=(",", ":")) for outcome in outcomes)
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
