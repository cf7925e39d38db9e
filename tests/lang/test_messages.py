"""Messages of kernels: the whole text, with the line and a caret; also where Python has no source text."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import tpukernel as tpu
from tests.lang import mistakes
from tpukernel.errors import TpuError
from tpukernel.lang import Kernel

X = np.ones(mistakes.SHAPE, np.float32)

TEXTS = {
    "branches": """\
KER101: whether w0 > 0 is not known while the kernel is traced
  at mistakes.py:13:12
     | if w0 > 0:
     |    ^^^^^^
  help: write `with k.when(w0 > 0):` around what depends on it; join conditions by & and |
""",
    "leaves": """\
KER102: k.range was left by break or return
  at mistakes.py:20:9
     | break
     | ^^^^^
  the loop is at mistakes.py:19:14
     | for _ in k.range(0, x.shape[3], 4):
     |          ^^^^^^^^^^^^^^^^^^^^^^^^^
  help: the body is traced once and stands for all steps: use `with k.when(condition):`, or change the limits of the loop
""",
    "uses_the_index_later": """\
KER102: w0 is used outside of the loop whose index it is
  at mistakes.py:30:5
     | k.dma.load(a, x[:, :, :, w0 : w0 + 8])
     | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: the index has a value only in the body of its loop
""",
    "uses_a_buffer_later": """\
KER104: src of dma.store is a, which does not exist here
  at mistakes.py:40:5
     | k.dma.store(out, a)
     | ^^^^^^^^^^^^^^^^^^^
  help: a buffer ends with the block in which it is made: make it outside of the loop
""",
    "misspells": """\
KER110: there is no operation k.tiu.sigmiod
  at mistakes.py:46:5
     | k.tiu.sigmiod(a, a)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
     | ^^^^^^^^^^^^^
  help: did you mean k.tiu.sigmoid or k.tiu.log_sigmoid or k.tiu.hard_sigmoid?
""",
    "mixes_dtypes": """\
KER111: the operands of tiu.add have different data types: dst b f16[1, 4, 2, 8], src0 a f32[1, 4, 2, 8], src1 a f32[1, 4, 2, 8]
  at mistakes.py:52:5
     | k.tiu.add(b, a, a)
     | ^^^^^^^^^^^^^^^^^^
  help: convert one with k.tiu.cast
""",
    "computes_in_ddr": """\
KER112: src of tiu.abs is x f32[1, 4, 2, 8], but it has to be a tensor in local memory (k.local)
  at mistakes.py:58:5
     | k.tiu.abs(a, x)  # pyright: ignore[reportArgumentType]
     | ^^^^^^^^^^^^^^^
  help: copy it with k.dma.load or k.dma.store
""",
    "mixes_shapes": """\
KER113: src of tiu.abs has shape (1, 4, 2, 4), but (1, 4, 2, 3) is needed
  at mistakes.py:66:9
     | k.tiu.abs(b, a)
     | ^^^^^^^^^^^^^^^
     with w0 = 0
  help: make both of one shape
""",
    "reads_a_part": """\
KER114: src of tiu.exp, f32[1, 4, 2, 4], lies as FREE with strides (16, 16, 8, 1), but is read as EU_ALIGNED
  at mistakes.py:73:5
     | k.tiu.exp(b, a[:, :, :, 4:])
     | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: copy it to a buffer of its own with k.tiu.copy first
""",
    "forgets_the_tail": """\
KER115: src of dma.load takes elements 6 to 9 of dimension 3 of x, which has 8
  at mistakes.py:80:9
     | k.dma.load(a, x[:, :, :, w0 : w0 + 3])
     | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
     with w0 = 6
  help: cut the last piece with tpukernel.minimum(tile, size - start)
""",
    "needs_too_much": """\
KER120: the buffers need 307,200 bytes of a lane, which has 262,144:
     | a            f32[1, 64, 128, 200]  102,400 bytes x 2 copies   mistakes.py:86:13
     | b            f32[1, 64, 64, 200]  51,200 bytes x 2 copies   mistakes.py:87:13
  at mistakes.py:86:13
     | a = k.local((1, 64, 128, 200), x.dtype)
     |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: it fits with tensors of f16 or bf16 instead of f32, or buffers=1 instead of 2, without overlap
