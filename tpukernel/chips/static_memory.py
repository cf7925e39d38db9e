"""The tables that a chip's static memory holds.

`data/<chip>_static.npy` has the tables of `Chip.static_tables` as the official runtime sets them up, read from the official emulator's
memory, and zeros between them. Programs of the official compiler read them with static broadcasts.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from tpukernel.chips.chip import Chip

__all__ = ["static_memory"]


@cache
def static_memory(chip: Chip) -> NDArray[np.uint8]:
    """The bytes of the static memory of a chip, read only; empty for a chip without one."""
    if "static" not in chip.regions:
        return np.zeros(0, np.uint8)
    source = resources.files("tpukernel.chips").joinpath("data", f"{chip.name.lower()}_static.npy")
    with resources.as_file(source) as path:
        content = np.load(path, allow_pickle=False)
    content.flags.writeable = False
    return content
