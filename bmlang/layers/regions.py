"""Boxes and regions of images, on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from bmlang.graph.graph import Array, Attribute
from bmlang.host import CPU_OPERATORS, OWN
from bmlang.host.boxes import NMS, Nms
from bmlang.host.regions import ROI_ALIGN, ROI_EXTRACTOR, RoiAlign, RoiExtractor
from bmlang.layers.arrange import concat
from bmlang.layers.base import FLOATS, Bounds, HostUse
from bmlang.layers.cast import cast as to_type
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.gather import gather
from bmlang.layers.host import HostOperator, wanted_dtype
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, apply_many, here
from tpukernel.dtypes import f32, i32
from tpukernel.lang.signature import TensorSpec

__all__ = ["nms", "roi_align", "roi_extractor"]

MOST_LEVELS = 8


@register
class NmsLayer(HostOperator):
    """Of boxes that overlap, those with the largest scores."""

    name = "bm::nms"
    inputs = ("boxes", "scores", "limit", "overlap", "least")
    defaults: Mapping[str, object] = {"most": ..., "center": False}
    operator, official = OWN + NMS, (f32, f32, i32, f32, f32)
    dtypes = FLOATS

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        given = [spec for spec in inputs if spec is not None]
        boxes, scores = given[:2]
        for name, spec in zip(self.inputs, given, strict=True):
            wanted_dtype(f"{name} of nms", spec, *((i32,) if name == "limit" else FLOATS))
        if len(boxes.shape) != 3 or len(scores.shape) != 3 or boxes.shape != (scores.shape[0], scores.shape[2], 4):
            raise ShapeError(
                f"nms of boxes {list(boxes.shape)} with scores {list(scores.shape)}",
                position=here(),
                help="boxes are (batch, boxes, 4), scores (batch, classes, boxes)",
            )
        most = attrs["most"]
        if not isinstance(most, int) or most < 1:
            raise OperatorArgumentError(f"at most {most!r} boxes of a class", position=here(), help="give 1 or more")
        return TensorSpec((scores.shape[0] * scores.shape[1] * min(most, boxes.shape[1]), 3), i32)

    def is_official(self, use: HostUse) -> bool:
        return super().is_official(use) and not use.attrs["center"]

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Sequence[Tensor] | None:
        """The TPU computes corners from centres, with the roundings of the host."""
        boxes, *others = inputs
        if boxes is None or not attrs["center"]:
            return super().decompose(inputs, attrs)
        wide = boxes if boxes.dtype == f32 else to_type(boxes, f32)
        centre, half = wide[..., :2], wide[..., 2:] * 0.5
        return apply_many(self.name, concat([centre - half, centre + half], 2), *others, **{**attrs, "center": False})

    def bounded(self, use: HostUse) -> Sequence[Bounds]:
        return [(0,)]

    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        return Nms(int(bool(attrs["center"])), cast("int", attrs["most"])).data()

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Sequence[Array]:
        given = [array for array in inputs if array is not None]
        arrays = [array.astype(np.int32 if name == "limit" else np.float32) for name, array in zip(self.inputs, given, strict=True)]
        return CPU_OPERATORS[self.operator](self.parameters((), attrs), arrays)


class _Regions(HostOperator):
    """Layers with regions as an input."""

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Sequence[Array]:
        given = [array for array in inputs if array is not None]
        arrays = [array if np.issubdtype(array.dtype, np.integer) else array.astype(np.float32) for array in given]
        return CPU_OPERATORS[self.operator](self.parameters((), attrs), arrays)


@register
class RoiAlignLayer(_Regions):
    """Regions of feature maps, brought to one size."""

    name = "bm::roi_align"
    inputs = ("x", "rois")
    defaults: Mapping[str, object] = {"size": ..., "scale": 1.0, "samples": 0, "aligned": True}
    operator, official = OWN + ROI_ALIGN, (f32, f32)
    dtypes = FLOATS

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, rois = (spec for spec in inputs if spec is not None)
        return _inferred("roi_align", [x], rois, attrs)

    def bounded(self, use: HostUse) -> Sequence[Bounds] | None:
        return None if use.bounds[0] else [use.bounds[1]]

    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        height, width = cast("tuple[int, int]", attrs["size"])
        scale, samples = cast("float", attrs["scale"]), cast("int", attrs["samples"])
        return RoiAlign(height, width, scale, samples, bool(attrs["aligned"])).data()


@register
class RoiExtractorLayer(_Regions):
    """Regions, each from a feature map of its own."""

    name = "bm::roi_extractor"
    inputs = ("rois", "levels", "x*")
    defaults: Mapping[str, object] = {"size": ..., "scales": ..., "samples": 0, "aligned": True}
    operator = ROI_EXTRACTOR
    dtypes = FLOATS

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        rois, levels, *maps = (spec for spec in inputs if spec is not None)
        wanted_dtype("levels of roi_extractor", levels, i32)
        scales = cast("tuple[float, ...]", attrs["scales"])
        if not 1 <= len(maps) <= MOST_LEVELS or len(scales) != len(maps) or levels.shape != rois.shape[:1]:
            raise ShapeError(
                f"{len(maps)} feature maps with {len(scales)} scales, regions {list(rois.shape)} with levels {list(levels.shape)}",
                position=here(),
                help=f"give a level for each region, a scale for each of up to {MOST_LEVELS} feature maps",
            )
        return _inferred("roi_extractor", maps, rois, attrs)

    def bounded(self, use: HostUse) -> Sequence[Bounds] | None:
        regions, levels, *maps = use.bounds
        return None if any(maps) else [tuple(sorted({*regions, *levels}))]

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Sequence[Tensor]:
        """All regions from each feature map, as the official library has it; then the TPU takes each from its own."""
        rois, levels, *maps = (tensor for tensor in inputs if tensor is not None)
        same = {name: attrs[name] for name in ("size", "samples", "aligned")}
        scales = cast("tuple[float, ...]", attrs["scales"])
        found = [apply("bm::roi_align", x, rois, scale=scale, **same) for x, scale in zip(maps, scales, strict=True)]
        count = rois.shape[0]
        return [gather(concat(found, 0), levels * count + np.arange(count, dtype=np.int32), 0)]

    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        height, width = cast("tuple[int, int]", attrs["size"])
        scales = cast("tuple[float, ...]", attrs["scales"])
        return RoiExtractor(height, width, cast("int", attrs["samples"]), bool(attrs["aligned"]), *scales).data()


def _inferred(name: str, maps: Sequence[TensorSpec], rois: TensorSpec, attrs: Mapping[str, Attribute]) -> TensorSpec:
    for spec in (*maps, rois):
        wanted_dtype(f"a tensor of {name}", spec, *FLOATS)
    if any(len(spec.shape) != 4 or spec.shape[1] != maps[0].shape[1] for spec in maps) or len(rois.shape) != 2 or rois.shape[1] != 5:
        shapes = ", ".join(str(list(spec.shape)) for spec in maps)
        raise ShapeError(
            f"{name} of x {shapes} with regions {list(rois.shape)}",
            position=here(),
            help="x is (batch, channels, rows, columns), regions are (count, 5): image, x, y, x, y",
        )
    size = attrs["size"]
    if not isinstance(size, tuple) or len(size) != 2 or any(not isinstance(each, int) or each < 1 for each in size):
        raise OperatorArgumentError(f"the size of {name} is {size!r}", position=here(), help="give rows and columns")
    if len({spec.dtype for spec in maps}) > 1:
        raise ShapeError(f"feature maps of {name} have different data types", position=here(), help="convert them with bm.cast")
    return TensorSpec((rois.shape[0], maps[0].shape[1], *cast("tuple[int, int]", size)), maps[0].dtype)


def nms(boxes: Operand, scores: Operand, most: int, *, overlap: float = 0.5, least: float = float("-inf"), center: bool = False) -> Tensor:
    """Non-maximum suppression: of boxes that overlap, those with the largest scores, for each image and class. On the host.

    Args:
        boxes: floats (batch, boxes, 4): two opposite corners (y, x, y, x) as in ONNX; with `center` centre x, y, width, height.
        scores: floats (batch, classes, boxes).
        most: boxes of a class of an image at most.
        overlap: a box whose intersection over union with a better one exceeds it falls.
        least: a box whose score does not exceed it falls.
        center: what boxes are.

    Returns:
        i32 (count, 3): image, class and box, by image and class, the best first. The count depends on the data. Of equal scores the first
        box comes first; the official runtime has no rule for these.
    """
    limit, values = np.array([most], np.int32), [np.array([value], np.float32) for value in (overlap, least)]
    return apply("bm::nms", boxes, scores, limit, *values, most=most, center=center)


def roi_align(x: Operand, rois: Operand, size: Sequence[int], *, scale: float = 1.0, samples: int = 0, aligned: bool = True) -> Tensor:
    """Regions of feature maps, brought to one size by averages of interpolated points. On the host.

    Args:
        x: floats (batch, channels, rows, columns).
        rois: floats (count, 5): image, x, y, x, y.
        size: rows and columns of the result.
        scale: from coordinates of `rois` to pixels of x.
        samples: points in each direction of an element of the result; 0: as many as it has pixels.
        aligned: pixels are seen as squares whose centres are half a pixel in, and regions may be smaller than one pixel.

    Returns:
        (count, channels, rows, columns) in the data type of x, computed in f32.
    """
    return apply("bm::roi_align", x, rois, size=tuple(size), scale=float(scale), samples=samples, aligned=aligned)


def roi_extractor(
    rois: Operand,
    levels: Operand,
    maps: Sequence[Operand],
    size: Sequence[int],
    *,
    scales: Sequence[float],
    samples: int = 0,
    aligned: bool = True,
) -> Tensor:
    """As `roi_align`, each region from the feature map that its level names. On the host.

    Args:
        rois: floats (count, 5): image, x, y, x, y.
        levels: i32 (count,), numbers of feature maps.
        maps: up to eight of (batch, channels, rows, columns), with as many channels, of one float type.
        size: rows and columns of the result.
        scales: from coordinates of `rois` to pixels, for each feature map.
        samples, aligned: as of `roi_align`.
    """
    values = tuple(float(scale) for scale in scales)
    return apply("bm::roi_extractor", rois, levels, *maps, size=tuple(size), scales=values, samples=samples, aligned=aligned)
