"""Several functions of one module, which call each other."""

from __future__ import annotations

from collections.abc import Sequence

from tpukernel.sim.jit.ir import Function

__all__ = ["join"]


def join(functions: Sequence[Function]) -> str:
    """The text of a module: what a function calls and another one defines is not declared, and everything is declared once."""
    bodies: list[str] = []
    others: dict[str, None] = {}
    for function in functions:
        body, _, rest = str(function).partition("\n}\n")
        bodies.append(f"{body}\n}}")
        others |= dict.fromkeys(filter(None, rest.splitlines()))
    defined = tuple(f" @{function.name}(" for function in functions)
    declared = [line for line in others if not line.startswith("declare") or not any(name in line for name in defined)]
    return "\n".join([*bodies, *declared, ""])
