"""The local form of layers that compute element by element, with operands broadcast as in numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bmlang.layers.base import Call, Feed, LocalForm, Piece, lines
from bmlang.layers.errors import OperatorDtypeError, ShapeError
from bmlang.layers.region import Region, four
from bmlang.layers.tensor import here
from tpukernel.dtypes import Dtype
from tpukernel.lang.operations import Source
from tpukernel.lang.signature import TensorSpec

__all__ = ["broadcast_shape", "common_dtype", "pointwise"]

Compute = Callable[[Piece, Sequence[Source]], None]
"""Computes `piece.out` from the operands, in order: tiles, or numbers where an input is a known number."""


def broadcast_shape(name: str, specs: Sequence[TensorSpec]) -> tuple[int, ...]:
    """The shape that numpy's broadcasting gives.

    Raises:
        ShapeError: the shapes do not fit.
    """
    rank = max(len(spec.shape) for spec in specs)
    found: list[int] = []
    for sizes in zip(*((1,) * (rank - len(spec.shape)) + spec.shape for spec in specs), strict=True):
        larger = {size for size in sizes if size != 1}
        if len(larger) > 1:
            told = " and ".join(str(list(spec.shape)) for spec in specs)
            raise ShapeError(f"shapes {told} of {name} do not fit together", position=here(), help="sizes are equal, or one of them is 1")
        found.append(larger.pop() if larger else 1)
    return tuple(found)


def common_dtype(name: str, specs: Sequence[TensorSpec], allowed: Sequence[Dtype]) -> Dtype:
    """The data type of all operands.

    Raises:
        OperatorDtypeError: they differ, or the operator does not have it.
    """
    found = list(dict.fromkeys(spec.dtype for spec in specs))
    if len(found) > 1:
        raise OperatorDtypeError(
            f"operands of {name} have the types {' and '.join(each.name for each in found)}",
            position=here(),
            help="convert one with bm.cast",
        )
    if found[0] not in allowed:
        names = ", ".join(each.name for each in allowed)
        raise OperatorDtypeError(
            f"{name} does not work on {found[0].name}", position=here(), help=f"it works on {names}: convert with bm.cast"
        )
    return found[0]


def pointwise(call: Call, compute: Compute, *, operations: int = 1, work_buffers: int = 0, numbers: bool = True) -> LocalForm:
    """The form of an elementwise layer.

    Args:
        call: the use of the layer.
        compute: what it does.
        operations: elementwise operations that it takes, for the estimate of cycles.
        work_buffers: how many buffers like the result `compute` uses besides its operands.
        numbers: whether an input that is a known number is given as a number.
    """
    spec = call.outputs[0]
    out = four(spec.shape)
    feeds: dict[int, Feed] = {}
    for index, given in enumerate(call.inputs):
        if given is not None and not (numbers and call.number(index) is not None):
            feeds[index] = _feed(four(given.shape), out)
    spread = any(feed.spread for feed in feeds.values())

    def tile(piece: Piece) -> None:
        operands: list[Source] = []
        for index, given in enumerate(call.inputs):
            if given is not None:
                number = call.number(index)
                operands.append(piece.ins[index] if index in feeds or number is None else number)
        compute(piece, operands)

    def scratch(region: Region) -> int:
        n, c, h, w = region.size
        line = -(-h * w * 4 // call.chip.eu_bytes) * call.chip.eu_bytes
        return work_buffers * n * -(-c // call.chip.lanes) * line + (32 * 4 if work_buffers else 0)

    widest = max((spec.dtype, *(each.dtype for each in call.inputs if each is not None)), key=lambda dtype: dtype.bits)
    return LocalForm(
        out=out,
        feeds=feeds,
        tile=tile,
        cut=(1, 1, 1, 1),
        at_once=(0, call.chip.lanes if spread else 0, 0, 0),
        scratch=scratch,
        cycles=lambda region: operations * lines(region, widest, call.chip),
    )


def _feed(shape: tuple[int, int, int, int], out: tuple[int, int, int, int]) -> Feed:
    return Feed(shape, lambda region: region.broadcast(shape), spread=shape[1] == 1 and out[1] > 1)
