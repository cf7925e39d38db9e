"""Nets as exporters write them, with random weights: small copies of well-known architectures in ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["NETS", "NetBuilder", "mobilenet_v2", "resnet18", "transformer", "unet"]

Floats = NDArray[np.float32]


@dataclass
class NetBuilder:
    """Writes nodes down one after the other; names of tensors are what they are called in the file."""

    name: str
    seed: int = 0
    nodes: list[Any] = field(default_factory=list[Any])
    weights: list[Any] = field(default_factory=list[Any])
    channels: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def weight(self, *shape: int, scale: float = 1.0, offset: float = 0.0) -> str:
        """A constant with random numbers."""
        values = (self.random.standard_normal(shape, np.float32) * np.float32(scale) + np.float32(offset)).astype(np.float32)
        return self.constant(values)

    def number(self, value: float) -> str:
        """A constant that is one f32."""
        return self.constant(np.array(value, np.float32))

    def constant(self, values: NDArray[Any]) -> str:
        """A constant."""
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), f"w{len(self.weights)}"))
        return f"w{len(self.weights) - 1}"

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """A node; the name of its first output."""
        from onnx import helper

        number = len(self.nodes)
        names = [f"t{number}"] if outputs == 1 else [f"t{number}_{each}" for each in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"/{op}_{number}", **attributes))
        if inputs and inputs[0] in self.channels:
            self.channels[names[0]] = self.channels[inputs[0]]
        return names[0]

    def conv(self, x: str, channels: int, kernel: int, stride: int = 1, groups: int = 1, *, bias: bool = False) -> str:
        """A convolution with `same` padding, whose results have about the size of what it gets."""
        fan = self.channels[x] // groups
        weights = [self.weight(channels, fan, kernel, kernel, scale=(2 / (fan * kernel * kernel)) ** 0.5)]
        if bias:
            weights.append(self.weight(channels, scale=0.1))
        made = self.node(
            "Conv", x, *weights, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, strides=[stride] * 2, dilations=[1, 1], group=groups
        )
        self.channels[made] = channels
        return made

    def batch_norm(self, x: str) -> str:
        """A normalisation with statistics of a training."""
        count = self.channels[x]
        scale, mean, bias = self.weight(count, scale=0.2, offset=1), self.weight(count, scale=0.1), self.weight(count, scale=0.1)
        variance = self.constant(self.random.uniform(0.5, 1.5, count).astype(np.float32))
        return self.node("BatchNormalization", x, scale, bias, mean, variance, epsilon=1e-5, momentum=0.9)

    def linear(self, x: str, size_in: int, size_out: int) -> str:
        """A product of the last dimension, as torch exports it for more than two dimensions."""
        made = self.node("MatMul", x, self.weight(size_in, size_out, scale=size_in**-0.5))
        return self.node("Add", self.weight(size_out, scale=0.1), made)

    def model(self, inputs: Mapping[str, Sequence[int]], outputs: Sequence[str], opset: int = 17) -> ModelProto:
        """The model, checked; outputs are called `output`, `output_1`, ..."""
        from onnx import TensorProto, checker, helper, shape_inference

        names = {name: "output" if place == 0 else f"output_{place}" for place, name in enumerate(outputs)}
        for node in self.nodes:
            for several in (node.input, node.output):
                several[:] = [names.get(each, each) for each in several]
        given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in inputs.items()]
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names.values()]
        graph = helper.make_graph(self.nodes, self.name, given, made, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        model = shape_inference.infer_shapes(model, strict_mode=True)
        checker.check_model(model)
        return model


def _widths(all_widths: Sequence[int], width: float) -> list[int]:
    return [max(8, int(each * width)) for each in all_widths]


def resnet18(size: int = 224, width: float = 1.0, classes: int = 1000) -> ModelProto:
    """A ResNet-18 with its normalisations apart, as it is exported in training mode."""
    net = NetBuilder("resnet18", channels={"image": 3})
    first, *others = _widths((64, 64, 128, 256, 512), width)
    x = net.node("Relu", net.batch_norm(net.conv("image", first, 7, 2)))
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for place, channels in enumerate(others):
        for stride in (1 if place == 0 else 2, 1):
            side = x if net.channels[x] == channels and stride == 1 else net.batch_norm(net.conv(x, channels, 1, stride))
            inner = net.node("Relu", net.batch_norm(net.conv(x, channels, 3, stride)))
            x = net.node("Relu", net.node("Add", net.batch_norm(net.conv(inner, channels, 3)), side))
    pooled = net.node("Flatten", net.node("GlobalAveragePool", x), axis=1)
    count = others[-1]
    logits = net.node("Gemm", pooled, net.weight(classes, count, scale=count**-0.5), net.weight(classes, scale=0.1), transB=1)
    return net.model({"image": (1, 3, size, size)}, [logits])


def mobilenet_v2(size: int = 224, width: float = 1.0, classes: int = 1000, most: int = 4) -> ModelProto:
    """A MobileNetV2: inverted residuals, at most so many of a kind, with depthwise convolutions and `Clip` as its activation."""
    net = NetBuilder("mobilenet_v2", channels={"image": 3})
    low, high = net.number(0), net.number(6)

    def block(x: str, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> str:
        return net.node("Clip", net.batch_norm(net.conv(x, channels, kernel, stride, groups)), low, high)

    (first,) = _widths((32,), width)
    x = block("image", first, 3, 2)
    for expand, channels, count, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    ):  # fmt: skip
        (channels,) = _widths((channels,), width)
        for turn in range(min(count, most)):
            inner, wide = x, net.channels[x] * expand
            if expand > 1:
                inner = block(inner, wide, 1)
            inner = block(inner, wide, 3, stride if turn == 0 else 1, groups=wide)
            inner = net.batch_norm(net.conv(inner, channels, 1))
            x = net.node("Add", x, inner) if net.channels[x] == channels and (turn or stride == 1) else inner
    (last,) = _widths((1280,), width)
    pooled = net.node("Flatten", net.node("GlobalAveragePool", block(x, last, 1)), axis=1)
    logits = net.node("Gemm", pooled, net.weight(classes, last, scale=last**-0.5), net.weight(classes, scale=0.1), transB=1)
    return net.model({"image": (1, 3, size, size)}, [logits])


def transformer(length: int = 64, width: int = 256, heads: int = 4, layers: int = 2) -> ModelProto:
    """An encoder of a transformer, with the normalisations of opset 17 and gelu by `Erf`."""
    net = NetBuilder("transformer")
    half, one = net.number(0.5), net.number(1)
    root, scale = net.number(2**0.5), net.number((width // heads) ** -0.5)
    split, joined = net.constant(np.array([1, length, heads, width // heads])), net.constant(np.array([1, length, width]))

    def norm(x: str) -> str:
        return net.node(
            "LayerNormalization", x, net.weight(width, scale=0.1, offset=1), net.weight(width, scale=0.1), axis=-1, epsilon=1e-5
        )

    x = "tokens"
    for _ in range(layers):
        normed = norm(x)
        q, k, v = (net.node("Reshape", net.linear(normed, width, width), split) for _ in range(3))
        q, v = (net.node("Transpose", each, perm=[0, 2, 1, 3]) for each in (q, v))
        scores = net.node("Mul", net.node("MatMul", q, net.node("Transpose", k, perm=[0, 2, 3, 1])), scale)
        mixed = net.node("MatMul", net.node("Softmax", scores, axis=-1), v)
        mixed = net.node("Reshape", net.node("Transpose", mixed, perm=[0, 2, 1, 3]), joined)
        x = net.node("Add", x, net.linear(mixed, width, width))
        inner = net.linear(norm(x), width, 4 * width)
        gelu = net.node("Mul", net.node("Mul", inner, net.node("Add", net.node("Erf", net.node("Div", inner, root)), one)), half)
        x = net.node("Add", x, net.linear(gelu, 4 * width, width))
    return net.model({"tokens": (1, length, width)}, [norm(x)])


def unet(size: int = 96, width: int = 16) -> ModelProto:
    """A small U-Net: pooling down, transposed convolutions up, joined with what was there on the way down, and a resize at the end."""
    net = NetBuilder("unet", channels={"image": 3})

    def double(x: str, channels: int) -> str:
        for _ in range(2):
            x = net.node("Relu", net.batch_norm(net.conv(x, channels, 3)))
        return x

    kept: list[str] = []
    x = "image"
    for level in range(3):
        x = double(x, width << level)
        kept.append(x)
        x = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = double(x, width << 3)
    for level in reversed(range(3)):
        channels = width << level
        weight = net.weight(net.channels[x], channels, 2, 2, scale=net.channels[x] ** -0.5)
        up = net.node("ConvTranspose", x, weight, net.weight(channels, scale=0.1), kernel_shape=[2, 2], strides=[2, 2])
        joined = net.node("Concat", kept[level], up, axis=1)
        net.channels[joined] = 2 * channels
        x = double(joined, channels)
    mask = net.node("Sigmoid", net.conv(x, 1, 1, bias=True))
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    large = net.node("Resize", mask, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    return net.model({"image": (1, 3, size, size)}, [mask, large])


NETS: Final[Mapping[str, Callable[[], ModelProto]]] = {
    "resnet18": lambda: resnet18(64, 0.25, 20),
    "mobilenet_v2": lambda: mobilenet_v2(64, 0.25, 20, 1),
    "transformer": lambda: transformer(24, 64, 4),
    "unet": lambda: unet(48, 8),
}
"""Small ones, which take seconds."""
