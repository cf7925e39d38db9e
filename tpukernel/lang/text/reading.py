"""Kernels from texts and files."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from tpukernel.lang.kernel import Kernel
from tpukernel.lang.text.errors import TextLimitError, TextNameError, TextSelectionError, TextSyntaxError

__all__ = ["load", "load_all", "parse", "parse_all", "read_text"]


def parse_all(text: str, *, name: str | None = None) -> dict[str, Kernel]:
    """All kernels of a text by name, in order.

    Args:
        text: kernels in the text form.
        name: name of the file in messages.

    Raises:
        TextSyntaxError: it is no text of kernels.
        TextLimitError: it is too long, or too deeply nested.
        TextNameError, TextDeclarationError, TextValueError: the head of a kernel has a mistake.
    """
    from tpukernel.lang.text.definition import TextDefinition  # kernels in Python come without the parser, whose import takes a while
    from tpukernel.lang.text.parser import parse_tree

    found: dict[str, Kernel] = {}
    for node in parse_tree(text, name):
        if node.name.text in found:
            raise TextNameError(f"there are two kernels {node.name.text}", position=node.position, help="rename one")
        found[node.name.text] = Kernel(TextDefinition(node, text))
    return found


def parse(text: str, kernel: str | None = None, *, name: str | None = None) -> Kernel:
    """A kernel of a text: the one of that name, or the only one.

    Raises:
        TextSelectionError: there is none of that name, or there are several.
        KernelError: as `parse_all`.
    """
    return _chosen(parse_all(text, name=name), kernel, name or "the text")


def load_all(path: Path | str) -> dict[str, Kernel]:
    """All kernels of a file (`.tpuk`) by name, in order.

    Raises:
        OSError: the file cannot be read.
        KernelError: as `parse_all`.
    """
    return parse_all(read_text(path), name=str(path))


def load(path: Path | str, kernel: str | None = None) -> Kernel:
    """A kernel of a file (`.tpuk`): the one of that name, or the only one.

    Raises:
        OSError: the file cannot be read.
        TextSelectionError: there is none of that name, or there are several.
        KernelError: as `parse_all`.
    """
    return _chosen(load_all(path), kernel, str(path))


def read_text(path: Path | str) -> str:
    """The text of a file of kernels, in UTF-8.

    Raises:
        OSError: the file cannot be read.
        TextLimitError: it is too long.
        TextSyntaxError: it is no text.
    """
    from tpukernel.lang.text.parser import MAX_CHARACTERS

    with Path(path).open("rb") as file:
        data = file.read(4 * MAX_CHARACTERS + 1)
    if len(data) > 4 * MAX_CHARACTERS:
        raise TextLimitError(f"{path} has more than {4 * MAX_CHARACTERS} bytes", help="split it")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise TextSyntaxError(f"{path} is no text in UTF-8: byte {error.start}", help="save it as UTF-8") from None


def _chosen(kernels: dict[str, Kernel], wanted: str | None, where: str) -> Kernel:
    names = ", ".join(kernels) or "none"
    if wanted is None:
        if len(kernels) == 1:
            return next(iter(kernels.values()))
        raise TextSelectionError(f"{where} has {len(kernels)} kernels", help=f"say which one: {names}" if kernels else "write a kernel")
    if wanted not in kernels:
        near = get_close_matches(wanted, kernels, 1)
        raise TextSelectionError(f"{where} has no kernel {wanted}", help=f"did you mean {near[0]}?" if near else f"it has: {names}")
    return kernels[wanted]
