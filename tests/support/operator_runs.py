"""An example of an operator computed in the three ways that a user has: called, compiled, and from the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import bmlang as bm
from bmlang.compiler.errors import CompileArgumentError
from bmlang.graph.graph import Array
from tests.support.operators import Example
from tpukernel.dtypes import dtype_of
from tpukernel.errors import TpuError

__all__ = ["FIXED", "SAME", "Run", "dynamic_outcome", "run_of"]

SAME, FIXED, SMALLER = "same", "fixed", "smaller"
"""Outcomes of a dynamic net: the bits of the static one; there is no size that could vary; only what was found, and nothing behind it."""


@dataclass(frozen=True)
class Run:
    """What became of an example.

    Attributes:
        file: the BModel.
        called, compiled, loaded: outputs by name of the function that was called, of the model, and of the file that was read again.
        layers: those that the function uses.
    """

    file: bytes
    called: Mapping[str, Array]
    compiled: Mapping[str, Array]
    loaded: Mapping[str, Array]
    layers: frozenset[str]

    def difference(self) -> str:
        """Outputs that differ in a bit between the three, in words; empty for none."""
        for way, found in (("compiled", self.compiled), ("loaded", self.loaded)):
            if found.keys() != self.called.keys():
                return f"{way}: outputs {', '.join(found)}, not {', '.join(self.called)}"
            for name, array in self.called.items():
                if found[name].dtype != array.dtype or found[name].tobytes() != array.tobytes():
                    return f"{way}: {name} differs from what a call gives"
        return ""

    def mistakes(self, example: Example) -> str:
        """What is wrong with the outputs, in words; empty for nothing."""
        if len(self.called) != len(example.wanted):
            return f"{len(self.called)} outputs, not {len(example.wanted)}"
        return "; ".join(filter(None, (example.mistake(place, array) for place, array in enumerate(self.called.values()))))


def run_of(example: Example, name: str) -> Run:
    """The example as a function of this name, in all ways."""
    function = example.function(name)
    specs = {key: bm.spec(array.shape, dtype_of(array.dtype)) for key, array in example.named.items()}
    model = bm.compile(function, stages=[specs])
    file = model.bmodel.to_bytes()
    layers = frozenset(node.op for node in function.traced(specs).nodes)
    return Run(file, function.run(example.named), model.run(**example.named), bm.Runtime(file)[name].run(example.named), layers)


def dynamic_outcome(example: Example, name: str, run: Run) -> str:
    """What a dynamic net of the example gives for its shapes: `SAME` as the static one, `FIXED`, "other bits", or the code of an error."""
    specs = {key: bm.spec(array.shape, dtype_of(array.dtype)) for key, array in example.named.items()}
    try:
        file = bm.compile(example.function(name), stages=[specs], dynamic=True).bmodel.to_bytes()
        found = bm.Runtime(file)[name].run(example.named)
    except CompileArgumentError:
        return FIXED
    except TpuError as error:
        return error.code
    if found.keys() != run.called.keys():
        return "other outputs"
    pairs = [(array, found[key]) for key, array in run.called.items()]
    if all(wanted.shape == array.shape and wanted.tobytes() == array.tobytes() for wanted, array in pairs):
        return SAME
    smaller = all(wanted[tuple(map(slice, array.shape))].tobytes() == array.tobytes() for wanted, array in pairs)
    return SMALLER if smaller else "other bits"
