"""The formatter keeps every word, comes to an end at once, and leaves printed kernels as they are."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

import tpukernel as tpu
from tests.lang.text.test_reading import AXPY, PARTS_FILE
from tests.lang.text.traces import NUMBERS, drawn
from tests.support.effort import examples
from tpukernel.lang.text.formatter import format_text, tokens

UGLY = """\
# top

kernel f(in x:f32[n,  c]  ; alpha:float=-1.0,b=3){ let a,b_=local < f32>[1,n,1,-1]layout compact; # why


  # own
  for i in -n ..( n+1 )*2 step   -( 1 ) {tiu.add( a,b_ ,shift = -1,   # note
     rounding=half_up
     ) ;}
     %1=dma.load(a,x[ : ,3:+2]);when not(a<3)and -a>b-1{}
     let z =
        3 - -2;

}kernel g(){}"""
NICE = """\
# top

kernel f(in x: f32[n, c]; alpha: float = -1.0, b = 3) {
  let a, b_ = local<f32>[1, n, 1, -1] layout compact; # why

  # own
  for i in -n .. (n + 1) * 2 step -(1) {
    tiu.add(a, b_, shift=-1, # note
      rounding=half_up
    );
  }
  %1 = dma.load(a, x[:, 3:+2]);
  when not (a < 3) and -a > b - 1 {
  }
  let z = 3 - -2;
}

kernel g() {
}
"""


def words(text: str) -> list[str]:
    return [token.text for token in tokens(text)]


def formatted(text: str) -> str:
    found = format_text(text)
    assert words(found) == words(text)
    assert format_text(found) == found
    return found


def test_the_form() -> None:
    assert formatted(UGLY) == NICE
    assert formatted("") == ""
    assert formatted("  # only a comment  ") == "# only a comment\n"


def test_what_people_write_well_stays() -> None:
    parts = PARTS_FILE.read_text(encoding="utf-8")
    assert formatted(parts) == parts
    assert formatted(AXPY) == AXPY.replace(";   # a box", "; # a box")


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=examples(5))
def test_printed_kernels_stay(seed: int) -> None:
    text = f"{drawn(seed, NUMBERS)}\n"
    assert formatted(text) == text


@given(st.integers(0, 10**9), st.sampled_from([AXPY, UGLY, PARTS_FILE.read_text(encoding="utf-8")]))
@settings(deadline=None, max_examples=examples(30))
def test_other_spaces_make_no_difference(seed: int, text: str) -> None:
    choose = random.Random(seed)
    spaced = ""
    for token in tokens(text):
        gap = choose.choice([" ", " ", "  ", "\n", "\n\n\n", " # odd\n"])
        spaced += gap + token.text + ("\n" if token.comment else "")
    kernels = tpu.parse_all(text)
    found = tpu.parse_all(formatted(spaced))
    assert list(found) == list(kernels)
    for name in found:
        if name in ("every_second_line", "product", "tokens", "quoted"):
            assert found[name].ir() == kernels[name].ir()
