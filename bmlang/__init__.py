"""BMLang: tensor programs and models for Sophon TPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bmlang.runtime import Runtime

__all__ = ["Runtime"]


def __getattr__(name: str) -> object:
    if name == "Runtime":  # not at once: the simulator takes its time
        from bmlang.runtime import Runtime

        return Runtime
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
