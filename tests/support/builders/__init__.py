"""The TPUKernel functions as builders: from the parameters of a call to the instructions that the official library emits for it.

Every module of this package that has a dictionary ``BUILDERS`` (function name -> builder) takes part.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from tests.support.builders.common import Builder

__all__ = ["builders"]


@cache
def builders() -> dict[str, Builder]:
    """All builders by function name.

    Raises:
        ValueError: two modules have the same function.
    """
    found: dict[str, Builder] = {}
    for module in pkgutil.iter_modules(__path__):
        entries: dict[str, Builder] = getattr(import_module(f"{__name__}.{module.name}"), "BUILDERS", {})
        if both := found.keys() & entries.keys():
            raise ValueError(f"{module.name} builds {', '.join(sorted(both))} once more")
        found |= entries
    return found
