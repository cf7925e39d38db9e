"""The dimensions of a kernel's parameters: numbers, names that a call gives numbers, and expressions of those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tpukernel.lang.errors import CallError
from tpukernel.lang.expr import Var, evaluate, show
from tpukernel.lang.ir import KernelIr

__all__ = ["bound_dimensions", "dimension_names"]


def dimension_names(kernel: KernelIr) -> Iterator[str]:
    """The names that stand alone as a dimension, with repetitions; each gets its number from a shape."""
    for param in kernel.params:
        for size in param.shape:
            if isinstance(size, Var):
                yield size.name


def bound_dimensions(kernel: KernelIr, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The numbers of all names of dimensions, for the shapes of all parameters.

    Raises:
        CallError: a shape is missing, or contradicts what the kernel or another shape says.
    """
    found: dict[str, int] = {}
    for param in kernel.params:
        shape = shapes.get(param.name)
        told = f"{param.name} of kernel {kernel.name}"
        if shape is None:
            raise CallError(f"{told} has no shape", help="give the shapes of all parameters")
        if len(shape) != len(param.shape):
            raise CallError(f"{told} has {len(param.shape)} dimensions, but the shape {shape}", help="give an array of that rank")
        for size, number in zip(param.shape, shape, strict=True):
            if isinstance(size, Var):
                found.setdefault(size.name, number)
    for param in kernel.params:
        for axis, (size, number) in enumerate(zip(param.shape, shapes[param.name], strict=True)):
            wanted = evaluate(size, found)
            if number != wanted:
                told = show(size) if isinstance(size, int) else f"{show(size)} = {wanted}"
                raise CallError(
                    f"dimension {axis} of {param.name} of kernel {kernel.name} is {number}, but has to be {told}",
                    help="give shapes that agree with each other and with the kernel",
                )
    return found
