"""The BModel fixtures: small models of the official compiler, and what the official tool says about them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from bmlang.bmodel import BModel, load

FOLDER = Path(__file__).resolve().parents[1] / "data" / "bmodels"
MODELS = FOLDER / "models.npz"

ADD = "bm1684x_f32_add_static"
ADD_DYNAMIC = "bm1684x_f32_add_dynamic"
ADD_STAGES = "bm1684x_f32_add_multistage3"
CONV = "bm1684x_f32_conv3x3_relu_static"
MATMUL = "bm1684x_f32_matmul_bias_static"
TOPK = "bm1684x_f32_conv_topk_static_plus_dynamic_subnets"
TOPK_BM1684 = "bm1684_f32_conv_topk_static_plus_cpusubnet"
RELOC = "bm1684x_f32_onnx_conv_fc_static_ioreloc"
HANDMADE = "handmade_bm1684x_f32_mulsubmax_static"


@cache
def model_bytes() -> dict[str, bytes]:
    """Contents of the files, by name."""
    with np.load(MODELS) as archive:
        return {name: archive[name].tobytes() for name in archive.files}


@cache
def fixture(name: str) -> BModel:
    """A fixture, read."""
    return load(model_bytes()[name])


def write_fixture(name: str, folder: Path, file: str = "") -> Path:
    """A fixture as a file; returns its path."""
    path = folder / (file or f"{name}.bmodel")
    path.write_bytes(model_bytes()[name])
    return path


def recorded(kind: str) -> dict[str, str]:
    """What the official tool printed (`info` or `print`), by name."""
    return {path.name.removesuffix(f".{kind}.txt"): path.read_text() for path in sorted(FOLDER.glob(f"*.{kind}.txt"))}
