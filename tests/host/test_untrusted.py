"""Parameters of operators of the host come from files: whatever they are, there is an error with a code, or a result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmlang.host import CPU_OPERATORS, OWN, CpuOperatorError, HostLayerError
from bmlang.host.boxes import Nms
from bmlang.host.layers import LAYER, HostLayer
from bmlang.host.regions import RoiAlign, RoiExtractor
from bmlang.host.registry import Array
from bmlang.host.sampling import GridSample
from bmlang.host.selection import FillUp
from bmlang.host.sorting import Sort, TopK
from tpukernel.dtypes import bf16, f32

NUMBERS = sorted(CPU_OPERATORS)
TYPES = ("f4", "f2", "i4", "u1", "i1")


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    """Small tensors of any type; elements of floats may be anything."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    data = draw(st.binary(min_size=1, max_size=64))
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    return np.resize(np.frombuffer(data * dtype.itemsize, dtype), shape)


@given(number=st.sampled_from(NUMBERS), parameters=st.binary(max_size=64), inputs=st.lists(arrays(), max_size=6))
def test_anything_is_refused_or_computed(number: int, parameters: bytes, inputs: Sequence[Array]) -> None:
    try:
        with np.errstate(all="ignore"):
            results = CPU_OPERATORS[number](parameters, inputs)
    except (CpuOperatorError, HostLayerError):
        return
    assert all(isinstance(each, np.ndarray) for each in results)


@given(
    height=st.integers(-2, 1 << 31 - 1),
    width=st.integers(-2, 3),
    scale=st.floats(width=32),
    samples=st.integers(-3, 1 << 30),
    box=st.lists(st.floats(width=32), min_size=5, max_size=5),
    aligned=st.booleans(),
)
def test_regions_of_any_size(height: int, width: int, scale: float, samples: int, box: list[float], aligned: bool) -> None:
    parameters = RoiAlign(min(height, 1 << 12), width, scale, samples, aligned).data()
    x, rois = np.ones((1, 2, 3, 3), np.float32), np.array([[0, *box[1:]]], np.float32)
    try:
        (found,) = CPU_OPERATORS[38](parameters, [x, rois])
    except CpuOperatorError:
        return
    assert np.isfinite(found).all() and found.max(initial=0) <= 1.001


@pytest.mark.parametrize(
    ("number", "parameters", "inputs", "text"),
    [
        (20, b"\x00" * 7, [np.zeros(3, "f4")], "sort has 7 bytes of parameters instead of 8"),
        (20, Sort(1).data(), [np.zeros(3, "f4")], "sort along axis 1"),
        (20, Sort(0).data(), [np.zeros(3, "i4")], "instead of float32"),
        (OWN + 17, TopK(-2, 0).data(), [np.zeros(3, "i4")], "topk of -2"),
        (OWN + 1000, Sort(0).data(), [np.zeros(3, "f4"), np.zeros(2, "f4")], r"key of shape \(2,\)"),
        (22, b"\x00", [np.zeros((2, 3), "f4"), np.zeros(2, "f4")], r"mask of shape \(2,\)"),
        (46, Nms(center=1).data(), [*[np.zeros((1, 2, 4), "f4")] * 2, np.zeros(1, "i4"), *[np.zeros(1, "f4")] * 2], "centres"),
        (46, Nms().data(), [*[np.zeros((1, 2, 4), "f4")] * 2, np.zeros(1, "i4"), *[np.zeros(1, "f4")] * 2], "nms has inputs"),
        (OWN + 1002, b"", [np.zeros(3, "f4")], "0 bytes of parameters instead of 44"),
        (OWN + 1002, FillUp((2,), bytes(4)).data(), [np.zeros(3, "f4")], r"fill_up to \(2,\)"),
        (OWN + 1002, FillUp((1 << 30, 1 << 30), bytes(4)).data(), [np.zeros((3, 1), "f4")], "has the shape"),
        (38, RoiAlign(0, 1, 1, 0, True).data(), [np.zeros((1, 1, 2, 2), "f4"), np.zeros((1, 5), "f4")], "to 0 x 1"),
        (38, RoiAlign(1, 1, 1, 0, True).data(), [np.zeros((1, 1, 2, 2), "f4"), np.full((1, 5), 9, "f4")], "for 1 images"),
        (38, RoiAlign(9, 9, 1, 1 << 29, True).data(), [np.zeros((1, 1, 2, 2), "f4"), np.zeros((1, 5), "f4")], "points"),
        (40, GridSample(2, 0, True).data(), [np.zeros((1, 1, 2, 2), "f4"), np.zeros((1, 1, 1, 2), "f4")], "method=2"),
        (40, GridSample(0, 0, True).data(), [np.zeros((1, 1, 2, 2), "f4"), np.zeros((1, 1, 1, 3), "f4")], r"\(1, 1, 1, 3\)"),
        (
            OWN + 1004,
            RoiExtractor(1, 1, 0, True).data(),
            [np.zeros((1, 5), "f4"), np.ones(1, "i4"), np.zeros((1, 1, 2, 2), "f4")],
            "levels up to 1 for 1",
        ),
    ],
)
def test_messages(number: int, parameters: bytes, inputs: list[Array], text: str) -> None:
    with pytest.raises(CpuOperatorError, match=text):
        CPU_OPERATORS[number](parameters, inputs)


@given(
    name=st.text(max_size=9),
    attrs=st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4) | st.sampled_from([f32, bf16]),
            lambda each: st.lists(each, max_size=3).map(tuple),
            max_leaves=6,
        ),
        max_size=4,
    ),
)
def test_arguments_of_layers_come_back(name: str, attrs: dict[str, object]) -> None:
    made = HostLayer(name, (f32, bf16), attrs)  # pyright: ignore[reportArgumentType]
    assert HostLayer.read(made.data()) == made


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "without a name"),
        (b"[]", "without a name"),
        (b'{"layer": "a::b", "outputs": [], "attrs": []}', "without a name"),
        (b'{"layer": "a::b", "outputs": ["f31"], "attrs": {}}', "'f31'"),
        (b'{"layer": "a::b", "outputs": [], "attrs": {"x": {"y": 1}}}', "no value"),
        (b'{"layer": "a::b", "outputs": [], "attrs": {"x": [[[[[[[[[[1]]]]]]]]]]}}', "nested"),
        (b"[" * 70000, "without a name"),
        (b"[" * 50000, "without a name"),
        (b'{"layer": "nobody::has", "outputs": [], "attrs": {}}', "nobody::has, which is not registered"),
    ],
)
def test_layers_that_a_file_cannot_have(data: bytes, text: str) -> None:
    with pytest.raises(HostLayerError, match=text):
        CPU_OPERATORS[LAYER](data, [])


def test_arguments_that_are_too_long() -> None:
    with pytest.raises(HostLayerError, match="65536 are allowed"):
        HostLayer("a::b", (), {"x": "y" * 70000}).data()
