"""Whole BModels: a call of our runtime, inputs and outputs copied, beside the official C model executing the same commands bare.

The models lie beside the folder of the oracle script (`bench`); without them there are no such rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks._cases import CHIP, DDR_BYTES, numbers
from benchmarks._cmodel import CModel
from benchmarks._results import INTERPRETER, ONE_THREAD, OURS, Row
from benchmarks._timing import Contender, Effort, timed_in_turn
from bmlang.bmodel import load
from bmlang.bmodel.schema import Tensor
from bmlang.bmodel.streams import groups_of
from bmlang.runtime import Runtime
from bmlang.runtime.stage import dtype_of_tensor, shape_of_tensor
from tests.support.oracle import oracle_script
from tpukernel.dtypes import DTYPES
from tpukernel.isa import Program
from tpukernel.isa.instruction import Instruction
from tpukernel.sim.memory import Array, Bytes

__all__ = ["PREFIX", "absent", "model_row", "models"]

PREFIX = "bmodel "
"""Rows of models are named so, and by the file."""

COPYING = "numpy, same copies"
"""Name of a contender: see `_copies`."""

WARM_UP_SECONDS = 0.5


def models() -> list[Path]:
    """The files."""
    return sorted((oracle_script().resolve().parent.parent / "bench").glob("*.bmodel"))


def absent() -> str | None:
    """Why there are no models."""
    return None if models() else "no folder `bench` with BModels beside the folder of the oracle script"


@dataclass(frozen=True)
class _Bare:
    """The commands of a model and what is in DDR before they run, at the addresses for which it was compiled."""

    commands: list[Instruction]
    given: dict[str, Bytes]
    outputs: list[tuple[str, int, int]]


def _offset(address: int) -> int:
    return address - CHIP.regions["ddr"].base


def _inputs(path: Path) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    kinds = {dtype.numpy: dtype for dtype in DTYPES.values()}
    return {
        tensor.name: numbers(rng, shape_of_tensor(tensor), kinds[dtype_of_tensor(tensor)])
        for tensor in load(path).model.net[0].stages[0].input_tensor
    }


def _bare(path: Path, inputs: dict[str, Array]) -> _Bare:
    model = load(path).model
    stage = model.net[0].stages[0]
    commands: list[Instruction] = []
    for place in groups_of(model):
        tiu, gdma = (bytes(binary.data) if binary else b"" for binary in (place.group.binary_bdc, place.group.binary_gdma))
        commands += Program.from_streams(CHIP, tiu=tiu, gdma=gdma)
    given = {f"ddr@{_offset(tensor.device_addr)}": _bytes(inputs[tensor.name]) for tensor in stage.input_tensor}
    if stage.coeff_mem and stage.coeff_mem.binary_coeff:
        given[f"ddr@{_offset(stage.coeff_mem.address)}"] = np.frombuffer(bytes(stage.coeff_mem.binary_coeff.data), np.uint8)
    given["static@0"] = _static()
    return _Bare(commands, given, [_place(tensor) for tensor in stage.output_tensor])


def _bytes(array: Array) -> Bytes:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _static() -> Bytes:
    from tpukernel.chips.static_memory import static_memory

    return static_memory(CHIP)


def _place(tensor: Tensor) -> tuple[str, int, int]:
    size = int(np.prod(shape_of_tensor(tensor))) * dtype_of_tensor(tensor).itemsize
    return "ddr", _offset(tensor.device_addr), size


def model_row(path: Path, effort: Effort, threads: int, cmodels: Mapping[str, CModel], *, interpret: bool) -> Row:
    """Time one model, with C models by the names of these contenders."""
    inputs = _inputs(path)
    net = load(path).model.net[0].name
    many, one = (Runtime(path, engine="jit", ddr_bytes=DDR_BYTES, threads=count, numerics=effort.numerics) for count in (threads, 1))
    contenders: dict[str, Contender] = {OURS: lambda: _call(many, net, inputs), ONE_THREAD: lambda: _call(one, net, inputs)}
    for contender in contenders.values():
        _warm_up(contender, 0.0 if effort.small else WARM_UP_SECONDS)
    contenders |= {COPYING: moves} if (moves := _copies(path.stem, inputs)) else {}
    if interpret:
        slow = Runtime(path, engine="interpreter", ddr_bytes=DDR_BYTES)
        contenders[INTERPRETER] = lambda: _call(slow, net, inputs)
    notes: list[str] = []
    for name, cmodel in cmodels.items():
        bare = _bare(path, inputs)
        cmodel.prepare(bare.commands, bare.given)
        contenders[name] = cmodel.run
        cmodel.run()
        if effort.numerics == "exact":
            notes += _compared(many[net].run(inputs), cmodel, bare)
    return Row(f"{PREFIX}{path.stem}", timed_in_turn(contenders, effort), notes=notes)


def _warm_up(contender: Contender, seconds: float) -> None:
    """Run for that long, after which what repeats is fused."""
    start = perf_counter()
    while perf_counter() - start < seconds:
        contender()


def _copies(stem: str, inputs: dict[str, Array]) -> Contender | None:
    """What an addition or a product of two tensors cannot do without, by numpy: copies of the inputs to DDR, from there to local memory,
    the operation, and copies of its result to DDR and to the caller.
    """
    function = {"add112_f32": np.add, "mul112_f32": np.multiply}.get(stem)
    if function is None:
        return None
    given = list(inputs.values())
    ddr, local = ([np.empty_like(array) for array in given] for _ in range(2))
    found, stored = np.empty_like(given[0]), np.empty_like(given[0])

    def run() -> None:
        for source, there, here in zip(given, ddr, local, strict=True):
            np.copyto(there, source)
            np.copyto(here, there)
        function(*local, out=found)
        np.copyto(stored, found)
        stored.copy()

    return run


def _call(runtime: Runtime, net: str, inputs: dict[str, Array]) -> None:
    runtime[net].run(inputs)


def _compared(outputs: dict[str, Array], cmodel: CModel, bare: _Bare) -> Iterator[str]:
    from hashlib import sha256

    ours = sha256(b"".join(array.tobytes() for array in outputs.values())).hexdigest()
    if ours != cmodel.digest(bare.outputs):
        yield "OUTPUTS DIFFER from those of the official model"
