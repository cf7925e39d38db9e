"""Programs of TpuLang with one mistake each. The lines are part of the expected messages."""

from __future__ import annotations

import numpy as np

from bmlang import tpulang as tpul

WEIGHT = np.ones((4, 3, 3, 3), np.float32)


def image() -> tpul.Tensor:
    return tpul.Tensor([1, 3, 8, 8], "x")


def takes_an_array() -> None:
    tpul.conv(image(), WEIGHT)  # pyright: ignore[reportArgumentType]


def forgets_an_argument() -> None:
    tpul.softmax(image())  # pyright: ignore[reportCallIssue]


def mixes_types() -> None:
    x, y = image(), tpul.Tensor([1, 3, 8, 8], dtype="float16")
    tpul.add(tpul.relu(x), y)


def mixes_shapes() -> None:
    tpul.add(image(), tpul.Tensor([1, 3, 8, 7], "y"))


def gives_two_strides() -> None:
    weight = tpul.Tensor(data=WEIGHT, ttype="coeff")
    tpul.conv(image(), weight, stride=[2])


def forgets_the_scale() -> None:
    tpul.exp(tpul.Tensor([1, 3], "q", dtype="int8"))


def says_two_scales() -> None:
    q = tpul.Tensor([1, 3], "q", dtype="int8", scale=0.5)
    tpul.exp(q, scale=[0.25, 0.1])


def rounds_oddly() -> None:
    tpul.cast(image(), "int8", round_mode="sideways")


def uses_another_graph() -> None:
    y = tpul.relu(image(), out_name="y")
    tpul.reset_default_graph()
    tpul.abs(y)


def needs_a_coefficient() -> None:
    tpul.prelu(image(), tpul.Tensor([3, 1, 1], "slope"))


def compiles_what_it_makes() -> None:
    y = tpul.relu(image(), out_name="y")
    tpul.compile_f32("net", [y], [y])


def has_no_mode() -> None:
    x = image()
    tpul.compile_f32("net", [x], [tpul.relu(x)], mode="int4")


def refers_to_nothing() -> None:
    x = image()
    tpul.compile_f32("net", [x], [tpul.relu(x, out_name="y")], refs={"z": WEIGHT}, no_save=False)


def has_a_block() -> None:
    x = image()
    tpul.deformable_attention(x, x, x, [[8, 8]])
