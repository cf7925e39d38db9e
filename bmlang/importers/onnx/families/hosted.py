"""Operators that a fixed program of the TPU cannot hold: the host computes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bmlang.importers.onnx.elements import INT64
from bmlang.importers.onnx.node import Handler, NotSupported, OnnxNode, Result
from bmlang.importers.onnx.values import Live
from bmlang.layers.arrange import concat, permute
from bmlang.layers.cast import cast
from bmlang.layers.regions import nms, roi_align
from bmlang.layers.selection import nonzero, unique
from bmlang.layers.shape import reshape
from bmlang.layers.sorting import topk

__all__ = ["TABLE"]


def _topk(node: OnnxNode) -> Result:
    x = node.tensor(0)
    k = node.integer("k") if node.opset < 10 else int(node.known(1).reshape(-1)[0])
    axis = node.axis(-1)
    in_order = bool(node.integer("sorted", 1))
    values, indices = topk(x, k, axis, largest=bool(node.integer("largest", 1)), in_order=in_order)
    return [values, Live(indices, INT64)]


def _nms(node: OnnxNode) -> Result:
    boxes, scores = node.tensor(0), node.tensor(1)
    numbers = [node.optional_known(index) for index in (2, 3, 4)]
    most, overlap, least = (None if each is None or not each.size else each.reshape(-1)[0].item() for each in numbers)
    most = int(most) if isinstance(most, int | float) else 0
    if most < 1:
        raise NotSupported("no box at all (max_output_boxes_per_class is 0)")
    most = min(most, boxes.shape[1])
    center = bool(node.integer("center_point_box", 0))
    limit = float(least) if isinstance(least, int | float) else float("-inf")
    found = nms(boxes, scores, most, overlap=float(overlap) if isinstance(overlap, int | float) else 0.0, least=limit, center=center)
    return Live(found, INT64)


def _nonzero(node: OnnxNode) -> Result:
    return Live(permute(nonzero(node.tensor(0)), (1, 0)), INT64)


def _unique(node: OnnxNode) -> Result:
    if "axis" in node.attributes or not node.integer("sorted", 1):
        raise NotSupported("rows along a dimension, or an order that is not that of the values")
    values, *places = unique(node.tensor(0))
    return [values, *(Live(each, INT64) for each in places)]


def _roi_align(node: OnnxNode) -> Result:
    if node.text("mode", "avg") != "avg":
        raise NotSupported("the largest of the interpolated points (mode max)")
    x, boxes = node.tensor(0), node.tensor(1)
    images = cast(node.tensor(2), boxes.dtype)
    rois = concat([reshape(images, (boxes.shape[0], 1)), boxes], 1)
    size = node.integer("output_height", 1), node.integer("output_width", 1)
    half = node.opset >= 16 and node.text("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    return roi_align(x, rois, size, scale=node.number("spatial_scale", 1.0), samples=node.integer("sampling_ratio", 0), aligned=half)


TABLE: Final[Mapping[str, Handler]] = {
    "NonMaxSuppression": _nms,
    "NonZero": _nonzero,
    "RoiAlign": _roi_align,
    "TopK": _topk,
    "Unique": _unique,
}
