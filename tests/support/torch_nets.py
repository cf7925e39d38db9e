"""Nets of torch with random weights, as both exporters of torch write them to ONNX::

    python -m tests.support.torch_nets [FOLDER] [--full]

writes narrow copies into `tests/data/torch_nets`, or into another folder, with `--full` of the usual width. It needs torch (2.9 or
newer), onnx and onnxscript, which the tests do not: they read what was written.

`NAME.onnx` is of the exporter by TorchScript, `NAME_dynamo.onnx` of that by `torch.export`; sizes of `NAME_varying...` are open. The
exporters note beside each node where in which file it was made; these notes are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tests.support.torch_files import FOLDER, NETS, TorchNet

torch: Any = import_module("torch")
nn: Any = import_module("torch.nn")
onnx: Any = import_module("onnx")
EXTERNAL: Final = ("unet_dynamo.onnx",)
"""Files whose weights lie beside them."""
SEED: Final = 0


def conv(before: int, channels: int, kernel: int, stride: int = 1, groups: int = 1, activation: str = "ReLU") -> Any:
    """A convolution of `same` padding, its normalisation, and what follows if anything does."""
    layers = [nn.Conv2d(before, channels, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(channels)]
    return nn.Sequential(*layers, *([getattr(nn, activation)(inplace=True)] if activation else []))


class Residual(nn.Module):
    """A block of a ResNet."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(before, channels, 3, stride), conv(channels, channels, 3, activation=""))
        self.side = nn.Identity() if stride == 1 and before == channels else conv(before, channels, 1, stride, activation="")
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        """The block."""
        return self.relu(self.body(x) + self.side(x))


def resnet18(width: int, classes: int) -> Any:
    """A ResNet-18 whose first layer has `width` channels, 64 as a rule."""
    layers, before = [conv(3, width, 7, 2), nn.MaxPool2d(3, 2, 1)], width
    for place in range(4):
        channels = width << place
        layers += [Residual(before, channels, 1 if place == 0 else 2), Residual(channels, channels, 1)]
        before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


class Inverted(nn.Module):
    """A block of a MobileNetV2: wide between two products, with a depthwise convolution."""

    def __init__(self, before: int, channels: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = before * expand
        layers = [] if expand == 1 else [conv(before, inner, 1, activation="ReLU6")]
        layers += [conv(inner, inner, 3, stride, inner, "ReLU6"), conv(inner, channels, 1, activation="")]
        self.body = nn.Sequential(*layers)
        self.joined = stride == 1 and before == channels

    def forward(self, x: Any) -> Any:
        """The block."""
        return x + self.body(x) if self.joined else self.body(x)


def mobilenet_v2(width: int, classes: int) -> Any:
    """A MobileNetV2 whose first layer has `width` channels, 32 as a rule."""

    def wide(channels: int) -> int:
        return max(channels * width // 32, 3)

    layers, before = [conv(3, wide(32), 3, 2, activation="ReLU6")], wide(32)
    for expand, channels, count, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    ):  # fmt: skip
        for turn in range(count):
            layers.append(Inverted(before, wide(channels), stride if turn == 0 else 1, expand))
            before = wide(channels)
    layers += [conv(before, wide(1280), 1, activation="ReLU6"), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(wide(1280), classes))


def transformer(width: int, _: int) -> Any:
    """Two layers of an encoder."""
    layer = nn.TransformerEncoderLayer(width, 4, 4 * width, activation="gelu", batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


class UNet(nn.Module):
    """A small U-Net, with a mask of twice the size."""

    def __init__(self, width: int, _: int) -> None:
        super().__init__()
        widths = [width << level for level in range(4)]
        self.down = nn.ModuleList(self.double(*pair) for pair in zip([3, *widths], widths, strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * each, each, 2, 2) for each in reversed(widths[:-1]))
        self.join = nn.ModuleList(self.double(2 * each, each) for each in reversed(widths[:-1]))
        self.pool, self.last = nn.MaxPool2d(2), nn.Conv2d(width, 1, 1)

    @staticmethod
    def double(before: int, channels: int) -> Any:
        """Two convolutions."""
        return nn.Sequential(conv(before, channels, 3), conv(channels, channels, 3))

    def forward(self, x: Any) -> Any:
        """The mask of an image."""
        kept: list[Any] = []
        for stage in self.down:
            x = stage(self.pool(x) if kept else x)
            kept.append(x)
        kept.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([kept.pop(), up(x)], 1))
        return nn.functional.interpolate(torch.sigmoid(self.last(x)), scale_factor=2.0, mode="bilinear", align_corners=False)


BUILDERS: Final[Mapping[str, Callable[[int, int], Any]]] = {
    "resnet18": resnet18,
    "mobilenet_v2": mobilenet_v2,
    "transformer": transformer,
    "unet": UNet,
}


@dataclass
class Export:
    """A net that is written to one file."""

    net: TorchNet
    path: Path
    full: bool
    dynamo: bool
    sizes: Mapping[int, str] = field(default_factory=dict[int, str])

    def write(self) -> None:
        """Build the net and write it."""
        torch.manual_seed(SEED)
        width, classes = (self.net.full_width, 1000) if self.full else (self.net.width, 10)
        built = BUILDERS[self.net.kind](width, classes).eval()
        _randomise(built)
        example = torch.randn(self.net.full_shape if self.full else self.net.shape)
        options: dict[str, object] = {"dynamic_axes": {"input": dict(self.sizes)}, "opset_version": 17}
        if self.dynamo:
            options = {"dynamic_shapes": [dict(self.sizes)] if self.sizes else None, "opset_version": 18, "external_data": False}
        torch.onnx.export(built, (example,), self.path, dynamo=self.dynamo, input_names=["input"], output_names=["output"], **options)
        self._strip()

    def _strip(self) -> None:
        """Leave out the notes about the computer on which it was written; put the weights where they shall lie."""
        model = onnx.load(self.path)
        graph = model.graph
        for each in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
            each.ClearField("metadata_props")
            each.ClearField("doc_string")
        beside = self.path.name in EXTERNAL
        onnx.save(model, self.path, save_as_external_data=beside, location=f"{self.path.name}.data" if beside else None, size_threshold=64)


def _randomise(net: Any) -> None:
    """Give normalisations the statistics of a training."""
    generator = torch.Generator().manual_seed(SEED)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.7, 1.3, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write all nets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--full", action="store_true", help="of the usual width")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, net in NETS.items():
        for dynamo, ending in ((False, ""), (True, "_dynamo")):
            path = given.folder / f"{name}{ending}.onnx"
            for each in (path, path.with_name(f"{path.name}.data")):
                each.unlink(missing_ok=True)
            Export(net, path, given.full, dynamo, net.varying).write()
            print(f"{path}: {path.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
