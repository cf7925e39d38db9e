"""An example of an operator computed in the three ways that a user has: called, compiled, and from the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import bmlang as bm
from bmlang.graph.graph import Array
from tests.support.operators import Example
from tpukernel.dtypes import dtype_of

__all__ = ["Run", "run_of"]


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