""",
    "needs_far_too_much": """\
CHIP107: shape (1, 64, 1, 100000) is not (n, c, h, w) with sizes from 1 to 65535
  at mistakes.py:94:9
     | a = k.local((1, 64, 1, 100000), x.dtype)
     |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: cut a larger tensor into pieces
""",
    "shares_a_buffer": """\
KER130: dma.load of the next step uses a f32[1, 4, 2, 2], but has to wait for dma.store: the steps of this pipeline cannot overlap
  at mistakes.py:102:9
     | k.dma.load(a, x[:, :, :, w0 : w0 + 2])
     | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
     with w0 = 2
  and mistakes.py:104:9
     | k.dma.store(out[:, :, :, w0 : w0 + 2], a)
     | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: make a inside of the loop, so that each step has its own, or use k.range (the loop is at mistakes.py:101:15)
""",
    "asserts": """\
KER141: what the kernel states does not hold: many lanes
  at mistakes.py:109:5
     | k.assert_(k.chip.lanes > 100, "many lanes")  # noqa: PT009
     | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
""",
    "leaves_a_part": """\
KER142: kernel leaves_a_part left 16 of 64 elements of out unwritten, the first at [0, 0, 0, 6]
  at mistakes.py:112
     | @tpu.kernel
  help: store every piece, the last ones too
""",
    "reads_nothing": """\
KER144: src of tiu.abs is a f32[1, 4, 2, 8], to which nobody has written
  at mistakes.py:122:5
     | k.tiu.abs(b, a)
     | ^^^^^^^^^^^^^^^
  it is made at mistakes.py:121:12
     | a, b = k.local(SHAPE, x.dtype), k.local(SHAPE, x.dtype)
     |        ^^^^^^^^^^^^^^^^^^^^^^^
  help: load or compute it first
""",
    "reads_half_of_nothing": """\
SIM121: src0 f32[1,4,2,4] of arith.abs reads 16 elements that nothing has written: lanes 0 to 3, bytes 0x8 to 0x2c
  at mistakes.py:132:9
     | k.tiu.abs(b[:, :, :, w0 : w0 + 4], a[:, :, :, w0 : w0 + 4])
     | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
     with w0_2 = 0
     src0 is a f32[1, 4, 2, 4]
  help: load or compute all of it first
""",
    "races": """\
SIM123: tiu 2 writes dst f32[1,4,2,8] of arith.abs while gdma 2 reads src f32[1,4,2,8] of dma.copy: lanes 0 to 3, bytes 0x4000 to 0x403f
  at mistakes.py:142:9
     | k.tiu.abs(b, a)
     | ^^^^^^^^^^^^^^^
     dst is b f32[1, 4, 2, 8]
  and mistakes.py:143:9
     | k.dma.store(out, b)
     | ^^^^^^^^^^^^^^^^^^^
     src is b f32[1, 4, 2, 8]
  help: keep what the first operation returns, and give it to the other one as after=
""",
    "breaks_a_rule": """\
ISA125: stride of pool.max_pool is Dim2(h=1, w=16)
  at mistakes.py:150:5
     | k.tiu.max_pool2d(b, a, (1, 8), stride=(1, 16))
     | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: use 1 to 15
""",
}
"""What the message of each kernel of `mistakes` is."""


def raised(name: str) -> TpuError:
    with pytest.raises(TpuError) as caught:
        vars(mistakes)[name](X)
    return caught.value


@pytest.mark.parametrize("name", TEXTS)
def test_the_whole_text(name: str) -> None:
    assert str(raised(name)).splitlines() == TEXTS[name].splitlines()


def test_every_mistake_is_tested() -> None:
    assert TEXTS.keys() == {name for name, value in vars(mistakes).items() if isinstance(value, Kernel)}


SOURCE = """
import tpukernel as tpu

@tpu.kernel
def bad(k, x: tpu.In, out: tpu.Out):
    for i in k.range(3):
        while i < 2:
            pass
