"""Models from ONNX files::

    from bmlang.importers import onnx

    model = onnx.load("blazeface.onnx")
    bm.compile(model, stages=[model.specs]).save("blazeface.bmodel")

The package `onnx` is imported when a model is loaded.
"""

from __future__ import annotations

from bmlang.importers.onnx.model import OnnxModel, load
from bmlang.importers.onnx.table import EAGER, OPERATORS

__all__ = ["OnnxModel", "load", "operators"]


def operators() -> list[str]:
    """The operators of ONNX that can be imported, apart from those that ONNX defines by others: `domain::name`, or the name alone."""
    return sorted("::".join(filter(None, key)) for key in {**OPERATORS, **EAGER})
