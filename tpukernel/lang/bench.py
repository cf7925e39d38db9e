"""How long a kernel takes: in cycles of the chip, by the cost model, and on this computer, on the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from tpukernel.chips.chip import Chip
from tpukernel.cost import Mode
from tpukernel.dtypes import Dtype
from tpukernel.lang.elaborate import Elaborated
from tpukernel.lang.execute import Array, loaded, run
from tpukernel.lang.signature import Dtypes, Shapes, TensorSpec
from tpukernel.lang.views.memory_map import MemoryMap

if TYPE_CHECKING:
    from tpukernel.lang.kernel import Kernel

__all__ = ["Bench", "bench", "random_array", "random_inputs"]


@dataclass(frozen=True)
class Bench:
    """What a kernel takes for concrete shapes. `str` shows it.

    Attributes:
        kernel, chip: their names.
        tensors: specs of all tensors by name, in order.
        keywords: the other arguments by name, as text.
        mode: mode of the cost model.
        cycles: cycles until everything is finished, modelled.
        tiu, gdma: cycles in which each engine works.
        commands: commands of both engines.
        overlap: share of the time of the less busy engine during which the other one works too, 0 to 1.
        of_roof: cycles that no program beats (`Figures.roof`, inputs and outputs moved once) over `cycles`, 0 to 1.
        bound: what the roof is made of: multiply-accumulates or memory.
        microseconds: `cycles` at the chip's clock.
        lane_bytes: most bytes of a lane that are in use at one time.
        seconds: best time of a run on the simulator (native execution, without checks); None when it was not asked for.
    """

    kernel: str
    chip: str
    tensors: tuple[tuple[str, TensorSpec], ...]
    keywords: tuple[tuple[str, str], ...]
    mode: Mode
    cycles: int
    tiu: int
    gdma: int
    commands: int
    overlap: float
    of_roof: float
    bound: str
    microseconds: float
    lane_bytes: int
    seconds: float | None = None

    def __str__(self) -> str:
        tensors = ", ".join(f"{name}: {spec.dtype.name}[{', '.join(map(str, spec.shape))}]" for name, spec in self.tensors)
        keywords = "".join(f"; {name} = {value}" for name, value in self.keywords)
        bound = "multiply-accumulates" if self.bound == "mac" else "memory"
        lines = [
            f"{self.kernel}({tensors}{keywords}) on the {self.chip}",
            f"modelled:  {self.cycles:,} cycles, {self.microseconds:,.3f} us",
            f"engines:   tiu {self.tiu:,} cycles, gdma {self.gdma:,}; overlap {self.overlap:.0%}",
            f"roof:      {self.of_roof:.0%} of what {bound} would allow",
            f"memory:    {self.lane_bytes:,} bytes of a lane at most",
        ]
        if self.seconds is not None:
            lines.append(f"simulator: {1e3 * self.seconds:,.3f} ms on this computer, {self.commands:,} commands")
        return "\n".join(lines)

    def json(self) -> dict[str, object]:
        """The same as data for `json.dumps`."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("tensors", "keywords")}
        tensors = {name: {"shape": list(spec.shape), "dtype": spec.dtype.name} for name, spec in self.tensors}
        return {"tensors": tensors, "keywords": dict(self.keywords), **plain}


def bench(
    kernel: Kernel, shapes: Shapes, dtypes: Dtypes, chip: Chip | str, *, mode: Mode = "peer", simulate: int = 3, **keywords: object
) -> Bench:
    """What a kernel takes (see `Kernel.bench`)."""
    found = kernel.elaborate(shapes, dtypes, chip, **keywords)
    timeline = found.timeline(mode)
    figures = timeline.figures
    return Bench(
        kernel=found.kernel.name,
        chip=found.program.chip.name,
        tensors=tuple((param.name, TensorSpec(found.systems[param.name].shape, param.dtype)) for param in found.kernel.params),
        keywords=found.kernel.attributes,
        mode=mode,
        cycles=timeline.cycles,
        tiu=figures.busy["tiu"],
        gdma=figures.busy["gdma"],
        commands=sum(figures.commands.values()),
        overlap=figures.overlap,
        of_roof=figures.of_roof,
        bound=figures.bound,
        microseconds=timeline.microseconds,
        lane_bytes=MemoryMap.of(found).peak,
        seconds=_simulated(found, simulate) if simulate else None,
    )


def _simulated(found: Elaborated, rounds: int) -> float:
    """Best time of so many runs, behind one that checks the program and makes the machine code."""
    machine = loaded(found, random_inputs(found, seed=0))
    run(machine, found, "jit", check=True)
    times: list[float] = []
    for _ in range(rounds):
        begin = perf_counter()
        run(machine, found, "jit", check=False)
        times.append(perf_counter() - begin)
    return min(times)


def random_inputs(found: Elaborated, seed: int) -> dict[str, Array]:
    """Arrays for the inputs of a kernel by name (see `random_array`)."""
    generator = np.random.default_rng(seed)
    inputs = [param for param in found.kernel.params if param.direction != "out"]
    return {param.name: random_array(found.systems[param.name].shape, param.dtype, generator) for param in inputs}


def random_array(shape: tuple[int, ...], dtype: Dtype, generator: np.random.Generator) -> Array:
    """Floats of the standard normal distribution; integers of 8 bits from their whole range, larger ones from -1000 (or 0) to 1000."""
    if dtype.numpy.kind not in "iu":
        return generator.standard_normal(shape, np.float32).astype(dtype.numpy)
    limits = np.iinfo(dtype.numpy)
    low, high = (limits.min, limits.max) if dtype.itemsize == 1 else (max(limits.min, -1000), 1000)
    return generator.integers(low, high, shape, dtype=dtype.numpy, endpoint=True)
