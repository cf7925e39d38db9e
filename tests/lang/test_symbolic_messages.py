"""Messages of Python constructs that kernels cannot have: the whole text, which names the construct and what to write instead."""

from __future__ import annotations

import numpy as np
import pytest

from tests.lang import symbolic_mistakes
from tpukernel.errors import TpuError
from tpukernel.lang import Kernel

TEXTS = {
    "if_else": """\
KER101: whether w0 > 0 is not known while the kernel is traced
  at symbolic_mistakes.py:31:8
     | if w0 > 0:
     |    ^^^^^^
  help: write `with k.when(w0 > 0):`, and `with k.when(~(w0 > 0)):` for the other branch
""",
    "elif_": """\
KER101: whether w0 == 4 is not known while the kernel is traced
  at symbolic_mistakes.py:41:10
     | elif w0 == 4:
     |      ^^^^^^^
  help: write `with k.when(w0 == 4):` around what depends on it; join conditions by & and |
""",
    "while_": """\
KER101: whether w0 < 2 is not known while the kernel is traced
  at symbolic_mistakes.py:47:11
     | while w0 < 2:
     |       ^^^^^^
  help: write a loop over all steps that there can be, `for i in k.range(...):`, and in it `with k.when(w0 < 2):`
""",
    "and_": """\
KER101: whether w0 > 0 is not known while the kernel is traced
  at symbolic_mistakes.py:53:8
     | if w0 > 0 and w0 < 4:
     |    ^^^^^^
  help: write `(w0 > 0) & (w0 < 4)`
""",
    "or_": """\
KER101: whether w0 == 0 is not known while the kernel is traced
  at symbolic_mistakes.py:59:12
     | k.when(w0 == 0 or w0 == 4)
     |        ^^^^^^^^^^^^^^^^^^
  help: write `(w0 == 0) | (w0 == 4)`
""",
    "not_": """\
KER101: whether w0 > 0 is not known while the kernel is traced
  at symbolic_mistakes.py:64:12
     | k.when(not w0 > 0)
     |        ^^^^^^^^^^
  help: write `~(w0 > 0)`
""",
    "chained": """\
KER101: whether w0 > 0 is not known while the kernel is traced
  at symbolic_mistakes.py:69:12
     | k.when(0 < w0 < 4)
     |        ^^^^^^^^^^
  help: write `(0 < w0) & (w0 < 4)`
""",
    "choice": """\
KER101: whether w0 == 0 is not known while the kernel is traced
  at symbolic_mistakes.py:74:17
     | size = 4 if w0 == 0 else 2
     |             ^^^^^^^
  help: choose a size with tpukernel.minimum or maximum; choose what happens with `with k.when(w0 == 0):` and `with k.when(~(w0 == 0)):`
""",
    "assert_": """\
KER101: whether w0 < 8 is not known while the kernel is traced
  at symbolic_mistakes.py:79:12
     | assert w0 < 8
     |        ^^^^^^
  help: write `k.assert_(w0 < 8)`
""",
    "minimum": """\
KER101: whether 8 - w0 < 4 is not known while the kernel is traced
  at symbolic_mistakes.py:84:12
     | size = min(4, 8 - w0)
     |        ^^^^^^^^^^^^^^
  help: write `tpukernel.minimum(4, 8 - w0)`
""",
    "range_": """\
KER101: w0 is not known while the kernel is traced, but Python asks for the number itself
  at symbolic_mistakes.py:89:14
     | for i in range(w0):
     |          ^^^^^^^^^
  help: write `k.range(w0)`
""",
    "integer": """\
KER101: w0 is not known while the kernel is traced, but Python asks for the number itself
  at symbolic_mistakes.py:95:14
     | number = int(w0)
     |          ^^^^^^^
  help: sizes and offsets of k.* take it as it is
""",
    "length": """\
KER101: the length of x f32[8 - w0] is not known while the kernel is traced
  at symbolic_mistakes.py:100:5
     | len(x[:, :, :, w0:][0, 0, 0])
     | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: use .shape[0] and k.range
""",
    "listed": """\
KER101: w0 is not known while the kernel is traced, but Python asks for the number itself
  at symbolic_mistakes.py:106:5
     | buffers[w0]
     | ^^^^^^^^^^^
  help: buffers belongs to Python, which needs a number: make one tensor of it and take a box, or loop with Python's range
""",
    "filtered": """\
KER101: whether w0 > 1 is not known while the kernel is traced
  at symbolic_mistakes.py:111:27
     | [i for i in (1, 2) if w0 > i]
     |                       ^^^^^^
  help: write a loop with k.range, and `with k.when(...):` in it
""",
    "halved": """\
KER101: w0 / 2 is no whole number
  at symbolic_mistakes.py:116:12
     | half = w0 / 2
     |        ^^^^^^
  help: divide with // (rounds down) or tpukernel.cdiv (rounds up)
""",
    "rounded_up": """\
KER101: w0 / 4 is no whole number
  at symbolic_mistakes.py:121:15
     | math.ceil(w0 / 4)
     |           ^^^^^^
  help: divide with // (rounds down) or tpukernel.cdiv (rounds up)
""",
    "formatted": """\
KER101: w0 as text of the form '03d' is not known while the kernel is traced
  at symbolic_mistakes.py:126:12
     | text = f"step {w0:03d}"
     |        ^^^^^^^^^^^^^^^^
  help: print it with k.print
""",
    "over_a_tensor": """\
KER101: x f32[1, 4, 2, 8] is memory, not a sequence of numbers
  at symbolic_mistakes.py:131:5
     | for row in x:
     | ^^^^^^^^^^^^^
  help: loop over offsets with k.range, and load boxes of it
""",
    "if_tensor": """\
KER101: a f32[1, 4, 2, 8] is memory: its numbers are not known while the kernel is traced
  at symbolic_mistakes.py:137:5
     | if a:
     | ^^^^^
  help: compare and select elements with k.tiu.greater, k.tiu.select_greater, ...
""",
    "sum_of_tensors": """\
KER112: a f32[1, 4, 2, 8] + x f32[1, 4, 2, 8]: a tensor is memory, with which Python cannot compute
  at symbolic_mistakes.py:143:9
     | b = a + x
     |     ^^^^^
  help: say where the result goes: `k.tiu.add(dst, a, b)`
""",
    "product_with_a_number": """\
KER112: 2 * a f32[1, 4, 2, 8]: a tensor is memory, with which Python cannot compute
  at symbolic_mistakes.py:148:9
     | b = 2 * a
     |     ^^^^^
  help: say where the result goes: `k.tiu.mul(dst, a, b)`
""",
    "compared_tensors": """\
KER112: a f32[1, 4, 2, 8] > 0: a tensor is memory, with which Python cannot compute
  at symbolic_mistakes.py:153:12
     | k.when(a > 0)
     |        ^^^^^
  help: say where the result goes: `k.tiu.greater(dst, a, b)`
""",
    "assigned": """\
KER112: assignment to elements of a f32[1, 4, 2, 8]: a tensor is memory, with which Python cannot compute
  at symbolic_mistakes.py:158:5
     | a[:, :, :, 0:1] = 0
     | ^^^^^^^^^^^^^^^
  help: write `k.tiu.fill(a[...], number)`, `k.tiu.copy(a[...], b)` or `k.dma.load(a[...], x)`
""",
    "numpy_function": """\
KER112: numpy on a f32[1, 4, 2, 8]: a tensor is memory, with which Python cannot compute
  at symbolic_mistakes.py:163:5
     | np.exp(a)
     | ^^^^^^^^^
  help: use the operations of k.tiu; numpy's are for arrays outside of the kernel
""",
    "misspelt_group": """\
KER110: there is no operation k.tui
  at symbolic_mistakes.py:168:5
     | k.tui.add(a, a, 1)
     | ^^^^^
  help: did you mean k.tiu?
""",
    "top_level": """\
KER110: there is no operation k.load
  at symbolic_mistakes.py:173:5
     | k.load(a, x)
     | ^^^^^^
  help: did you mean k.dma.load?
""",
    "name_of_numpy": """\
KER110: there is no operation k.tiu.multiply
  at symbolic_mistakes.py:178:5
     | k.tiu.multiply(a, a, a)
     | ^^^^^^^^^^^^^^
  help: did you mean k.tiu.mul?
""",
    "nothing_like_it": """\
KER110: there is no operation k.tiu.quaternion
  at symbolic_mistakes.py:183:5
     | k.tiu.quaternion(a)
     | ^^^^^^^^^^^^^^^^
  help: the documentation lists all; k.call takes every TPUKernel function
""",
    "breaks": """\
KER102: k.range was left by break or return
  at symbolic_mistakes.py:190:9
     | break
     | ^^^^^
  the loop is at symbolic_mistakes.py:188:15
     | for w0 in k.range(0, 8, 4):
     |           ^^^^^^^^^^^^^^^^
  help: the body is traced once and stands for all steps: use `with k.when(condition):`, or change the limits of the loop
""",
    "returns": """\
KER102: k.pipeline was left by break or return
  at symbolic_mistakes.py:198:13
     | return
     | ^^^^^^
  the loop is at symbolic_mistakes.py:196:19
     | for w0 in k.pipeline(0, 8, 4):
     |           ^^^^^^^^^^^^^^^^^^^
  help: the body is traced once and stands for all steps: use `with k.when(condition):`, or change the limits of the loop
""",
    "takes_the_next": """\
KER102: k.range was left by break or return
  at symbolic_mistakes.py:203:15
     | next(iter(k.range(0, 8, 4)))
     |           ^^^^^^^^^^^^^^^^
  help: the body is traced once and stands for all steps: use `with k.when(condition):`, or change the limits of the loop
""",
}
"""What the message of each kernel of `symbolic_mistakes` is."""


@pytest.mark.parametrize("name", TEXTS)
def test_the_whole_text(name: str) -> None:
    with pytest.raises(TpuError) as caught:
        vars(symbolic_mistakes)[name](np.ones(symbolic_mistakes.SHAPE, np.float32))
    assert str(caught.value).splitlines() == TEXTS[name].splitlines()


def test_every_mistake_is_tested() -> None:
    assert TEXTS.keys() == {name for name, value in vars(symbolic_mistakes).items() if isinstance(value, Kernel)}


def test_other_names_lead_to_operations_that_exist() -> None:
    from tpukernel.lang.dma import DmaOps
    from tpukernel.lang.operations import OTHER_NAMES
    from tpukernel.lang.tiu import TiuOps

    assert [name for name in OTHER_NAMES.values() if not hasattr(TiuOps, name) and not hasattr(DmaOps, name)] == []
    assert [name for name in OTHER_NAMES if hasattr(TiuOps, name) or hasattr(DmaOps, name)] == []
