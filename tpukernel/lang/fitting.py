"""Which change makes a kernel fit into local memory: found by elaborating it with the change.

Tried are keywords that are whole numbers, steps of loops that are written as numbers, smaller data types, fewer copies of buffers, and,
where none of these helps, smaller tensors. What is told was elaborated in full; a change that leads to any error is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, fields, is_dataclass, replace
from io import StringIO
from typing import Final, cast

from tpukernel.chips.chip import Chip
from tpukernel.dtypes import bf16, f16, f32
from tpukernel.errors import TpuError
from tpukernel.lang.allocate import allocate
from tpukernel.lang.expr import Call, Expr, Sum, variables
from tpukernel.lang.ir import KernelIr, Local, Loop, Span, Statement, walk
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.unroll import unroll

__all__ = ["Attempt", "MOST_COMMANDS", "changes_that_fit"]

Made = tuple[KernelIr, Mapping[str, tuple[int, ...]]]
"""A kernel, and the shapes of its parameters."""
MOST_COMMANDS: Final = 20_000
"""Larger kernels are not tried: each attempt unrolls one anew."""
SMALLEST_SHARE: Final = 16
"""Tiles are made no smaller than this part of what they are, which also limits how many commands an attempt has."""


@dataclass(frozen=True)
class Attempt:
    """A kernel that does not fit, and the means to trace it with other values.

    Attributes:
        ir: its intermediate representation.
        shapes: shapes of its parameters.
        chip: the chip.
        elaborate: elaborates a representation in full.
        specs: the specs of the inputs by name; empty where the kernel cannot be traced anew.
        keywords: the values of its keywords.
        retrace: the kernel for other specs of the inputs and other keywords, with the shapes of all parameters.
    """

    ir: KernelIr
    shapes: Mapping[str, tuple[int, ...]]
    chip: Chip
    elaborate: Callable[[KernelIr, Mapping[str, tuple[int, ...]]], object]
    specs: Mapping[str, TensorSpec]
    keywords: Mapping[str, object]
    retrace: Callable[[Mapping[str, TensorSpec], Mapping[str, object]], Made] | None = None

    def fits(self, ir: KernelIr, shapes: Mapping[str, tuple[int, ...]] | None = None) -> bool:
        """Whether the buffers of a kernel have room; other mistakes are not looked for."""
        try:
            allocate(unroll(ir, shapes or self.shapes, self.chip), self.chip)
        except TpuError:
            return False
        return True

    def works(self, ir: KernelIr, shapes: Mapping[str, tuple[int, ...]] | None = None) -> bool:
        """Whether a kernel can be elaborated."""
        try:
            self.elaborate(ir, shapes or self.shapes)
        except TpuError:
            return False
        return True

    def traced(self, specs: Mapping[str, TensorSpec], keywords: Mapping[str, object]) -> Made | None:
        """The kernel for other specs or keywords; None where it cannot be."""
        if self.retrace is None:
            return None
        try:
            return self.retrace(specs, keywords)
        except (TpuError, ArithmeticError, ValueError, TypeError, LookupError):  # the author's function, with values that it may not expect
            return None


def changes_that_fit(attempt: Attempt) -> list[str]:
    """Changes each of which makes the kernel fit, in words, the one that costs least first."""
    with redirect_stdout(StringIO()):  # attempts are not the author's: what the kernel prints was printed already
        tiles = [*_keywords(attempt)]
        tiles += [] if tiles else [*_steps(attempt)]
        found = [*tiles, *_dtypes(attempt), *_buffers(attempt)]
        return found or [*_sizes(attempt)]


def _largest(below: int, fits: Callable[[int], bool]) -> int | None:
    """The largest size under one that does not fit, in steps of its largest power of two up to 64; None where none fits."""
    unit = min(below & -below, 64)
    low, high = max(-(-below // SMALLEST_SHARE // unit), 1), below // unit - 1
    if high < low or not fits(low * unit):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle * unit) else (low, middle - 1)
    return low * unit


# ---------------------------------------------------------------------------- tiles


def _keywords(attempt: Attempt) -> Iterator[str]:
    for name, value in attempt.keywords.items():
        if type(value) is not int or value < 2:
            continue

        def traced(size: int, name: str = name) -> Made | None:
            return attempt.traced(attempt.specs, {**attempt.keywords, name: size})

        found = _largest(value, lambda size: (made := traced(size)) is not None and attempt.fits(*made))
        made = None if found is None else traced(found)
        if made is not None and attempt.works(*made):
            yield f"{name}={found} instead of {value}"


def _steps(attempt: Attempt) -> Iterator[str]:
    """Steps that the author wrote as numbers. One that may also be a number of lanes has two meanings, and is left alone."""
    seen: set[int] = set()
    for loop in walk(attempt.ir.body):
        if not isinstance(loop, Loop) or not isinstance(loop.step, int) or loop.step in seen or loop.step <= attempt.chip.lanes:
            continue
        seen.add(loop.step)
        old = loop.step
        found = _largest(old, lambda size, old=old: attempt.fits(_with_size(attempt.ir, old, size)))
        if found is not None and attempt.works(_with_size(attempt.ir, old, found)):
            place = "" if loop.position is None else f" (loop at {loop.position})"
            yield f"{found} instead of {old} as the step of {loop.var}{place}"


def _with_size(ir: KernelIr, old: int, new: int) -> KernelIr:
    """The kernel with another number for the size of a tile, wherever it stands for a size."""
    return replace(ir, body=tuple(cast("Statement", _replaced(each, old, new)) for each in ir.body))


def _replaced(value: object, old: int, new: int) -> object:
    match value:
        case int() if type(value) is int and value == old:
            return new
        case tuple():
            return tuple(_replaced(each, old, new) for each in cast("tuple[object, ...]", value))
        case Loop():
            body = tuple(cast("Statement", _replaced(each, old, new)) for each in value.body)
            return replace(value, step=cast("Expr", _replaced(value.step, old, new)), body=body)
        case Local():
            return replace(value, shape=cast("tuple[Expr, ...]", _replaced(value.shape, old, new)))
        case Span():
            return replace(value, size=cast("Expr", _replaced(value.size, old, new)))
        case Sum() | Call() if not set(variables(value)):
            return value
        case _ if is_dataclass(value) and not isinstance(value, type):
            changed = {each.name: getattr(value, each.name) for each in fields(value)}
            return type(value)(**{name: part if name == "position" else _replaced(part, old, new) for name, part in changed.items()})
        case _:
            return value


# ---------------------------------------------------------------------------- data types, copies, tensors


def _dtypes(attempt: Attempt) -> Iterator[str]:
    if f32 not in {spec.dtype for spec in attempt.specs.values()}:
        return
    working: list[str] = []
    for dtype in (f16, bf16):
        specs = {name: replace(spec, dtype=dtype) if spec.dtype == f32 else spec for name, spec in attempt.specs.items()}
        made = attempt.traced(specs, attempt.keywords)
        if made is not None and attempt.fits(*made) and attempt.works(*made):
            working.append(dtype.name)
    if working:
        yield f"tensors of {' or '.join(working)} instead of f32"


def _buffers(attempt: Attempt) -> Iterator[str]:
    """Fewer copies in the pipelines."""
    most = max((loop.buffers for loop in walk(attempt.ir.body) if isinstance(loop, Loop)), default=1)
    for count in range(most - 1, 0, -1):
        ir = replace(attempt.ir, body=_with_buffers(attempt.ir.body, count))
        if attempt.fits(ir) and attempt.works(ir):
            yield f"buffers={count} instead of {most}" + (", without overlap" if count == 1 else "")
            return


def _with_buffers(body: Sequence[Statement], count: int) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for each in body:
        inner = getattr(each, "body", None)
        changed = each if inner is None else replace(cast("Loop", each), body=_with_buffers(inner, count))
        found.append(replace(changed, buffers=min(changed.buffers, count)) if isinstance(changed, Loop) else changed)
    return tuple(found)


def _sizes(attempt: Attempt) -> Iterator[str]:
    """Smaller tensors: how large a piece of a dimension may be that a loop takes; of the dimension that has to be cut least."""
    first = next(iter(attempt.specs.values()), None)
    pieces: list[tuple[float, int, str]] = []
    for axis, size in enumerate(() if first is None else first.shape):

        def traced(new: int, axis: int = axis, size: int = size) -> Made | None:
            specs = {name: _with_axis(spec, axis, size, new) for name, spec in attempt.specs.items()}
            return attempt.traced(specs, attempt.keywords)

        found = _largest(size, lambda new: (made := traced(new)) is not None and attempt.fits(*made)) if size > 1 else None
        made = None if found is None else traced(found)
        if found is not None and made is not None and attempt.works(*made):
            pieces.append((found / size, axis, f"pieces of {found} of the {size} elements of dimension {axis}, in a loop with k.range"))
    if pieces:
        yield max(pieces)[2]


def _with_axis(spec: TensorSpec, axis: int, old: int, new: int) -> TensorSpec:
    if axis >= len(spec.shape) or spec.shape[axis] != old:
        return spec
    return replace(spec, shape=(*spec.shape[:axis], new, *spec.shape[axis + 1 :]))
