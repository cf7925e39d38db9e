"""Messages of TpuLang programs: what is wrong, on the user's line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bmlang import tpulang as tpul
from tests.tpulang import mistakes
from tpukernel.errors import TpuError

TEXTS = {
    "takes_an_array": "BML122: weight of conv is a numpy array of shape [4, 3, 3, 3]\n  at mistakes.py:17:5\n     | tpul.conv(",
    "forgets_an_argument": "BML122: softmax: missing a required argument: 'axis'\n  at mistakes.py:21:5",
    "mixes_types": "BML121: add does not work on BMTensor",
    "mixes_shapes": "BML120: shapes [1, 3, 8, 8] and [1, 3, 8, 7] of bm::add do not fit together\n  at mistakes.py:30:5",
    "gives_two_strides": "BML122: conv: stride is [2]\n  at mistakes.py:35:5",
    "forgets_the_scale": "BML122: exp: q is int8, without scale\n  at mistakes.py:39:5",
    "says_two_scales": "TPUL102: tensor q has scale 0.5 and 0.25\n  at mistakes.py:44:5",
    "rounds_oddly": "BML122: there is no rounding 'sideways' here\n  at mistakes.py:48:5",
    "uses_another_graph": "TPUL101: y was made in another graph\n  at mistakes.py:54:5",
    "needs_a_coefficient": "BML122: prelu: slope slope is no coefficient\n  at mistakes.py:58:5",
    "compiles_what_it_makes": "TPUL104: y is no input of the graph\n  at mistakes.py:63:5",
    "has_no_mode": "BML122: mode is 'int4'\n  at mistakes.py:68:5",
    "refers_to_nothing": "TPUL104: there is a reference for z, which the net does not compute\n  at mistakes.py:73:5",
    "has_a_block": "TPUL106: deformable_attention is a whole block of a model",
}


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    tpul.init("BM1684X")
    yield
    tpul.deinit()


@pytest.mark.parametrize("name", TEXTS)
def test_message_of(name: str) -> None:
    with pytest.raises(TpuError) as caught:
        getattr(mistakes, name)()
    assert str(caught.value).startswith(TEXTS[name])
    assert "at mistakes.py:" in str(caught.value)
    assert caught.value.help


def test_a_chip_that_there_is_not() -> None:
    with pytest.raises(TpuError, match="CHIP102"):
        tpul.init("CV183X")


def test_without_a_graph_there_is_no_operator() -> None:
    tpul.deinit()
    with pytest.raises(TpuError, match="TPUL101"):
        tpul.relu(mistakes.image())
