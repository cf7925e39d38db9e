"""Running a kernel on both execution engines, with all checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.chip import Chip, chip_of
from tpukernel.dtypes import dtype_of
from tpukernel.lang.errors import KernelError
from tpukernel.lang.usage import raise_first
from tpukernel.sim.machine import ExecutionEngine
from tpukernel.testing.errors import EngineDifferenceError
from tpukernel.testing.record import Run, remember
from tpukernel.testing.settings import current

if TYPE_CHECKING:
    from tpukernel.lang.kernel import Kernel

__all__ = ["run"]

Array = NDArray[np.generic]
Result = NDArray[np.number]


def run(
    kernel: Kernel,
    *arrays: Array,
    chip: Chip | str | None = None,
    engines: Sequence[ExecutionEngine] | None = None,
    **keywords: object,
) -> Result:
    """Run a kernel as a test should: on every execution engine, with all checks, requiring the same bits of all of them.

    Args:
        kernel: the kernel.
        arrays: its inputs, in order; they stay as they are.
        chip: the chip or its name; by default that of the test's marker `tpu`, or BM1684X.
        engines: what executes it, the first one with the checks; by default the interpreter and native execution.
        keywords: those of the kernel.

    Returns:
        What a call of the kernel returns: the output, or a tuple of all of them.

    Raises:
        EngineDifferenceError: two engines gave different bits.
        KernelError, CheckError: the kernel has a mistake; also a result that nobody uses, which a plain call does not mind.
    """
    chosen = tuple(current().engines if engines is None else engines)
    if "jit" in chosen:
        import tpukernel.sim.jit.run  # noqa: F401  # pyright: ignore[reportUnusedImport]  # once loaded, short programs run natively, too
    record = Run(kernel, tuple(array.copy() for array in arrays), dict(keywords), chip_of(chip or current().chip).name, chosen)
    remember(record)
    try:
        outputs = _on_all(record)
    except Exception as error:
        record.error = error
        raise
    record.outputs = outputs
    found = tuple(outputs.values())
    return cast("Result", found[0] if len(found) == 1 else found)


def _on_all(record: Run) -> Mapping[str, Array]:
    first: Mapping[str, Array] = {}
    for number, engine in enumerate(record.engines):
        given = tuple(array.copy() for array in record.arrays)
        found = record.kernel.run(*given, chip=record.chip, engine=engine, check=number == 0, numerics="exact", **record.keywords)
        for name, before, after in zip(record.kernel.signature.inputs, record.arrays, given, strict=True):
            _require_same(f"input {name}", "the caller", before, engine, after)
        if number == 0:
            first = found
            raise_first(_mistakes(record))
        for name, array in found.items():
            _require_same(f"output {name}", record.engines[0], first[name], engine, array)
    return first


def _mistakes(record: Run) -> Sequence[KernelError]:
    """What is no mistake for the result, but one of the author's: results that nobody uses."""
    given = dict(zip(record.kernel.signature.inputs, record.arrays, strict=True))
    shapes, dtypes = {name: array.shape for name, array in given.items()}, {name: dtype_of(array.dtype) for name, array in given.items()}
    return record.kernel.elaborate(shapes, dtypes, record.chip, **record.keywords).mistakes


def _require_same(what: str, first: str, one: Array, second: str, other: Array) -> None:
    left, right = (np.ascontiguousarray(array).reshape(-1).view(f"u{array.dtype.itemsize}") for array in (one, other))
    wrong = np.flatnonzero(left != right)
    if not wrong.size:
        return
    place = int(wrong[0])
    index = ", ".join(str(int(each)) for each in np.unravel_index(place, one.shape))
    digits = 2 * one.dtype.itemsize
    told = [
        f"{name} {array.reshape(-1)[place]} (0x{bits[place]:0{digits}x})"
        for name, array, bits in ((first, one, left), (second, other, right))
    ]
    raise EngineDifferenceError(
        f"{wrong.size:,} of {left.size:,} elements of {what} have other bits, the first at [{index}]: {', '.join(told)}",
        help="this is a mistake of tpukernel, not of the kernel: please report it, with the script that repeats it",
    )
