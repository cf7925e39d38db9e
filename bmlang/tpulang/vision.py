"""Vision operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import bmlang as bm
from bmlang.layers.tensor import here
from bmlang.tpulang.dtypes import rounding_named
from bmlang.tpulang.errors import NotInTpuLangError
from bmlang.tpulang.operator import FLOATS, check, known, made, needs, operator
from bmlang.tpulang.operator import value as value_of
from bmlang.tpulang.select import places
from bmlang.tpulang.tensor import Tensor

__all__ = [
    "deformable_attention", "interpolate", "interpolate_v2", "multi_scale_deformable_attention", "nms", "roiExtractor", "yuv2rgb",
]  # fmt: skip

COORDINATES: Final = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
FORMATS: Final = ("i420", "yv12", "nv12", "nv21")
"""The numbers of formats of images in brightness and colour."""


@operator
def nms(boxes: Tensor, scores: Tensor, box_format: str = "PYTORCH", max_box_num_per_class: int = 1, out_name: str | None = None) -> Tensor:
    """Boxes that are the best of those that overlap: rows of batch, class and box; how many there are is known at run time.

    Args:
        boxes: (n, boxes, 4), float32.
        scores: (n, classes, boxes), float32.
        box_format: "PYTORCH" for x and y of the middle, width and height, "TENSORFLOW" for y, x, y, x of two corners.
        max_box_num_per_class: at most so many of each class.
        out_name: name of the result.
    """
    needs(boxes, "float32")
    needs(scores, "float32")
    check(box_format in ("PYTORCH", "TENSORFLOW"), f"box_format is {box_format!r}", "choose PYTORCH or TENSORFLOW")
    check(len(boxes.shape) == len(scores.shape) == 3 and max_box_num_per_class > 0, "wrong dimensions or number of boxes", "see the manual")
    # TpuLang has no threshold: boxes that overlap at all fall, as by default in ONNX.
    found = bm.nms(value_of(boxes), value_of(scores), max_box_num_per_class, overlap=0.0, center=box_format == "PYTORCH")
    return made(found, out_name)


@operator
def interpolate(
    input: Tensor,
    scale_h: float,
    scale_w: float,
    method: str = "nearest",
    coord_mode: str = "pytorch_half_pixel",
    out_name: str | None = None,
) -> Tensor:
    """Images of another size.

    Args:
        input: (n, c, h, w); with fewer dimensions the last two are rows and columns.
        scale_h, scale_w: what rows and columns are multiplied by; the sizes are rounded down.
        method: "nearest" or "linear".
        coord_mode: where pixel i of the result lies: "half_pixel" (i + 0.5) / scale - 0.5; "pytorch_half_pixel" the same, and
            0 for a result of 1; "align_corners" i * (size - 1) / (new size - 1); "asymmetric" i / scale.
        out_name: name of the result.
    """
    check(scale_h > 0 and scale_w > 0, f"scales {scale_h} and {scale_w}", "give numbers above 0")
    size = [int(input.shape[-2] * scale_h), int(input.shape[-1] * scale_w)]
    return made(_resized(input, size, [scale_h, scale_w], method, coord_mode), out_name)


@operator
def interpolate_v2(
    input: Tensor,
    roi: Tensor | None = None,
    sizes: Tensor | None = None,
    scale: Sequence[float] | None = None,
    method: str = "nearest",
    coord_mode: str = "pytorch_half_pixel",
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    nearest_mode: str = "round_prefer_floor",
    out_name: str | None = None,
) -> Tensor:
    """`interpolate` with the arguments of Resize in ONNX; of most of them TpuLang has one value only.

    Args:
        input, method, coord_mode, out_name: as of `interpolate`.
        roi, antialias, axes, exclude_outside, extrapolation_value, keep_aspect_ratio_policy, nearest_mode, cubic_coeff_a: their defaults.
        sizes: a coefficient with the sizes of the result: rows and columns, or those of all dimensions.
        scale: what rows and columns are multiplied by, where there are no sizes.
    """
    fixed = (
        roi is None and axes is None and not antialias and not exclude_outside and extrapolation_value == 0.0
        and keep_aspect_ratio_policy == "stretch" and nearest_mode == "round_prefer_floor" and cubic_coeff_a == -0.75
    )  # fmt: skip
    check(fixed, "an argument of Resize that TpuLang does not have", "leave all but sizes, scale, method and coord_mode at their defaults")
    check((sizes is None) is not (scale is None), "sizes and scale", "give one of them")
    if sizes is not None:
        size = [int(each) for each in known(sizes, "sizes").reshape(-1)[-2:]]
    else:
        assert scale is not None  # noqa: S101
        check(len(scale) == 2 and min(scale) > 0, f"scale is {list(scale)}", "give two numbers above 0")
        size = [int(input.shape[-2] * scale[0]), int(input.shape[-1] * scale[1])]
    return made(_resized(input, size, scale, method, coord_mode), out_name)


@operator
def yuv2rgb(
    inputs: Tensor,
    src_format: int,
    dst_format: int,
    ImageOutFormatAttr: str,  # noqa: N803 - its name in TpuLang
    formula_mode: str,
    round_mode: str,
    out_name: str | None = None,
) -> Tensor:
    """Images in brightness and colour as red, green and blue.

    Args:
        inputs: (n, h * 3 / 2, w), uint8.
        src_format: 0 for I420 (YU12), 1 for YV12, 2 for NV12, 3 for NV21.
        dst_format: 4 for red, green, blue; 5 for blue, green, red.
        ImageOutFormatAttr: "UINT8".
        formula_mode: "_601_limited" or "_601_full".
        round_mode: "HalfAwayFromZero" or "HalfToEven".
        out_name: name of the result, (n, 3, h, w).
    """
    needs(inputs, "uint8")
    check(src_format in range(4) and dst_format in (4, 5), f"formats {src_format} and {dst_format}", "choose 0 to 3, and 4 or 5")
    check(ImageOutFormatAttr.upper() == "UINT8", f"ImageOutFormatAttr is {ImageOutFormatAttr}", "choose UINT8")
    check(formula_mode in ("_601_limited", "_601_full"), f"formula_mode is {formula_mode}", "choose _601_limited or _601_full")
    check(round_mode in ("HalfAwayFromZero", "HalfToEven"), f"round_mode is {round_mode}", "choose HalfAwayFromZero or HalfToEven")
    order, formula = "rgb" if dst_format == 4 else "bgr", formula_mode.removeprefix("_")
    found = bm.yuv2rgb(value_of(inputs), FORMATS[src_format], order, formula=formula, rounding=rounding_named(round_mode))
    return made(found, out_name)


@operator
def roiExtractor(  # noqa: N802 - its name in TpuLang
    rois: Tensor,
    target_lvls: Tensor,
    feats: Sequence[Tensor],
    PH: int,  # noqa: N803
    PW: int,  # noqa: N803
    sampling_ratio: int,
    list_spatial_scale: int | Sequence[int],
    num_layer: int,
    mode: str | None = None,
    out_name: str | None = None,
    max_roi_num: int | None = None,
) -> Tensor:
    """For each region of interest a picture of PH x PW, the average of samples of one of several feature maps.

    Args:
        rois: (regions, 5) batch, x0, y0, x1, y1; or (regions, 7) with two numbers before x0 and one at the end.
        target_lvls: (regions): the feature map of each region.
        feats: (n, c, h, w) each.
        PH, PW: rows and columns of the result.
        sampling_ratio: samples of each of them, in both directions.
        list_spatial_scale: pixels of the image for one of each feature map.
        num_layer: how many feature maps.
        mode: "DynFuse", "DynNormal" or "StaticFuse".
        out_name: name of the result, (regions, c, PH, PW).
        max_roi_num: the number of regions.
    """
    check(mode in ("DynFuse", "DynNormal", "StaticFuse"), f"mode is {mode!r}", "choose DynFuse, DynNormal or StaticFuse")
    check(len(feats) == num_layer, f"{len(feats)} feature maps, num_layer {num_layer}", "give as many")
    steps = [list_spatial_scale] * num_layer if isinstance(list_spatial_scale, int) else list(list_spatial_scale)
    check(len(steps) == num_layer and min(steps) > 0, f"list_spatial_scale is {steps}", f"give {num_layer} numbers above 0")
    check(max_roi_num in (None, rois.shape[0]), f"max_roi_num is {max_roi_num}", f"there are {rois.shape[0]} regions")
    check(rois.shape[1:] in ([5], [7]), f"rois {rois.shape}", "give rows of 5 or 7 numbers")
    regions = value_of(rois)
    if rois.shape[1] == 7:
        batch = regions[:, 1:2] if mode != "DynNormal" else regions[:, 1:2] * 0.0
        regions = bm.concat([batch, regions[:, 2:6]], 1)
    found = bm.roi_extractor(
        regions,
        bm.reshape(places(target_lvls), (-1,)),
        [value_of(each) for each in feats],
        (PH, PW),
        scales=[1.0 / each for each in steps],
        samples=sampling_ratio,
        aligned=False,
    )
    return made(found, out_name)


@operator
def deformable_attention(
    value: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    value_spatial_shapes: Sequence[Sequence[int]],
    grid_sampler_mode: int = 0,
    out_name: str | None = None,
) -> Tensor:
    """Deformable attention.

    Raises:
        NotInTpuLangError: always; it is a block of a model, made of sampling at computed places, which the chip has no command for.
    """
    raise _block("deformable_attention")


@operator
def multi_scale_deformable_attention(
    query: Tensor,
    value: Tensor | None,
    identity: Tensor | None,
    query_pos: Tensor | None,
    key_padding_mask: Tensor,
    reference_points: Tensor,
    sampling_offsets_weight: Tensor,
    sampling_offsets_bias_ori: Tensor,
    attention_weights_weight: Tensor,
    attention_weights_bias_ori: Tensor,
    value_proj_weight: Tensor,
    value_proj_bias_ori: Tensor,
    output_proj_weight: Tensor,
    output_proj_bias_ori: Tensor,
    spatial_shapes: Sequence[Sequence[int]],
    embed_dims: int,
    num_heads: int = 8,
    num_levels: int = 4,
    num_points: int = 4,
    value_proj_ratio: float = 1.0,
    grid_sampler_mode: int = 0,
    out_name: str | None = None,
) -> Tensor:
    """Deformable attention with its projections.

    Raises:
        NotInTpuLangError: always; see `deformable_attention`.
    """
    raise _block("multi_scale_deformable_attention")


def _block(name: str) -> NotInTpuLangError:
    return NotInTpuLangError(
        f"{name} is a whole block of a model, with sampling at computed places, which the chip has no command for",
        position=here(),
        help="write its products with matmul and softmax, and the sampling as a layer of your own (bm.layer)",
    )


def _resized(input: Tensor, size: Sequence[int], scale: Sequence[float] | None, method: str, coord_mode: str) -> bm.Tensor:
    needs(input, *FLOATS)
    check(coord_mode in COORDINATES, f"coord_mode is {coord_mode!r}", f"choose from {', '.join(COORDINATES)}")
    check(method in ("nearest", "linear"), f"method is {method!r}", 'choose "nearest" or "linear"')
    check(len(input.shape) >= 2 and min(size) > 0, f"{input.name} {input.shape} becomes {list(size)}", "give images, and sizes above 0")
    leading, (rows, columns) = input.shape[:-2], input.shape[-2:]
    images = bm.reshape(value_of(input), (1, -1, rows, columns)) if len(leading) != 2 else value_of(input)
    found = bm.resize(images, size, method, coord_mode, scale=scale)
    return found if len(leading) == 2 else bm.reshape(found, (*leading, *size))
