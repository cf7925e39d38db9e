"""What onnxruntime computes, where it is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bmlang.graph.graph import Array
from bmlang.importers.onnx.errors import OnnxFileError, OnnxLimitError
from bmlang.importers.onnx.reader import Source

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["OnnxruntimeAbsent", "evaluate"]


class OnnxruntimeAbsent(Exception):  # noqa: N818 - it is no error: something else is done then
    """onnxruntime is not there, or cannot run a model; the argument says why."""


def evaluate(source: Source, inputs: Mapping[str, Array], names: Sequence[str]) -> tuple[str, dict[str, Array]]:
    """Tensors of a model, and the version that computed them.

    Args:
        source: the model.
        inputs: its inputs; integers may be narrower than the file says.
        names: tensors of its graph that are wanted; others than its outputs may be among them.

    Raises:
        OnnxruntimeAbsent: it is not installed, or does not run the model.
    """
    try:
        onnxruntime = cast("Any", import_module("onnxruntime"))
    except ImportError:
        raise OnnxruntimeAbsent("onnxruntime is not installed") from None
    from onnx import ModelProto, ValueInfoProto, helper

    model = ModelProto()
    model.CopyFrom(source.model)
    made = {name for node in model.graph.node for name in node.output}
    told = {each.name for each in model.graph.output}
    wanted = [name for name in dict.fromkeys(names) if name in made or name in told]
    # A newer onnx writes a newer version of the format, also where nothing of it is used.
    model.ir_version = min(int(model.ir_version), int(helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)))
    model.graph.output.extend(ValueInfoProto(name=name) for name in wanted if name not in told)
    types = {each.name: helper.tensor_dtype_to_np_dtype(each.type.tensor_type.elem_type) for each in model.graph.input}
    given = {name: np.asarray(array).astype(types[name]) for name, array in inputs.items()}
    try:
        _embed(source, model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # What is compared is what the file says, not what an optimiser makes of it.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = session.run(wanted, given)
    except Exception as error:  # noqa: BLE001 - each of its parts has errors of its own
        raise OnnxruntimeAbsent(f"onnxruntime does not run it: {str(error).splitlines()[0] if str(error) else error!r}") from None
    arrays = {name: cast("Array", each) for name, each in zip(wanted, found, strict=True) if isinstance(each, np.ndarray)}
    return f"onnxruntime {onnxruntime.__version__}", arrays


def _embed(source: Source, model: ModelProto) -> None:
    """Data beside the file go into the model: only our reader knows that they stay in its folder."""
    from onnx import TensorProto, numpy_helper
    from onnx.external_data_helper import uses_external_data

    size = 0
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            array = source.array(tensor)
            size += array.nbytes
            if size > 1 << 30:
                raise OnnxLimitError("the weights of the model are too large for one message")
            plain: TensorProto = numpy_helper.from_array(array, tensor.name)
            tensor.CopyFrom(plain)
    if any(uses_external_data(each.t) for node in model.graph.node for each in node.attribute if each.HasField("t")):
        raise OnnxFileError("constants of nodes lie beside the file")
