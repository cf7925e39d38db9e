"""What layers have in common that an operator of the host computes, whatever the mode and on every chip."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from bmlang.graph.graph import Array, Attribute
from bmlang.host import CPU_OPERATORS, OWN
from bmlang.layers.base import HostCall, HostUse, Layer
from bmlang.layers.errors import OperatorDtypeError
from bmlang.layers.tensor import here
from tpukernel.dtypes import DTYPES, Dtype, f32
from tpukernel.lang.signature import TensorSpec

__all__ = ["HostOperator", "wanted_dtype"]


class HostOperator(Layer):
    """A layer that an operator of the host computes.

    Attributes:
        operator: its number for every data type.
        official: whether the official host library has it, under `operator - OWN`, for float32 in every input.
    """

    operator: int
    official: bool = False
    dtypes = tuple(DTYPES.values())

    @abstractmethod
    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        """The parameters of the operator."""

    def is_official(self, use: HostUse) -> bool:
        """Whether the official library computes this use."""
        return self.official and all(spec is not None and spec.dtype == f32 for spec in use.inputs)

    def host(self, use: HostUse) -> HostCall:
        number = self.operator - OWN if self.is_official(use) else self.operator
        return HostCall(number, self.parameters(use.inputs, use.attrs))

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Sequence[Array]:
        given = [array for array in inputs if array is not None]
        specs = [TensorSpec(array.shape) for array in given]
        return CPU_OPERATORS[self.operator](self.parameters(specs, attrs), given)


def wanted_dtype(name: str, spec: TensorSpec, *wanted: Dtype) -> None:
    """The data type of an input is one of these.

    Raises:
        OperatorDtypeError: it is another one.
    """
    if spec.dtype not in wanted:
        names = " or ".join(dtype.name for dtype in wanted)
        raise OperatorDtypeError(f"{name} is {spec.dtype.name}", position=here(), help=f"convert it to {names} with bm.cast")
