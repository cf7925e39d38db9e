"""Every error class has a code, a page, and on that page an example that raises it with the text shown."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path

import pytest

import bmlang
import tpukernel
from tests.support.docs import ERROR_PAGES, shown_errors, title
from tpukernel.errors import TpuError, catalogue

RECIPE = "CONTRIBUTING.md says how to write an error page"


@cache
def project_errors() -> dict[str, type[TpuError]]:
    """The catalogue after every module of both packages has been imported, without classes that tests define."""
    for package in (tpukernel, bmlang):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return {code: cls for code, cls in catalogue().items() if cls.__module__.partition(".")[0] in ("tpukernel", "bmlang")}


def problems(code: str, cls: type[TpuError], page: Path) -> list[str]:
    """What is wrong with the page of one error class; empty when it is right."""
    if not page.exists():
        return [f"{code} ({cls.__module__}.{cls.__qualname__}) has no page {page.name}"]
    found = [] if title(page) == f"{code} {cls.__name__}" else [f"{page.name}: the first line must be '# {code} {cls.__name__}'"]
    shown = [(error, message) for error, message in shown_errors(page) if type(error) is cls]
    if not shown:
        found.append(f"{page.name}: no example raises {cls.__qualname__}")
    found += [f"{page.name}: shown\n{message}\nraised\n{error}" for error, message in shown if str(error) != message]
    return found


def test_every_error_has_a_page_that_raises_it() -> None:
    found = [line for code, cls in project_errors().items() for line in problems(code, cls, ERROR_PAGES / f"{code}.md")]
    assert not found, "\n".join([*found, RECIPE])


def test_every_page_belongs_to_an_error() -> None:
    assert {page.stem for page in ERROR_PAGES.glob("*.md")} <= set(project_errors())


def test_every_error_has_a_code_of_the_usual_form() -> None:
    for code, cls in project_errors().items():
        assert re.fullmatch(r"[A-Z]{2,6}[1-9]\d\d", code), cls
        assert cls.__name__.endswith("Error")
        assert cls.__doc__


def test_a_code_is_used_once() -> None:
    with pytest.raises(TypeError, match="CHIP101 is used by DtypeNameError"):
        type("OtherError", (TpuError,), {}, code="CHIP101")


def test_message_has_code_place_and_help() -> None:
    cls = project_errors()["CHIP101"]
    assert str(cls("wrong", where="here", help="do that")) == "CHIP101: wrong\n  at here\n  help: do that"
    assert str(cls("wrong")) == "CHIP101: wrong"


PAGE = """\
# {title}

```python
>>> from tpukernel.dtypes import dtype_of
>>> dtype_of({name!r})
Traceback (most recent call last):
    ...
tpukernel.dtypes.DtypeNameError: CHIP101: {message}
  help: use one of f32, f16, bf16, i8, u8, i16, u16, i32, u32
```
"""
RIGHT = {"title": "CHIP101 DtypeNameError", "name": "f64", "message": "there is no TPU data type 'f64'"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        ({"title": "CHIP101"}, "first line must be"),
        ({"message": "there is no such type"}, "shown\nCHIP101: there is no such type"),
        ({"name": "f32"}, "raises none"),
    ],
)
def test_a_wrong_page_is_found(tmp_path: Path, change: dict[str, str], complaint: str | None) -> None:
    page = tmp_path / "CHIP101.md"
    page.write_text(PAGE.format(**(RIGHT | change)), encoding="utf-8")
    try:
        found = "\n".join(problems("CHIP101", project_errors()["CHIP101"], page))
    except AssertionError as error:
        found = str(error)
    assert complaint in found if complaint else not found
