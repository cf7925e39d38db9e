"""Damaged texts: a named error, or a kernel."""

from __future__ import annotations

import contextlib
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.lang.text.test_reading import AXPY, PARTS_FILE
from tests.lang.text.traces import NAMES, NUMBERS, drawn
from tests.support.effort import examples
from tpukernel.errors import TpuError
from tpukernel.lang.text.words import CONSTANTS, RESERVED

PARTS = PARTS_FILE.read_text(encoding="utf-8").split("\n\n")
TEXTS = [AXPY, *PARTS, *(str(drawn(seed, NUMBERS)) for seed in range(3)), str(drawn(3, NAMES))]
WORDS = [
    *CONSTANTS,
    *RESERVED,
    *("tiu", "dma", "a", "b", "x", "out", "0", "1", "-1", "65536", "1e30", "0.5", '"w"', "`a`", "%1", "after", "step", "..", "..."),
    *("+", "-", "*", "/", "//", "%", "<", "==", "(", ")", "[", "]", "{", "}", ";", ":", ":+", ",", "=", ".", "@", "ö", "\x00", "# ", "\n"),
]
PIECES = [*'abx019 .,:;()[]{}<>=+-*/%#"`\n_', "kernel ", "in ", "let ", "local<f32>", "tiu.abs(", "for "]


def damaged(text: str, choose: random.Random, changes: int) -> str:
    """The text with some words exchanged, removed, repeated or put elsewhere."""
    words = text.replace("(", " ( ").replace(")", " ) ").replace(",", " , ").replace(";", " ; ").split(" ")
    for _ in range(changes):
        place = choose.randrange(len(words))
        kind = choose.randrange(4)
        if kind == 0:
            words[place] = choose.choice(WORDS)
        elif kind == 1:
            words.insert(place, choose.choice(WORDS))
        elif kind == 2 and len(words) > 1:
            del words[place]
        else:
            words[place] = choose.choice(words)
    return " ".join(words)


def use(text: str) -> None:
    """Everything that is done with a text; only errors with a code may come out."""
    with contextlib.suppress(TpuError):
        for kernel in tpu.parse_all(text).values():
            keywords: dict[str, Any] = {name: 1.0 for name in kernel.signature.defaults if name == "alpha"}
            with contextlib.suppress(TpuError):
                assert tpu.parse(str(kernel.ir(**keywords))).ir() == kernel.ir(**keywords)
            inputs = [param for param in kernel.ir(**keywords).params if param.direction != "out"]
            shapes = {param.name: tuple(size if isinstance(size, int) else 4 for size in param.shape) for param in inputs}
            kernel.program(shapes, **keywords)


@given(st.integers(0, 10**9), st.sampled_from(TEXTS), st.integers(1, 4))
@settings(deadline=None, max_examples=examples(75))
def test_words_are_exchanged(seed: int, text: str, changes: int) -> None:
    use(damaged(text, random.Random(seed), changes))


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
@settings(deadline=None, max_examples=examples(50))
def test_any_characters(text: str) -> None:
    use(text)
    use("kernel f(in x: f32[n]) {" + text + "}")


def test_huge_expressions_are_refused_at_once() -> None:
    doubled = "".join(f"let v{i} = v{i - 1} * v{i - 1} + n;" for i in range(1, 60))
    for text in (
        f"kernel f(in x: f32[n]) {{ let v0 = n; {doubled} }}",
        f"kernel f(in x: f32[n]) {{ let v0 = 10; {doubled.replace('+ n', '')} }}",
        "kernel f(in x: f32[n]) { let v = " + "not " * 5000 + "true; }",
        "kernel f(in x: f32[n]) { let v = " + "-" * 5000 + "n; }",
        "kernel f(in x: f32[n]) { let v = x" + "[0]" * 5000 + "; }",
        "kernel f(in x: f32[n]) { let v = " + "n+" * 5000 + "n; }",
        "kernel f(in x: f32[n]) " + "{" * 5000,
        "kernel f(in x: f32[n]) { let v = " + "9" * 5000 + "; }",
        "kernel f(in x: f32[n]) { let v = 1e999; }",
        "x" * ((1 << 20) + 1),
    ):
        use(text)
