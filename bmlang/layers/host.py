"""What layers have in common that an operator of the host computes, whatever the mode and on every chip."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from bmlang.graph.graph import Array, Attribute
from bmlang.host import CPU_OPERATORS, OWN
from bmlang.layers.base import HostCall, HostUse, Layer
from bmlang.layers.cast import cast
from bmlang.layers.errors import OperatorDtypeError
from bmlang.layers.tensor import Tensor, apply_many, here
from tpukernel.dtypes import DTYPES, Dtype, bf16, f16, i8, i16, u8, u16
from tpukernel.lang.signature import TensorSpec

__all__ = ["HostOperator", "wanted_dtype"]


class HostOperator(Layer):
    """A layer that an operator of the host computes.

    Attributes:
        operator: its number for every data type.
        official: data types of the inputs for which the official host library has it, under `operator - OWN`; none where it has not.
        through: other data types, of which floats of 32 bits keep all that matters: the TPU converts them.
    """

    operator: int
    official: tuple[Dtype, ...] = ()
    through: tuple[Dtype, ...] = (f16, bf16, i8, u8, i16, u16)
    dtypes = tuple(DTYPES.values())

    @abstractmethod
    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        """The parameters of the operator."""

    def is_official(self, use: HostUse) -> bool:
        """Whether the official library computes this use."""
        return bool(self.official) and [spec and spec.dtype for spec in use.inputs] == list(self.official)

    def host(self, use: HostUse) -> HostCall:
        number = self.operator - OWN if self.is_official(use) else self.operator
        return HostCall(number, self.parameters(use.inputs, use.attrs))

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Sequence[Tensor] | None:
        """Conversions around it, where the official library has it for floats of 32 bits only."""
        given = [tensor for tensor in inputs if tensor is not None]
        if len(given) != len(self.official) or all(tensor.dtype == wanted for tensor, wanted in zip(given, self.official, strict=True)):
            return None
        if any(tensor.dtype not in (wanted, *self.through) for tensor, wanted in zip(given, self.official, strict=True)):
            return None
        specs = tuple(TensorSpec(tensor.shape, wanted) for tensor, wanted in zip(given, self.official, strict=True))
        made, outputs = (_listed(self.infer(each, attrs)) for each in (specs, [tensor.spec for tensor in given]))
        use = HostUse(specs, tuple(made), attrs, ((),) * len(specs))
        changed = [new.dtype != old.dtype for new, old in zip(made, outputs, strict=True)]
        if not self.is_official(use) or any(each and axes for each, axes in zip(changed, self.bounded(use) or (), strict=True)):
            return None
        wide = [tensor if tensor.dtype == spec.dtype else cast(tensor, spec.dtype) for tensor, spec in zip(given, specs, strict=True)]
        found = apply_many(self.name, *wide, **attrs)
        return [cast(tensor, spec.dtype) if each else tensor for tensor, spec, each in zip(found, outputs, changed, strict=True)]

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Sequence[Array]:
        given = [array for array in inputs if array is not None]
        specs = [TensorSpec(array.shape) for array in given]
        return CPU_OPERATORS[self.operator](self.parameters(specs, attrs), given)


def _listed(made: TensorSpec | Sequence[TensorSpec]) -> Sequence[TensorSpec]:
    return [made] if isinstance(made, TensorSpec) else made


def wanted_dtype(name: str, spec: TensorSpec, *wanted: Dtype) -> None:
    """The data type of an input is one of these.

    Raises:
        OperatorDtypeError: it is another one.
    """
    if spec.dtype not in wanted:
        names = " or ".join(dtype.name for dtype in wanted)
        raise OperatorDtypeError(f"{name} is {spec.dtype.name}", position=here(), help=f"convert it to {names} with bm.cast")
