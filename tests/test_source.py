"""Names of what is made: the variable that gets it, found without the source text."""

from __future__ import annotations

import sys

import pytest

from tpukernel.source import assigned_name

CASES = {
    "a = f()": {"a": "a"},
    "a = o.m(f(), x=1)": {"a": "a"},
    "a, b = f(), f()": {"a": "a", "b": "b"},
    "a, b = o.m(1, 2), f(1, k=o)": {"a": "a", "b": "b"},
    "a, b, c = f(1 + 2), o.m(*(1, 2)), f(f())": {"a": "a", "c": "c"},
    "a, b, c, d = f(), f(o), o.m(), f()": {"a": "a", "b": "b", "c": "c", "d": "d"},
    "a, b, c, d, e = f(), 1, [2], {}, o.m(-1)": {"a": "a", "e": "e"},
    "a, b, c = (f() for _ in range(3))": {"a": "a", "b": "b", "c": "c"},
    "a, b = (o.m(x, f()) for x in (1, 2))": {"a": "a", "b": "b"},
    "a, b, c, d, e = (f() for _ in [0] * 5)": {"a": "a", "b": "b", "c": "c", "d": "d", "e": "e"},
    # no single variable gets it, or none that can be told
    "a, b = (f() for x in range(3) if x)": {"a": None, "b": None},
    "a = [f(), f()]; b, c = a": {"b": None, "c": None},
    "a = (f(), f(), f(), f()); b = a[0]": {"b": None},
    "a = [f() for _ in range(1)]; b = a[0]": {"b": None},
    "a, b = [f() for _ in range(2)]": {"a": None, "b": None},
    "a, b = (f(), f()), f()": {"b": "b"},
    "a = {'k': f()}; b = a['k']": {"b": None},
    "a = list(f() for _ in range(2)); b = a[0]": {"b": None},
}


def maker(*_: object, **__: object) -> str | None:
    """The name of the variable that gets what this returns."""
    return assigned_name(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]


class Owner:
    m = staticmethod(maker)


@pytest.mark.parametrize("code", CASES)
@pytest.mark.parametrize("inside", [True, False], ids=["function", "module"])
def test_names_of_variables(code: str, inside: bool) -> None:
    names: dict[str, object] = {"f": maker, "o": Owner()}
    source = f"def g():\n    {code}\n    return dict(locals())\nfound = g()" if inside else f"{code}\nfound = dict(globals())"
    exec(source, names)  # noqa: S102 - it is ours
    found = names["found"]
    assert isinstance(found, dict)
    assert {name: found[name] for name in CASES[code]} == CASES[code]
