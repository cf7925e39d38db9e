"""A module that cannot be imported."""

from __future__ import annotations

print(1 / 0)
