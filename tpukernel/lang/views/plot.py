"""Lines over an axis, as a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import log2
from typing import cast

from tpukernel.markup import colour, element, svg, text

__all__ = ["Series", "plot"]

Series = list[tuple[object, float | None]]
"""Points of a line: place on the axis and figure; None for what failed."""

_LEFT, _TOP, _FOOT = 84, 24, 40
_CHARACTER = 7
"""Pixels of a character."""
_LOGARITHMIC = 8
"""Numbers whose largest is so many times the smallest are drawn by their logarithms."""


def plot(lines: Mapping[str, Series], label: Callable[[object], str], *, x: str, y: str, title: str, width: int, height: int) -> str:
    """A picture of lines.

    Args:
        lines: points by the name of the line.
        label: a place on the x axis as text.
        x, y: what the axes mean. Numbers lie to scale on the x axis, everything else in order.
        title: what stands above.
        width, height: size in pixels.
    """
    values = list(dict.fromkeys(place for line in lines.values() for place, _ in line))
    figures = [figure for line in lines.values() for _, figure in line if figure is not None]
    top = max(figures, default=0) or 1
    right = width - _CHARACTER * max(max(map(len, lines), default=0) + 3, (len(label(values[-1])) + 1) // 2 + 1)
    places = {value: _LEFT + share * (right - _LEFT) for value, share in zip(values, _shares(values), strict=True)}
    bottom = height - _FOOT

    def up(figure: float) -> float:
        return bottom - figure / top * (bottom - _TOP)

    parts = [element("text", text(f"{title}: {y} over {x}"), x=_LEFT, y=14)]
    parts += [_grid(figure, up(figure), right) for figure in (top * step / 4 for step in range(5))]
    parts += [element("text", text(label(value)), x=f"{place:.1f}", y=bottom + 16, text_anchor="middle") for value, place in places.items()]
    for number, (name, line) in enumerate(lines.items()):
        parts += _line([(places[value], None if figure is None else up(figure)) for value, figure in line], colour(number), bottom)
        if name:
            parts.append(element("text", text(name), x=right + 2 * _CHARACTER, y=_TOP + 14 * (number + 1), fill=colour(number)))
    return svg(width, height, *parts)


def _shares(values: Sequence[object]) -> list[float]:
    """Where each value lies on the axis, 0 to 1."""
    if len(values) == 1:
        return [0.5]
    if not all(isinstance(value, int | float) for value in values):
        return [number / (len(values) - 1) for number in range(len(values))]
    numbers = [float(cast("float", value)) for value in values]
    if min(numbers) > 0 and max(numbers) / min(numbers) >= _LOGARITHMIC:
        numbers = [log2(number) for number in numbers]
    low, high = min(numbers), max(numbers)
    return [(number - low) / (high - low) for number in numbers]


def _grid(figure: float, y: float, right: float) -> str:
    line = element("line", x1=_LEFT, x2=right, y1=f"{y:.1f}", y2=f"{y:.1f}", stroke="currentColor", stroke_opacity=0.2)
    return line + element(
        "text", text(f"{figure:,.4g}" if figure < 10000 else f"{figure:,.0f}"), x=_LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end"
    )


def _line(points: Sequence[tuple[float, float | None]], stroke: str, bottom: float) -> Iterator[str]:
    done = [(x, y) for x, y in points if y is not None]
    if len(done) > 1:
        yield element(
            "polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in sorted(done)), fill="none", stroke=stroke, stroke_width=1.5
        )
    yield from (element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3, fill=stroke) for x, y in done)
    yield from (element("text", "&#215;", x=f"{x:.1f}", y=bottom, text_anchor="middle", fill=stroke) for x, y in points if y is None)
