"""How long a command stream takes to decode, to re-encode and to be built from operands: `python -m benchmarks.codec [--smoke] [--json]`.

The stream repeats one loop of a tiled elementwise kernel (two loads, two operations, a store) with changing addresses until it has 10,000
commands.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from tpukernel import BM1684X, f32
from tpukernel.chips.chip import Engine
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa import Arith, ArithOp, DmaTensor, Program, decode, encode

SHAPE = (1, 64, 16, 16)
ENGINES: tuple[Engine, Engine] = ("tiu", "gdma")


def build(commands: int) -> Program:
    """A program of about that many commands."""
    program = Program(BM1684X)
    ddr, size = BM1684X.regions["ddr"].base, 64 * 256 * 4
    for step in range(commands // 5):
        a, b, t, y = (LocalTensor(0x400 * (4 * (step % 8) + place), SHAPE, f32) for place in range(4))
        for tile in (a, b):
            program.append(DmaTensor(dst=tile, src=SystemTensor(ddr + step * size, SHAPE, f32)))
        program.append(Arith(op=ArithOp.MUL, dst=t, src0=a, src1=Constant.of(2.0, f32)))
        program.append(Arith(op=ArithOp.ADD, dst=y, src0=t, src1=b))
        program.append(DmaTensor(dst=SystemTensor(ddr + (step + commands) * size, SHAPE, f32), src=y))
    return program.end()


def best(action: Callable[[], object], repeats: int) -> float:
    """Shortest time of several runs in milliseconds."""
    times: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append((time.perf_counter() - start) * 1e3)
    return min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a short run that only shows that it works")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    commands, repeats = (500, 1) if arguments.smoke else (10_000, 7)
    streams = build(commands).streams()
    found = {
        "commands": float(len(build(commands))),
        "decode ms": best(lambda: [decode(BM1684X, engine, streams[engine]) for engine in ENGINES], repeats),
        "decode and encode ms": best(lambda: [encode(BM1684X, decode(BM1684X, engine, streams[engine])) for engine in ENGINES], repeats),
        "build and encode ms": best(lambda: build(commands).streams(), max(1, repeats // 3)),
    }
    print(json.dumps(found, indent=1) if arguments.json else "\n".join(f"{name:<22} {value:10.1f}" for name, value in found.items()))


if __name__ == "__main__":
    main()