"""


def test_without_source_text_there_are_line_and_column() -> None:
    names: dict[str, Kernel] = {}
    exec(compile(SOURCE, "<nowhere>", "exec"), names)  # noqa: S102
    with pytest.raises(TpuError) as caught:
        names["bad"](X)
    assert str(caught.value).splitlines()[1] == "  at <nowhere>:7:15"


BODY = (
    SOURCE
    + """
import numpy as np
bad(np.ones((1, 1, 1, 1), np.float32))
"""
)


def child(*arguments: str, text: str = "") -> str:
    """Standard error of Python with these arguments."""
    environment = os.environ | {"PYTHONPATH": str(Path(tpu.__file__).parents[1])}
    return subprocess.run([sys.executable, *arguments], input=text, env=environment, capture_output=True, text=True, check=False).stderr


PROMPT: str = BODY.replace("\n\n", "\n").replace("pass\n", "pass\n\n")
WAYS: dict[str, tuple[Sequence[str], str, str]] = {
    "-c": (("-c", BODY), "", "<string>"),
    "standard input": ((), BODY, "<stdin>"),
    "prompt": (("-i", "-q"), PROMPT, "<stdin>"),
}


@pytest.mark.parametrize("way", WAYS)
def test_from_the_command_line_there_are_line_and_column(way: str) -> None:
    arguments, text, file = WAYS[way]
    found = child(*arguments, text=text)
    place = next(line for line in found.splitlines() if line.startswith("  at "))
    _, line, column = place.removeprefix("  at ").rsplit(":", 2)
    assert place.startswith((f"  at {file}:", "  at <python-input-"))  # Python 3.13 numbers the inputs of its prompt
    assert column == "15" and int(line) >= 1, found
    assert "KER101: whether i < 2 is not known" in found


def test_in_notebooks_there_is_the_text_of_the_cell() -> None:
    """IPython puts the text of a cell under a name of its own into `linecache`."""
    name = "<ipython-input-1-0123456789ab>"
    linecache.cache[name] = (len(SOURCE), None, [str(line) for line in SOURCE.splitlines(keepends=True)], name)
    names: dict[str, Kernel] = {"__name__": "__main__"}  # pyright: ignore[reportAssignmentType]
    try:
        exec(compile(SOURCE, name, "exec"), names)  # noqa: S102
        with pytest.raises(TpuError) as caught:
            names["bad"](X)
        assert str(caught.value).splitlines()[1:4] == [f"  at {name}:7:15", "     | while i < 2:", "     |       ^^^^^"]
        assert "write a loop over all steps" in str(caught.value)
    finally:
        del linecache.cache[name]


def test_columns_count_characters(tmp_path: Path) -> None:
    path = tmp_path / "wide.py"
    path.write_text(SOURCE.replace("while i < 2:", "while 'ä' and i < 2:"), encoding="utf-8")
    names: dict[str, Kernel] = {}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)  # noqa: S102
    with pytest.raises(TpuError) as caught:
        names["bad"](X)
    _, where, text, caret, _ = str(caught.value).splitlines()
    assert where == "  at wide.py:7:23"
    assert text[caret.index("^") :].startswith("i < 2:")


def test_an_error_of_the_author_stays_his() -> None:
    @tpu.kernel
    def kernel(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        for _ in k.range(3):
            raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        kernel(X)
    assert "test_messages.py" in traceback.format_exception(caught.value)[-2]


@pytest.mark.parametrize(
    ("arrays", "keywords", "message"),
    [
        ((X, X), {}, "takes 1 arrays, not 2"),
        ((X.astype(np.float64),), {}, "array of float64, which no TPU has"),
        ((X,), {"scale": 2}, "has no keyword scale"),
        ((np.zeros((0, 4), np.float32),), {}, "x has shape (0, 4)"),
    ],
)
def test_calls_that_do_not_fit(arrays: tuple[np.ndarray, ...], keywords: dict[str, object], message: str) -> None:
    with pytest.raises(TpuError) as caught:
        mistakes.leaves_a_part(*arrays, **keywords)
    assert message in str(caught.value)
