"""The nets of torch in `tests/data/torch_nets`; `tests.support.torch_nets` has written them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["FILES", "FOLDER", "NETS", "TorchNet", "net_of"]

FOLDER: Final = Path(__file__).resolve().parents[1] / "data" / "torch_nets"


@dataclass(frozen=True)
class TorchNet:
    """A net.

    Attributes:
        kind: its architecture.
        width: how many channels its first layer has.
        shape: of its input.
        full_width: as a rule.
        full_shape: as a rule.
        varying: dimensions of the input that the file leaves open, by name.
    """

    kind: str
    width: int
    shape: tuple[int, ...]
    full_width: int
    full_shape: tuple[int, ...]
    varying: Mapping[int, str] = field(default_factory=dict[int, str])


IMAGE: Final = (1, 3, 224, 224)
NETS: Final[Mapping[str, TorchNet]] = {
    "resnet18": TorchNet("resnet18", 2, (1, 3, 64, 64), 64, IMAGE),
    "mobilenet_v2": TorchNet("mobilenet_v2", 2, (1, 3, 64, 64), 32, IMAGE),
    "transformer": TorchNet("transformer", 32, (1, 24, 32), 256, (1, 64, 256)),
    "unet": TorchNet("unet", 3, (1, 3, 48, 48), 16, (1, 3, 96, 96)),
    "resnet18_varying": TorchNet("resnet18", 2, (2, 3, 64, 64), 64, (2, 3, 224, 224), {0: "batch"}),
    "transformer_varying": TorchNet("transformer", 16, (2, 24, 16), 256, (2, 64, 256), {0: "batch", 1: "length"}),
    "unet_varying": TorchNet("unet", 2, (2, 3, 32, 48), 16, (2, 3, 96, 96), {0: "batch", 2: "height", 3: "width"}),
}
FILES: Final = tuple(f"{name}{ending}.onnx" for name in NETS for ending in ("", "_dynamo"))
"""Each net of both exporters."""


def net_of(file: str) -> TorchNet:
    """The net of a file."""
    return NETS[file.removesuffix(".onnx").removesuffix("_dynamo")]
