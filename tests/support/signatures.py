"""Parameter names and kinds of the TPUKernel functions (``signatures.txt``): what a call needs to be marshalled or drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("signatures.txt")

_KIND_OF_NAME = (
    (r".*_addr", "local"),
    (r"stride|kernel|dilation|insert|ins", "dim2"),
    (r"padding", "padding"),
    (r".*shape|.*_stride", "dim4"),
    (r".*dtype", "dtype"),
    (r".*rounding_mode|mode", "rounding"),
    (r"has_.*|result_.*|is_.*|saturation|fill_const|kernel_is_const|index_is_local", "bool"),
    (r"C|scale|bias|offset|alpha|.*_val", "scalar"),
    (r"src[0-3]", "variable"),
)
"""First match decides; everything else is an ``int``. The kinds are explained at ``Parameter``."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a TPUKernel function. ``kind`` and the Python value that stands for it:

    ``local``/``static``/``system``
        address as ``int`` (lane * 262144 + byte; 40-bit system address)
    ``dim4``/``dim2``/``padding``
        (n, c, h, w), (h, w), (top, bottom, left, right); ``None`` for a NULL stride
    ``scalar``
        raw bits of a ``scalar_t`` as an unsigned ``int``
    ``variable``
        ("const", raw bits) or ("addr", local address), or the same as a dict of one item
    ``node``
        (number of the last TIU command, of the last GDMA command, whether of a parallel section)
    ``dtype``/``rounding``/``bool``/``int``/``uint``/``u8``/``s8``/``float``
        the number itself
    """

    name: str
    kind: str


@dataclass(frozen=True)
class Signature:
    """A function and its parameters in call order."""

    function: str
    parameters: tuple[Parameter, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)


def kind_of(name: str) -> str:
    """The kind that a parameter name implies."""
    return next((kind for pattern, kind in _KIND_OF_NAME if re.fullmatch(pattern, name)), "int")


def _parse(text: str) -> Iterator[Signature]:
    parameters: tuple[Parameter, ...] = ()
    for line in text.splitlines():
        if line.startswith("("):
            pairs = (token.partition(":") for token in line.strip("()").split())
            parameters = tuple(Parameter(name, kind or kind_of(name)) for name, _, kind in pairs)
        elif not line.startswith("#"):
            yield from (Signature(function, parameters) for function in line.split())


@cache
def signatures() -> dict[str, Signature]:
    """All known functions by name."""
    return {signature.function: signature for signature in _parse(FILE.read_text(encoding="utf-8"))}
