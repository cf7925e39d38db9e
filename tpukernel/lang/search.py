"""A kernel for many shapes, data types and keywords: what each takes, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Literal, cast

from tpukernel.chips.chip import Chip
from tpukernel.cost import Mode
from tpukernel.dtypes import Dtype
from tpukernel.errors import TpuError
from tpukernel.lang.bench import Bench, bench
from tpukernel.lang.errors import CallError, SearchSpaceError
from tpukernel.lang.signature import Dtypes, Shapes
from tpukernel.lang.views.plot import Series, plot
from tpukernel.markup import element, html_table, text_table

if TYPE_CHECKING:
    from tpukernel.lang.kernel import Kernel

__all__ = ["Figure", "Point", "Sweep", "SweepRow", "combinations", "points_of", "row_of", "sweep", "told"]

Figure = Literal["cycles", "tiu", "gdma", "overlap", "of_roof", "microseconds", "lane_bytes", "seconds"]
"""What a sweep can plot: the attributes of `Bench`."""

_HEAD = ("cycles", "tiu", "gdma", "overlap", "of roof", "lane bytes", "ms on the simulator")


@dataclass(frozen=True)
class Point:
    """What one row of a sweep is measured for. `axes` are the values that vary, by the name of the axis."""

    shapes: Shapes
    dtypes: Dtypes
    keywords: Mapping[str, object]
    axes: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class SweepRow:
    """A point of a sweep with what was measured, or with the error that the kernel gives for it."""

    point: Point
    bench: Bench | None
    error: TpuError | None = None


@dataclass(frozen=True)
class Sweep:
    """The rows of a sweep. `str` shows them as a table; those that failed say why.

    Attributes:
        kernel: name of the kernel.
        rows: one for each combination, the last axis running fastest.
    """

    kernel: str
    rows: tuple[SweepRow, ...]

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of what varies: tensors whose shape does, `dtype`, keywords."""
        return tuple(self.rows[0].point.axes)

    @property
    def best(self) -> SweepRow:
        """The row with the fewest cycles.

        Raises:
            SearchSpaceError: every row failed.
        """
        done = [row for row in self.rows if row.bench is not None]
        if not done:
            raise SearchSpaceError(f"no row of the sweep of {self.kernel} worked", help=f"the first error is {self.rows[0].error}")
        return min(done, key=lambda row: row.bench.cycles if row.bench is not None else 0)

    def __str__(self) -> str:
        table = self._table()
        right = tuple(range(len(self.axes), len(table[0]) - 1))
        return "\n".join([*text_table(table, right), *self._faults()])

    def _table(self) -> list[tuple[str, ...]]:
        timed = any(row.bench is not None and row.bench.seconds is not None for row in self.rows)
        head = _HEAD if timed else _HEAD[:-1]
        return [(*self.axes, *head, ""), *(self._line(row, len(head)) for row in self.rows)]

    def _line(self, row: SweepRow, count: int) -> tuple[str, ...]:
        axes = tuple(told(value) for value in row.point.axes.values())
        found = row.bench
        if found is None:
            return (*axes, *[""] * count, row.error.code if row.error is not None else "")
        seconds = "" if found.seconds is None else f"{1e3 * found.seconds:,.3f}"
        shares = (f"{found.overlap:.0%}", f"{found.of_roof:.0%}", f"{found.lane_bytes:,}", seconds)
        return (*axes, f"{found.cycles:,}", f"{found.tiu:,}", f"{found.gdma:,}", *shares[: count - 3], "")

    def _faults(self) -> Iterator[str]:
        errors = {row.error.code: row.error for row in reversed(self.rows) if row.error is not None}
        for code, error in sorted(errors.items()):
            yield f"{code}: {error.message.splitlines()[0].rstrip(':')}"

    def json(self) -> list[dict[str, object]]:
        """The rows as data for `json.dumps`."""
        return [
            {
                "axes": {name: value if isinstance(value, int | float | str) else told(value) for name, value in row.point.axes.items()},
                "bench": None if row.bench is None else row.bench.json(),
                "error": None if row.error is None else str(row.error),
            }
            for row in self.rows
        ]

    def plot(self, x: str | None = None, y: Figure = "cycles", *, width: int = 640, height: int = 360) -> str:
        """A picture (SVG): a figure over one axis, a line for each combination of the others. Crosses at the bottom are rows that failed.

        Args:
            x: name of the axis to the right; by default the last one.
            y: what is shown.
            width, height: size in pixels.

        Raises:
            SearchSpaceError: nothing varies, or there is no such axis.
        """
        axis = x or (self.axes[-1] if self.axes else "")
        if axis not in self.axes:
            raise SearchSpaceError(
                f"the sweep of {self.kernel} has no axis {axis!r}", help=f"what varies in it: {', '.join(self.axes) or 'nothing'}"
            )
        lines: dict[str, Series] = {}
        for row in self.rows:
            name = ", ".join(f"{other} {told(value)}" for other, value in row.point.axes.items() if other != axis)
            value = None if row.bench is None else cast("float | None", getattr(row.bench, y))
            lines.setdefault(name, []).append((row.point.axes[axis], value))
        return plot(lines, told, x=axis, y=y, title=self.kernel, width=width, height=height)

    def _repr_html_(self) -> str:
        table = self._table()
        picture = self.plot() if self.axes and any(row.bench is not None for row in self.rows) else ""
        return element("div", picture, html_table(table, tuple(range(len(self.axes), len(table[0]) - 1))))


