"""onnxruntime as a contender, where it and onnx are installed (`pip install tpukernel[bench]`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

from benchmarks._cases import Arrays

__all__ = ["NAME", "absent", "convolution"]

NAME = "onnxruntime, 1"
"""One thread."""


@cache
def absent() -> str | None:
    """Why there is no onnxruntime; None if there is one."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


def convolution(arrays: Arrays, *, pad: int, stride: int) -> Callable[[], object]:
    """A convolution of `input` with `weight`, both f32, on one thread."""
    # Their types are not there when they are not installed.
    onnx, onnxruntime = cast("Any", import_module("onnx")), cast("Any", import_module("onnxruntime"))
    make, image, weight, kind = onnx.helper, arrays["input"], arrays["weight"], onnx.TensorProto.FLOAT
    node = make.make_node("Conv", ["x", "w"], ["y"], pads=[pad] * 4, strides=[stride] * 2, kernel_shape=list(weight.shape[2:]))
    graph = make.make_graph(
        [node],
        "convolution",
        [make.make_tensor_value_info("x", kind, image.shape)],
        [make.make_tensor_value_info("y", kind, [None] * 4)],
        [make.make_tensor("w", kind, weight.shape, weight.tobytes(), raw=True)],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": image})
