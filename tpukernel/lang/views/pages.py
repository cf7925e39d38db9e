"""Kernels as HTML, for notebooks."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from tpukernel.lang.elaborate import Elaborated
from tpukernel.lang.signature import Signature
from tpukernel.lang.views.memory_map import MemoryMap
from tpukernel.markup import element, html_table, text

__all__ = ["kernel_page"]


def kernel_page(signature: Signature, doc: str | None, elaborated: Sequence[Elaborated], tuning: str = "") -> str:
    """What a kernel takes and says of itself, and for which shapes it was elaborated so far. Nothing is traced for it.

    Args:
        signature: its signature.
        doc: its docstring.
        elaborated: what it keeps of its elaborations.
        tuning: how its keywords are chosen.
    """
    tensors = ", ".join(f"{name}: {direction}" for name, direction in signature.tensors.items())
    keywords = ", ".join(name if value is inspect.Parameter.empty else f"{name} = {value!r}" for name, value in signature.defaults.items())
    head = element("code", text(f"kernel {signature.name}({tensors}{'; ' if keywords else ''}{keywords})"))
    parts = [element("p", element("b", head))]
    if doc:
        parts.append(element("pre", text(inspect.cleandoc(doc))))
    if tuning:
        parts.append(element("p", element("code", text(tuning))))
    if signature.position.file:
        parts.append(element("p", text(str(signature.position))))
    if elaborated:
        rows = [("elaborated for", "tiu", "gdma", "bytes of a lane"), *map(_row, elaborated)]
        parts.append(html_table(rows, (1, 2, 3)))
    return element("div", *parts)


def _row(found: Elaborated) -> tuple[str, ...]:
    commands = found.program.statistics().commands
    params = ", ".join(f"{param.name}: {param.dtype.name}[{', '.join(map(str, param.shape))}]" for param in found.kernel.params)
    keywords = "".join(f"; {name} = {value}" for name, value in found.kernel.attributes)
    return f"{params}{keywords}", f"{commands['tiu']:,}", f"{commands['gdma']:,}", f"{MemoryMap.of(found).peak:,}"
