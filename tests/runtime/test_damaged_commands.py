"""Files from anywhere: whatever the bytes of the commands are, a stage runs or is refused with an error of the project."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from bmlang.bmodel import Binary
from bmlang.runtime import Runtime
from tests.runtime.test_recorded import group_of, with_group
from tests.support.bmodels import ADD, HANDMADE, MATMUL, RELOC
from tests.support.model_runs import runs_of
from tpukernel.errors import TpuError

Stream = Literal["binary_bdc", "binary_gdma"]


@given(
    name=st.sampled_from([ADD, MATMUL, RELOC, HANDMADE]),
    stream=st.sampled_from(("binary_bdc", "binary_gdma")),
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_changed_bytes(name: str, stream: Stream, changes: list[tuple[int, int]]) -> None:
    group, run = group_of(name), runs_of(name)[0]
    binary = group.binary_bdc if stream == "binary_bdc" else group.binary_gdma
    assert binary
    data = bytearray(binary.data)
    for place, value in changes:
        data[place % len(data)] = value
    changed = Binary(bytes(data))
    group = replace(group, binary_bdc=changed) if stream == "binary_bdc" else replace(group, binary_gdma=changed)
    (net,) = Runtime(with_group(name, group)).nets.values()
    try:
        found = net.run(run.inputs)
    except TpuError:
        return
    for key, wanted in run.outputs.items():
        assert (found[key].dtype, found[key].shape) == (wanted.dtype, wanted.shape)
