"""Tables as text, and HTML and SVG as strings: what the views of kernels, programs and timelines are made of.

Everything is complete in itself: no script, no style sheet, nothing from the net. Colours of text and axes are those of the page around
it, so that dark pages work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from html import escape

__all__ = ["FONT", "colour", "element", "html_table", "svg", "text", "text_table"]

FONT = "font-family:ui-monospace,monospace;font-size:11px"
"""Style of the text in pictures."""

# M. Okabe and K. Ito, "Color Universal Design" (2008): colours that people with any kind of colour vision tell apart.
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")


def colour(number: int) -> str:
    """A colour for the thing with this number; they repeat after 8."""
    return _PALETTE[number % len(_PALETTE)]


# ---------------------------------------------------------------------------- text


def text_table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> Iterator[str]:
    """The lines of a table, columns two spaces apart.

    Args:
        rows: the cells; all rows have as many.
        right: numbers of the columns that are aligned to the right.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        sized = enumerate(zip(row, widths, strict=True))
        yield "  ".join(cell.rjust(width) if column in right else cell.ljust(width) for column, (cell, width) in sized).rstrip()


# ---------------------------------------------------------------------------- HTML and SVG


def element(tag: str, *content: str, **attributes: object) -> str:
    """An element of HTML or SVG.

    Args:
        tag: its name.
        content: markup that it holds; `text` makes some of plain text.
        attributes: its attributes, whose values are escaped. `_` stands for `-`; one at the end is dropped (`class_`).
    """
    told = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for name, value in attributes.items())
    return f"<{tag}{told}>{''.join(content)}</{tag}>" if content else f"<{tag}{told}/>"


def text(plain: str) -> str:
    """Plain text as markup."""
    return escape(plain, quote=False)


def svg(width: float, height: float, *content: str) -> str:
    """A picture of this size in pixels; in a narrower place it shrinks."""
    size = {"width": f"{width:g}", "height": f"{height:g}", "viewBox": f"0 0 {width:g} {height:g}"}
    style = f"max-width:100%;height:auto;{FONT}"
    return element("svg", *content, xmlns="http://www.w3.org/2000/svg", **size, style=style, fill="currentColor")


def html_table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """A table of plain text, the first row being its head; `right` as for `text_table`."""

    def line(row: Sequence[str], tag: str) -> str:
        sides = ("right" if column in right else "left" for column in range(len(row)))
        cells = (element(tag, text(cell) or "&#160;", style=f"text-align:{side}") for cell, side in zip(row, sides, strict=True))
        return element("tr", *cells)

    head, *others = rows
    return element("table", element("thead", line(head, "th")), element("tbody", "", *(line(row, "td") for row in others)))