# ---------------------------------------------------------------------------- what to measure


def combinations(axes: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    """All combinations of the values, the last name running fastest.

    Raises:
        SearchSpaceError: an axis has no value.
    """
    empty = [name for name, values in axes.items() if not values]
    if empty:
        raise SearchSpaceError(f"there is no value for {', '.join(empty)}", help="give a list of one value or more")
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def points_of(kernel: Kernel, shapes: object, dtypes: object, keywords: Mapping[str, object]) -> list[Point]:
    """The combinations of a sweep; arguments and errors as of `sweep`."""
    given = [_shapes(kernel, each) for each in ([shapes] if _is_shape(shapes) else _values(shapes))]
    types, lists = cast("list[Dtypes]", _values(dtypes)), {name: _values(value) for name, value in keywords.items()}
    varying = _varying(given)
    found: list[Point] = []
    for outer in combinations({"shapes": given, "dtypes": types}):
        some, dtype = cast("Shapes", outer["shapes"]), cast("Dtypes", outer["dtypes"])
        for values in combinations(lists):
            axes: dict[str, object] = {axis: tuple(some[name]) if name in some else None for axis, name in varying.items()}
            axes |= {"dtype": dtype} if len(types) > 1 else {}
            axes |= {name: value for name, value in values.items() if len(lists[name]) > 1}
            found.append(Point(some, dtype, values, axes))
    return found


def _values(given: object) -> list[object]:
    """A list is an axis, everything else one value."""
    return cast("list[object]", given) if isinstance(given, list) else [given]


def _is_shape(given: object) -> bool:
    """Whether a list is one shape and no list of shapes."""
    return isinstance(given, list) and given != [] and all(isinstance(size, int) for size in cast("list[object]", given))


def _shapes(kernel: Kernel, given: object) -> Shapes:
    if isinstance(given, Mapping):
        return cast("Shapes", given)
    shape = tuple(cast("Sequence[int]", given))
    return dict.fromkeys(kernel.signature.inputs, shape)


def _varying(shapes: Sequence[Shapes]) -> Mapping[str, str]:
    """The axes that are shapes, each with the tensor that shows it: one for each tensor whose shape varies, or one if all are alike."""
    names = dict.fromkeys(name for each in shapes for name in each)
    columns = {name: tuple(tuple(each[name]) if name in each else None for each in shapes) for name in names}
    varying = {name: name for name, column in columns.items() if len(set(column)) > 1}
    alike = len(varying) > 1 and len({columns[name] for name in varying}) == 1
    return {"shape": next(iter(varying))} if alike else varying


def told(value: object) -> str:
    """A value of an axis as text."""
    if isinstance(value, tuple):
        return "x".join(map(str, cast("tuple[object, ...]", value)))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {told(each)}" for name, each in cast("Mapping[str, object]", value).items())
    return value.name if isinstance(value, Dtype) else str(value)


# ---------------------------------------------------------------------------- measuring


def row_of(kernel: Kernel, point: Point, chip: Chip | str, *, mode: Mode = "peer", simulate: int = 0) -> SweepRow:
    """Measure one point. What the kernel or the chip refuses is in the row; a call that cannot be right is raised.

    Raises:
        CallError: the shapes or keywords are not those of the kernel.
    """
    try:
        return SweepRow(point, bench(kernel, point.shapes, point.dtypes, chip, mode=mode, simulate=simulate, **point.keywords))
    except CallError:
        raise
    except TpuError as error:
        return SweepRow(point, None, error)


def sweep(
    kernel: Kernel,
    shapes: Sequence[Shapes | Sequence[int]] | Shapes | Sequence[int],
    dtypes: Sequence[Dtypes] | Dtypes = None,
    chip: Chip | str = "BM1684X",
    *,
    mode: Mode = "peer",
    simulate: int = 0,
    **keywords: object,
) -> Sweep:
    """What a kernel takes for every combination of shapes, data types and keywords.

    Args:
        kernel: the kernel.
        shapes: a list of shapes, or one. Each is a mapping from the names of tensors, or a tuple that all inputs have.
        dtypes: a list of data types, or one; each as of `Kernel.elaborate`.
        chip: the chip or its name.
        mode: mode of the cost model.
        simulate: runs on the simulator for each row, of which the best time counts; 0 for none.
        keywords: those of the kernel; a list is a list of values to try.

    Raises:
        SearchSpaceError: a list is empty.
        CallError: the shapes or keywords are not those of the kernel. Other errors of a combination are in its row.
    """
    points = points_of(kernel, shapes, dtypes, keywords)
    return Sweep(kernel.signature.name, tuple(row_of(kernel, point, chip, mode=mode, simulate=simulate) for point in points))
