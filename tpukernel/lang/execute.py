"""Running an elaborated kernel on a simulated chip."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.placement import Axis, Placement
from tpukernel.lang.elaborate import Elaborated
from tpukernel.lang.errors import UnwrittenBufferError, UnwrittenOutputError
from tpukernel.lang.ir import Param
from tpukernel.lang.usage import raise_first
from tpukernel.sim.checks import CheckError
from tpukernel.sim.checks.errors import RaceError, UninitialisedReadError
from tpukernel.sim.choice import Numerics
from tpukernel.sim.machine import ExecutionEngine, Machine
from tpukernel.source import Position

__all__ = ["Array", "Result", "execute", "loaded", "run"]

Array = NDArray[np.generic]
Result = NDArray[np.number]
"""An output. (Type checkers take bf16, too, for a number.)"""


def execute(
    found: Elaborated,
    given: Mapping[str, Array],
    engine: ExecutionEngine,
    *,
    check: bool,
    numerics: Numerics = "exact",
    position: Position | None = None,
) -> dict[str, Result]:
    """The outputs of a kernel by name.

    Args:
        found: the kernel for the shapes of the arrays.
        given: its inputs by name, contiguous, of the types that it was elaborated for.
        engine, check: as of `Machine.run`.
        numerics: as of `Machine`.
        position: where the kernel was written.

    Raises:
        CheckError: as `run`.
        UnwrittenBufferError: as `run`.
        UnwrittenOutputError: elements of an output were left unwritten.
    """
    machine = loaded(found, given, numerics)
    run(machine, found, engine, check=check)
    if check:
        for param in _outputs(found):
            _need_written(machine, found, param, position)
    return {param.name: _read(machine, found, param) for param in _outputs(found)}


def loaded(found: Elaborated, given: Mapping[str, Array], numerics: Numerics = "exact") -> Machine:
    """A new chip with the inputs of a kernel in its DDR."""
    machine = Machine(found.program.chip, numerics=numerics)
    for name, array in given.items():
        machine.write("ddr", _offset(found, name), array)
    return machine


def run(machine: Machine, found: Elaborated, engine: ExecutionEngine, *, check: bool) -> None:
    """Run the program of a kernel.

    Raises:
        CheckError: the program has a mistake; it points at the lines of the kernel.
        UnwrittenBufferError: an operation reads a buffer to which nobody wrote.
    """
    try:
        if check:
            raise_first([each for each in found.mistakes if isinstance(each, UnwrittenBufferError)])
        machine.run(found.program, engine, check)
    except CheckError as error:
        places = [found.where(one, operand) for one, operand in zip(error.instructions, error.operands, strict=True)]
        error.where = "\n  and ".join(dict.fromkeys(place for place in places if place)) or error.where
        if isinstance(error, RaceError):
            error.help = "keep what the first operation returns, and give it to the other one as after="
        if isinstance(error, UninitialisedReadError):
            error.help = "load or compute all of it first"
        raise


def _outputs(found: Elaborated) -> list[Param]:
    return [param for param in found.kernel.params if param.direction != "in"]


def _offset(found: Elaborated, name: str) -> int:
    return found.systems[name].address - found.program.chip.regions["ddr"].base


def _read(machine: Machine, found: Elaborated, param: Param) -> Result:
    place = found.systems[param.name]
    data = machine.read("ddr", _offset(found, param.name), place.end - place.address)
    return np.frombuffer(data, param.dtype.numpy).reshape(place.shape).copy()


def _need_written(machine: Machine, found: Elaborated, param: Param, position: Position | None) -> None:
    place = found.systems[param.name]
    elements = (place.end - place.address) // place.itemsize
    whole = Placement(_offset(found, param.name), place.itemsize, (Axis(elements, place.itemsize),))
    missing = machine.memory.written.missing("ddr", whole)
    if missing is None:
        return
    first = np.unravel_index((int(missing.min()) - whole.base) // place.itemsize, place.shape)
    index = ", ".join(str(int(each)) for each in first)
    raise UnwrittenOutputError(
        f"kernel {found.kernel.name} left {missing.size} of {elements} elements of {param.name} unwritten, the first at [{index}]",
        position=position,
        help="store every piece, the last ones too",
    )
