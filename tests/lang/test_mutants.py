"""Kernels with one mistake each: nearly all are noticed, none leads to anything but a named error, and of the rest it is known why.

Who notices: the verifier, the elaboration, the search for results that nobody uses, the checks of the simulator, the comparison with numpy.
`python -m tests.support.kernel_mutants` prints who noticed how many.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import settings

from tests.examples.load import FOLDER
from tests.support.effort import EXAMPLES, by_profile
from tests.support.kernel_mutants import CASES, Mutant, Verdict, case_of, judge, mutants, sound

EVERY = settings().max_examples >= EXAMPLES["nightly"]
JUDGED_OF_A_CASE = by_profile(smoke=3, normal=6, nightly=8)
"""How many mutants of each case, the same ones in each run; all of them in the nightly profile."""

RARE = "results for numbers that the inputs have not got: zeros, limits of exponents"
WIDER = "every number of 16 bits is one of f32: nothing is rounded"
NARROWER = "the tolerance is for the largest number, and a result that is rounded to the other side is within it"
OVERLAP = "pieces that overlap: what is computed twice becomes the same twice"
ONE_EACH = "with one element in each lane, both layouts are the same bytes"
SECOND = "the second load brings the rows that the first one leaves"
WHOLE = "whole numbers: nothing is rounded"
EXPLAINED = {
    r"matmul: constant: tiu.conv2d\(.*\): (dilation \[[01]\]|stride \[0\]) 2 for 1": "the window is 1x1, and there is one row",
    r".*: command: tiu \d+ (compare.select_equal|arith.max) of tiu.(rsqrt|gelu): dropped": RARE,
    r".*: (address|stride): tiu \d+ (compare.select_equal|arith.max) of tiu.(rsqrt|gelu): dst (64 bytes on|other stride 2)": RARE,
    r".*: constant: tiu.cast\((wide|wide_2|other|powers|factors), (a|copies|copies_2)\): mode other rounding": WIDER,
    r".*: constant: tiu.cast\((result|weights|narrow), \w+\): mode other rounding": NARROWER,
    r"argmax: constant: tiu.cast\((left, counted|result, first)\): mode other rounding": WHOLE,
    r"argmax: operand: tiu.\w+\(.*\): (input|src0) a for wide": "the inputs are f32, and their conversion to f32 changes nothing",
    r"gelu f16: function: tiu.gelu\(activated, wide\): tpu_bdc_fp32_gelu_fast": "it is less exact than gelu, but by less than f16 can tell",
    r"(scale_bias_relu|conv3x3): layout: (factors|offsets): eu": ONE_EACH,
    r"conv3x3: expression: 0 for max\(0, s0 - 1\)": "each stripe loads all rows above it, too",
    r"conv3x3: expression: 7 for min\(7, (s0 \+ 5|min\(7, s0 \+ 5\) \+ 1)\)": OVERLAP,
    r"conv3x3: expression: (min\([35], )?(min\(7, .*\) - max\(0, s0 - 1\))\)? for min\(4, \2\)": SECOND,
    r"conv3x3: expression: (min\(3, )?min\(7, s0 \+ 5\) - h0\)? for min\(2, min\(7, s0 \+ 5\) - h0\)": OVERLAP,
}
"""Mutants that give what numpy gives, and why."""


@cache
def verdicts(name: str) -> Sequence[tuple[Mutant, Verdict]]:
    every = list(mutants([name]))
    parts = 1 if EVERY else max(1, len(every) // JUDGED_OF_A_CASE)
    return [(mutant, judge(mutant)) for mutant in every[parts // 2 :: parts]]


def explanations(mutant: Mutant) -> list[str]:
    return [pattern for pattern in EXPLAINED if re.fullmatch(pattern, str(mutant))]


@pytest.mark.parametrize("name", CASES)
def test_mutants_are_noticed(name: str) -> None:
    judged = verdicts(name)
    assert len(judged) >= (100 if EVERY else JUDGED_OF_A_CASE)
    assert not [f"{mutant}: {verdict.code}" for mutant, verdict in judged if verdict.by == "crash"]
    assert not [str(mutant) for mutant, verdict in judged if verdict.by == "nobody" and not explanations(mutant)]


def test_nearly_all_mutants_are_noticed() -> None:
    judged = [each for name in CASES for each in verdicts(name)]
    noticed = sum(verdict.by != "nobody" for _, verdict in judged)
    assert noticed >= (0.98 if EVERY else 0.95) * len(judged), f"{noticed} of {len(judged)}"
    if EVERY:
        alive = [mutant for mutant, verdict in judged if verdict.by == "nobody"]
        told = {pattern for mutant in alive for pattern in explanations(mutant)}
        assert told == set(EXPLAINED), "an explanation explains nothing"


def test_each_check_notices_something() -> None:
    """None of them is idle: otherwise the others would hide that it is broken."""
    by = {verdict.by for name in CASES for _, verdict in verdicts(name)}
    assert by >= {"verifier", "elaboration", "usage", "simulator", "numpy"} or EXAMPLES["smoke"] > JUDGED_OF_A_CASE


@pytest.mark.parametrize("name", CASES)
def test_without_a_mistake_nobody_notices_anything(name: str) -> None:
    assert judge(Mutant(name, "none", "sound", sound(name).kernel, lambda: sound(name))) == Verdict("nobody")


def test_every_example_has_mutants() -> None:
    assert {case_of(name).name for name in CASES} >= {path.stem for path in FOLDER.glob("*.py")}


def test_there_are_many_mutants() -> None:
    kinds: dict[str, int] = {}
    for name in CASES:
        for mutant in mutants([name]):
            kinds[mutant.kind] = kinds.get(mutant.kind, 0) + 1
    assert sum(kinds.values()) >= 4000
    assert kinds.keys() >= {"drop", "order", "wait", "slice", "size", "dtype", "stride", "copies", "constant", "operand", "loop", "address"}
