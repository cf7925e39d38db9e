"""What a kernel is made of: something that says what it takes, and that writes it down for a builder. A Python function, or text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tpukernel.lang.builder import Builder
from tpukernel.lang.expr import Expr, Var
from tpukernel.lang.ir import Param
from tpukernel.lang.signature import Dtypes, Infer, Shapes, Signature, TensorSpec
from tpukernel.lang.tensors import Tensor

__all__ = ["Definition", "FunctionDefinition"]


class Definition(Protocol):
    """What gives a kernel its intermediate representation."""

    @property
    def signature(self) -> Signature:
        """Name, tensors and keywords."""
        ...

    @property
    def doc(self) -> str | None:
        """What the author says about the kernel."""
        ...

    @property
    def limit(self) -> int | None:
        """How many steps the kernel may unroll to where nobody says otherwise; None: any number."""
        ...

    def keywords(self, given: Mapping[str, object]) -> dict[str, object]:
        """The values of all keywords.

        Raises:
            CallError: one is unknown, missing, or of a kind that it cannot be.
        """
        ...

    def specs(self, shapes: Shapes, dtypes: Dtypes, keywords: Mapping[str, object]) -> dict[str, TensorSpec]:
        """The specs of all tensors; those of outputs that are not given are inferred.

        Raises:
            CallError: a shape is missing, unknown, or not one that the kernel takes.
        """
        ...

    def open_params(
        self, unique: Callable[[str], str], rank: Mapping[str, int] | int, dtypes: Dtypes, keywords: Mapping[str, object]
    ) -> Sequence[Param]:
        """The tensors with variables for their dimensions.

        Args:
            unique: makes a name that nothing else has.
            rank: how many dimensions, by name or for all, where the kernel itself does not say.
            dtypes: data types by name, or one for all, where the kernel itself does not say.
            keywords: the values of all keywords.
        """
        ...

    def write(self, k: Builder, tensors: Sequence[Tensor], keywords: Mapping[str, object]) -> None:
        """Write down what the kernel does.

        Raises:
            KernelError: the kernel has a mistake.
        """
        ...


class FunctionDefinition:
    """A kernel that is a Python function.

    Args:
        function: `def name(k, x: In, ..., out: Out, *, keyword)`.
        infer: from the specs of the inputs and the keywords to those of the outputs; by default each is like the first input.
    """

    def __init__(self, function: Callable[..., object], infer: Infer | None) -> None:
        self.function = function
        self.signature = Signature.of(function)
        self.doc = function.__doc__
        self.infer = infer
        self.limit: int | None = None

    def keywords(self, given: Mapping[str, object]) -> dict[str, object]:
        return self.signature.keywords(given)

    def specs(self, shapes: Shapes, dtypes: Dtypes, keywords: Mapping[str, object]) -> dict[str, TensorSpec]:
        return self.signature.specs(shapes, dtypes, keywords, self.infer)

    def open_params(
        self, unique: Callable[[str], str], rank: Mapping[str, int] | int, dtypes: Dtypes, keywords: Mapping[str, object]
    ) -> Sequence[Param]:
        ranks = {name: rank if isinstance(rank, int) else rank.get(name, 4) for name in self.signature.tensors}
        specs = self.signature.specs({name: (1,) * count for name, count in ranks.items()}, dtypes, keywords, None)
        return [
            Param(name, self.signature.tensors[name], _dimensions(unique, name, len(spec.shape)), spec.dtype)
            for name, spec in specs.items()
        ]

    def write(self, k: Builder, tensors: Sequence[Tensor], keywords: Mapping[str, object]) -> None:
        self.function(k, *tensors, **keywords)


def _dimensions(unique: Callable[[str], str], name: str, rank: int) -> tuple[Expr, ...]:
    return tuple(Var(unique(f"{name}_{axis}")) for axis in range(rank))
