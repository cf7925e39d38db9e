"""Our backend for the test suite of ONNX: a model is compiled for the shapes of its inputs and run on a simulated TPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper
from onnx.numpy_helper import to_array

import bmlang as bm
from bmlang.importers.onnx import OnnxModel, load
from bmlang.importers.onnx.elements import narrowed
from bmlang.importers.onnx.errors import OnnxInputError, UnsupportedNodesError

__all__ = ["Rep", "TpuBackend"]

Numbers = NDArray[Any]


@dataclass
class Rep:
    """A model that waits for its inputs.

    Attributes:
        model: as it is in the file.
        compiled: the last one that was run; None if all of its outputs were known.
    """

    model: ModelProto
    compiled: bm.Model | None = None

    def run(self, inputs: Sequence[Any], **_: object) -> tuple[Numbers, ...]:
        """The outputs for these inputs. Shapes, axes and the like, which have to be known, are made part of the model."""
        names = [each.name for each in self.model.graph.input]
        given = {name: to_array(each) if isinstance(each, TensorProto) else each for name, each in zip(names, inputs, strict=False)}
        if wrong := [name for name, array in given.items() if not isinstance(array, np.ndarray | np.generic)]:
            raise OnnxInputError(f"input {wrong[0]!r} is no tensor", help="a model for a TPU has tensors as inputs")
        arrays: dict[str, Numbers] = {name: np.asarray(array) for name, array in given.items()}
        values = {name: array for name, array in arrays.items() if array.size == 0}
        while True:
            loaded = load(self.model, {name: array.shape for name, array in arrays.items()}, values=values)
            try:
                return self._run(loaded, arrays)
            except UnsupportedNodesError as error:
                if not error.needed:
                    raise
                values |= {name: arrays[name] for name in error.needed}

    def _run(self, loaded: OnnxModel, arrays: Mapping[str, Numbers]) -> tuple[Numbers, ...]:
        self.compiled = bm.compile(loaded, stages=[loaded.specs])
        runtime = bm.Runtime(self.compiled.bmodel, engine="interpreter")
        found = runtime[loaded.name].run({name: np.require(_narrow(arrays[name], name), requirements="C") for name in loaded.inputs})
        return tuple(_widened(found[each.name], each.type.tensor_type.elem_type) for each in self.model.graph.output)


def _narrow(array: Numbers, name: str) -> Numbers:
    return narrowed(array, f"input {name!r}")


def _widened(array: Numbers, element: int) -> Numbers:
    """64-bit integers and booleans in the type that ONNX has for them."""
    return array.astype(helper.tensor_dtype_to_np_dtype(element))


class TpuBackend:
    """What `onnx.backend.test.BackendTest` and others expect of a backend."""

    @classmethod
    def is_compatible(cls, _model: ModelProto, device: str = "TPU", **_: object) -> bool:
        """Whether a model may be given to `prepare`: what cannot be run is refused by name."""
        return cls.supports_device(device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """There is one TPU, which stands for every device."""
        return device in ("TPU", "CPU")

    @classmethod
    def prepare(cls, model: ModelProto, *_: object, **__: object) -> Rep:
        """A model to run."""
        return Rep(model)

    @classmethod
    def run_model(cls, model: ModelProto, inputs: Sequence[Any], *_: object, **__: object) -> tuple[Numbers, ...]:
        """The outputs of a model."""
        return cls.prepare(model).run(inputs)
