"""Boxes that overlap: non-maximum suppression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmlang.host.errors import CpuOperatorError
from bmlang.host.registry import OWN, Array, Parameters, cpu_operator, same_types
from bmlang.host.sorting import order

__all__ = ["NMS", "Nms", "nms", "nms_any"]

NMS = 46
TYPES = ("float32", "float32", "int32", "float32", "float32")
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Nms(Parameters):
    """libsophon's `cpu_onnx_nms_param_t`.

    Attributes:
        center: boxes are (x centre, y centre, width, height), not two corners (y, x, y, x). The official library ends the process then.
        most: boxes of a class at most; without effect, as the third input says it.
    """

    center: int = 0
    most: int = 0
    title = "nms"
    layout = "<ii"


@cpu_operator(NMS)
def nms(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """Of boxes that overlap, those with the largest scores: int32 (count, 3) of batch, class and box, as ONNX's NonMaxSuppression has them.

    Inputs: float32 boxes (batch, boxes, 4) and scores (batch, classes, boxes); one element each of int32 most boxes of a class and batch
    (below 0 and above the number of boxes: all), float32 overlap (intersection over union) above which a box falls to a better one,
    and float32 score that a box has to exceed.

    Of equal scores the first box comes first. (The official library takes its candidates from a heap, which says nothing about equal ones.)

    Raises:
        CpuOperatorError: the inputs have other types or shapes, or boxes are given by their centres.
    """
    same_types("nms", inputs, TYPES)
    if Nms.read(parameters).center:
        raise CpuOperatorError("nms of boxes that are given by their centres", help=f"operator {OWN + NMS} takes them")
    return nms_any(parameters, inputs)


@cpu_operator(OWN + NMS)
def nms_any(parameters: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    """As `nms`, for every float type, and also for boxes that are given by their centres."""
    center = Nms.read(parameters).center
    same_types("nms", inputs, (None, None, "int32", "float32", "float32"))
    boxes, scores = inputs[0].astype(np.float32), inputs[1].astype(np.float32)
    if boxes.ndim != 3 or scores.ndim != 3 or boxes.shape != (scores.shape[0], scores.shape[2], 4) or any(x.size != 1 for x in inputs[2:]):
        raise CpuOperatorError(f"nms has inputs of the shapes {[array.shape for array in inputs]}")
    given = int(inputs[2].reshape(-1)[0].item())
    most = given if 0 <= given <= boxes.shape[1] else boxes.shape[1]
    overlap, least = (np.float32(array.reshape(-1)[0].item()) for array in inputs[3:])
    rows = [
        (batch, kind, box)
        for batch, corners in enumerate(_corners(each, center=bool(center)) for each in boxes)
        for kind in range(scores.shape[1])
        for box in _chosen(corners, scores[batch, kind], most, overlap, least)
    ]
    return [np.array(rows, np.int32).reshape(-1, 3)]


def _corners(boxes: Floats, *, center: bool) -> Floats:
    """Boxes as least and greatest corner, (4, boxes)."""
    first, second = boxes[:, :2], boxes[:, 2:]
    if center:
        half = second * np.float32(0.5)
        first, second = first - half, first + half
    return np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=1).T


def _chosen(corners: Floats, scores: Floats, most: int, overlap: np.float32, least: np.float32) -> Iterator[int]:
    """The boxes of a class that are kept, best first."""
    ranked = order(scores, 0, descending=True)
    left = ranked[scores[ranked] > least]
    for _ in range(most):
        if not left.size:
            return
        best, left = int(left[0].item()), left[1:]
        yield best
        left = left[~(_overlaps(corners[:, [best]], corners[:, left]) > overlap)]


def _overlaps(one: Floats, others: Floats) -> Floats:
    """Intersection over union of a box with others, 0 where there is none; every step in float32, as the official library computes."""
    size = np.maximum(np.minimum(one[2:], others[2:]) - np.maximum(one[:2], others[:2]), np.float32(0))
    common = size[0] * size[1]
    areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (one, others)]
    with np.errstate(all="ignore"):
        found = common / (areas[0] + areas[1] - common)
    # Where nothing is common, a box falls to no other one, even if the overlap that is allowed is below 0.
    return np.where((areas[0] > 0) & (areas[1] > 0) & (common != 0), found, np.float32(-np.inf)).astype(np.float32)
