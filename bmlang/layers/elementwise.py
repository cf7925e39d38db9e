"""Arithmetic element by element: two operands, broadcast as in numpy, or one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.layers.base import FLOATS, Call, Layer, LocalForm, Piece
from bmlang.layers.pointwise import broadcast_shape, common_dtype, pointwise
from bmlang.layers.registry import add as add_layer
from bmlang.layers.tensor import Operand, Tensor, apply
from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u8, u16, u32
from tpukernel.lang.operations import Source
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

__all__ = ["abs", "add", "div", "max", "min", "mul", "neg", "square", "sub"]

INTEGERS = (i8, u8, i16, u16, i32, u32)


@dataclass(frozen=True, kw_only=True)
class Elementwise(Layer):
    """An operation element by element.

    Attributes:
        name: the layer.
        inputs: names of its operands.
        numpy: what it is in numpy; gets the operands, and the other arguments by name.
        compute: what it is on the tensor unit; gets the piece, the operands, and the other arguments by name.
        defaults: its other arguments.
        check: refuses arguments that there are not.
        dtypes: the data types that it works on.
        operations: elementwise operations of the tensor unit that it takes.
        work_buffers: buffers like the result that it uses.
    """

    name: str
    inputs: tuple[str, ...]
    numpy: Callable[..., Array]
    compute: Callable[..., None]
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    check: Callable[[Mapping[str, Attribute]], None] = lambda _: None
    dtypes: tuple[Dtype, ...] = FLOATS
    operations: int = 1
    work_buffers: int = 0
    elementwise = True

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        self.check(attrs)
        given = [spec for spec in inputs if spec is not None]
        floats = FLOATS if any(dtype.is_float for dtype in self.dtypes) else ()
        allowed = (*floats, *(dtype for dtype in self.dtypes if dtype.is_int))
        return TensorSpec(broadcast_shape(self.name, given), common_dtype(self.name, given, allowed))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array:
        return self.numpy(*inputs, **attrs)

    def local(self, call: Call) -> LocalForm:
        compute = partial(self.compute, **call.attrs)
        return pointwise(call, compute, operations=self.operations, work_buffers=self.work_buffers)


def named(operation: str) -> Callable[..., None]:
    """The operation of the tensor unit of this name, which takes the other arguments of the layer by their names."""

    def compute(piece: Piece, operands: Sequence[Source], **attrs: Attribute) -> None:
        getattr(piece.k.tiu, operation)(piece.out, *operands, **attrs)

    return compute


def wide(numpy: Callable[..., Array]) -> Callable[..., Array]:
    """In float64 or int64, so that nothing wraps before it is rounded."""

    def reference(*arrays: Array, **attrs: Attribute) -> Array:
        kind = np.int64 if all(np.issubdtype(array.dtype, np.integer) for array in arrays) else np.float64
        return numpy(*(array.astype(kind) for array in arrays), **attrs)

    return reference


EVERY = (*FLOATS, *INTEGERS)
SIGNED = tuple(dtype for dtype in EVERY if dtype.is_signed)
"""Differences of the tensor unit are signed, whatever the operands are."""


def _copy(piece: Piece, operands: Sequence[Source]) -> None:
    (source,) = operands
    if isinstance(source, Tile):
        piece.k.tiu.copy(piece.out, source)
    else:
        piece.k.tiu.fill(piece.out, source)


def _register(name: str, inputs: tuple[str, ...], numpy: Callable[..., Array], dtypes: tuple[Dtype, ...], operations: int = 1) -> None:
    layer = Elementwise(name=f"bm::{name}", inputs=inputs, numpy=wide(numpy), compute=named(name), dtypes=dtypes, operations=operations)
    add_layer(layer, __name__)


_register("add", ("a", "b"), np.add, EVERY)
_register("sub", ("a", "b"), np.subtract, SIGNED)
_register("mul", ("a", "b"), np.multiply, EVERY)
_register("max", ("a", "b"), np.maximum, EVERY)
_register("min", ("a", "b"), np.minimum, EVERY)
_register("div", ("a", "b"), np.true_divide, (f32,), operations=31)
_register("neg", ("x",), np.negative, FLOATS)
_register("abs", ("x",), np.abs, FLOATS)
_register("square", ("x",), np.square, FLOATS)
add_layer(Elementwise(name="bm::copy", inputs=("x",), numpy=np.positive, compute=_copy, dtypes=EVERY), __name__)


def add(a: Operand, b: Operand) -> Tensor:
    """a + b, broadcast as in numpy; integers are limited to their type."""
    return apply("bm::add", a, b)


def sub(a: Operand, b: Operand) -> Tensor:
    """a - b, of floats or signed integers, broadcast as in numpy; integers are limited to their type."""
    return apply("bm::sub", a, b)


def mul(a: Operand, b: Operand) -> Tensor:
    """a * b, broadcast as in numpy; integers are limited to their type."""
    return apply("bm::mul", a, b)


def div(a: Operand, b: Operand) -> Tensor:
    """a / b in f32 (f16 and bf16 are computed as f32), broadcast as in numpy."""
    return apply("bm::div", a, b)


def max(a: Operand, b: Operand) -> Tensor:
    """The larger one of a and b, broadcast as in numpy."""
    return apply("bm::max", a, b)


def min(a: Operand, b: Operand) -> Tensor:
    """The smaller one of a and b, broadcast as in numpy."""
    return apply("bm::min", a, b)


def neg(x: Operand) -> Tensor:
    """-x, floats."""
    return apply("bm::neg", x)


def abs(x: Operand) -> Tensor:
    """The absolute value of x, floats."""
    return apply("bm::abs", x)


def square(x: Operand) -> Tensor:
    """x * x, floats."""
    return apply("bm::square", x)
