"""The documentation as data: pages, their titles, their Python examples."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ERROR_PAGES = ROOT / "docs" / "errors"

_FENCE = re.compile(r"^```python\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)

_CHECKER = doctest.OutputChecker()


def title(page: Path) -> str:
    """The text of the first line, which must be a first-level heading; "" when it is not."""
    first = page.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("# ") if first.startswith("# ") else ""


def examples(page: Path) -> list[doctest.Example]:
    """The doctest examples of all Python blocks of a page, in order."""
    parser = doctest.DocTestParser()
    blocks = _FENCE.finditer(page.read_text(encoding="utf-8"))
    return [example for block in blocks for example in parser.get_examples(block["body"], str(page))]


def shown_errors(page: Path) -> list[tuple[BaseException, str]]:
    """Runs the examples of a page; for each that shows an error, what was really raised and the message that the page shows.

    The message is what stands behind the qualified name of the class. An example with the option ELLIPSIS may leave parts of it out.

    Raises:
        AssertionError: an example shows an error and raises none.
    """
    found: list[tuple[BaseException, str]] = []
    names: dict[str, object] = {"__name__": "__test__"}  # as where the pages are executed as documentation
    for example in examples(page):
        code = compile(example.source, f"{page.name}:{example.lineno}", "single", dont_inherit=True)
        if example.exc_msg is None:
            exec(code, names)  # noqa: S102 - the page is ours
            continue
        _, _, message = example.exc_msg.partition(": ")
        try:
            exec(code, names)  # noqa: S102
        except Exception as error:  # noqa: BLE001 - which error it is, the caller judges
            raised, message = str(error), message.rstrip("\n")
            abridged = doctest.ELLIPSIS in example.options and _CHECKER.check_output(message, raised, doctest.ELLIPSIS)
            found.append((error, raised if abridged else message))
        else:
            raise AssertionError(f"{page.name}: {example.source.strip()!r} shows an error and raises none")
    return found
