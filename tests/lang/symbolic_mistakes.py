"""Kernels that use Python on what is not known while they are traced, one construct each; and other words that kernels do not have."""
# pyright: basic, reportOperatorIssue=false, reportIndexIssue=false, reportCallIssue=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportUnusedExpression=false, reportAssertTypeFailure=false
# ruff: noqa: B007, F841

from __future__ import annotations

import math

import numpy as np

import tpukernel as tpu

SHAPE = (1, 4, 2, 8)


def in_a_loop(body):
    """A kernel that does something with the index of a loop and a buffer."""

    def traced(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
        a = k.local(SHAPE, x.dtype)
        for w0 in k.range(0, 8, 4):
            body(k, w0, a, x)

    traced.__name__ = body.__name__
    return tpu.kernel(traced)


@in_a_loop
def if_else(k, w0, a, x):
    if w0 > 0:
        k.tiu.fill(a, 0)
    else:
        k.tiu.fill(a, 1)


@in_a_loop
def elif_(k, w0, a, x):
    if k is None:
        pass
    elif w0 == 4:
        k.tiu.fill(a, 0)


@in_a_loop
def while_(k, w0, a, x):
    while w0 < 2:
        pass


@in_a_loop
def and_(k, w0, a, x):
    if w0 > 0 and w0 < 4:
        pass


@in_a_loop
def or_(k, w0, a, x):
    k.when(w0 == 0 or w0 == 4)


@in_a_loop
def not_(k, w0, a, x):
    k.when(not w0 > 0)


@in_a_loop
def chained(k, w0, a, x):
    k.when(0 < w0 < 4)


@in_a_loop
def choice(k, w0, a, x):
    size = 4 if w0 == 0 else 2


@in_a_loop
def assert_(k, w0, a, x):
    assert w0 < 8


@in_a_loop
def minimum(k, w0, a, x):
    size = min(4, 8 - w0)


@in_a_loop
def range_(k, w0, a, x):
    for i in range(w0):
        pass


@in_a_loop
def integer(k, w0, a, x):
    number = int(w0)


@in_a_loop
def length(k, w0, a, x):
    len(x[:, :, :, w0:][0, 0, 0])


@in_a_loop
def listed(k, w0, a, x):
    buffers = [a, a]
    buffers[w0]


@in_a_loop
def filtered(k, w0, a, x):
    [i for i in (1, 2) if w0 > i]


@in_a_loop
def halved(k, w0, a, x):
    half = w0 / 2


@in_a_loop
def rounded_up(k, w0, a, x):
    math.ceil(w0 / 4)


@in_a_loop
def formatted(k, w0, a, x):
    text = f"step {w0:03d}"


@in_a_loop
def over_a_tensor(k, w0, a, x):
    for row in x:
        pass


@in_a_loop
def if_tensor(k, w0, a, x):
    if a:
        pass


@in_a_loop
def sum_of_tensors(k, w0, a, x):
    b = a + x


@in_a_loop
def product_with_a_number(k, w0, a, x):
    b = 2 * a


@in_a_loop
def compared_tensors(k, w0, a, x):
    k.when(a > 0)


@in_a_loop
def assigned(k, w0, a, x):
    a[:, :, :, 0:1] = 0


@in_a_loop
def numpy_function(k, w0, a, x):
    np.exp(a)


@in_a_loop
def misspelt_group(k, w0, a, x):
    k.tui.add(a, a, 1)


@in_a_loop
def top_level(k, w0, a, x):
    k.load(a, x)


@in_a_loop
def name_of_numpy(k, w0, a, x):
    k.tiu.multiply(a, a, a)


@in_a_loop
def nothing_like_it(k, w0, a, x):
    k.tiu.quaternion(a)


@tpu.kernel
def breaks(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    for w0 in k.range(0, 8, 4):
        k.print(w0)
        break


@tpu.kernel
def returns(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    for _ in k.range(2):
        for w0 in k.pipeline(0, 8, 4):
            k.print(w0)
            return


@tpu.kernel
def takes_the_next(k: tpu.Builder, x: tpu.In, out: tpu.Out) -> None:
    next(iter(k.range(0, 8, 4)))
