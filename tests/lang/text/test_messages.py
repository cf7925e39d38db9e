"""Messages of kernels as text: the whole of each, with line, column and caret."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tpukernel as tpu
from tests.lang.text.mistakes import BODIES, text_of
from tpukernel.errors import TpuError

MESSAGES = Path(__file__).with_name("messages.txt")
"""What the message of each mistake is, behind a line `== name`."""


def expected() -> dict[str, str]:
    parts = MESSAGES.read_text(encoding="utf-8").split("== ")[1:]
    return {name: message.rstrip("\n") for name, _, message in (part.partition("\n") for part in parts)}


def message_of(name: str) -> str:
    """What reading the text and calling the kernel says."""
    with pytest.raises(TpuError) as caught:
        tpu.parse(text_of(name), name=f"{name.replace(' ', '_')}.tpuk")(np.ones((1, 4, 2, 8), np.float32))
    return str(caught.value)


@pytest.mark.parametrize("name", BODIES)
def test_the_whole_text(name: str) -> None:
    found = message_of(name)
    assert found == expected()[name]
    assert f"at {name.replace(' ', '_')}.tpuk:" in found
    assert ("^" in found) == (name != "no end"), "there is nothing to point at behind the end"


def test_every_mistake_is_tested() -> None:
    assert list(expected()) == list(BODIES)
