"""What a layer is: an operator of the model compiler.

A layer says what it makes (`infer`), what that is in numpy (`reference`), and how the TPU computes it: either in a *local form*, on pieces
of tensors that are already in local memory, from which the compiler makes slices, loads, stores, pipelines and fused groups; or in a
*global form*, `emit`, on tensors in system memory. Built-in layers and those of users are made and registered in the same way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from bmlang.graph.graph import Array, Attribute, Graph
from bmlang.layers.region import Region
from bmlang.layers.system import System
from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Dim4, Layout
from tpukernel.dtypes import Dtype, bf16, f16, f32
from tpukernel.lang.builder import Builder
from tpukernel.lang.signature import TensorSpec
from tpukernel.lang.tensors import Tile

if TYPE_CHECKING:
    from bmlang.layers.tensor import Tensor

__all__ = ["FLOATS", "Bounds", "Call", "Feed", "HostCall", "HostUse", "Layer", "LocalForm", "Packed", "Piece", "lines"]

FLOATS = (f32, f16, bf16)
Bounds: TypeAlias = tuple[int, ...]
"""The dimensions of a tensor whose sizes depend on data: the sizes that its spec says are the largest. Mostly there are none."""


@dataclass(frozen=True)
class Call:
    """One use of a layer, with everything that is known when it is compiled.

    Attributes:
        inputs: spec of each input; None for an optional one that is absent.
        outputs: spec of each output.
        constants: value of each input that is known; None for the others.
        attrs: the other arguments, all of them.
        chip: the chip.
    """

    inputs: tuple[TensorSpec | None, ...]
    outputs: tuple[TensorSpec, ...]
    constants: tuple[Array | None, ...]
    attrs: Mapping[str, Attribute]
    chip: Chip

    def spec(self, index: int) -> TensorSpec:
        """Spec of an input that is there."""
        spec = self.inputs[index]
        assert spec is not None  # noqa: S101
        return spec

    def number(self, index: int) -> float | None:
        """The value of an input that is one known number."""
        value = self.constants[index]
        return value.item() if value is not None and value.size == 1 else None


@dataclass(frozen=True)
class HostUse:
    """One use of a layer, as it is known when the nodes are parted between TPU and host.

    Attributes:
        inputs: spec of each input; None for an optional one that is absent.
        outputs: spec of each output.
        attrs: the other arguments, all of them.
        bounds: of each input.
    """

    inputs: tuple[TensorSpec | None, ...]
    outputs: tuple[TensorSpec, ...]
    attrs: Mapping[str, Attribute]
    bounds: tuple[Bounds, ...]

    def spec(self, index: int) -> TensorSpec:
        """Spec of an input that is there."""
        spec = self.inputs[index]
        assert spec is not None  # noqa: S101
        return spec


@dataclass(frozen=True)
class HostCall:
    """An operator of the host (`bmlang.host`) as a subnet of a BModel has it.

    Attributes:
        operator: its number.
        parameters: its parameters, encoded.
    """

    operator: int
    parameters: bytes


@dataclass(frozen=True)
class Feed:
    """An input that has to be in local memory.

    Attributes:
        shape: the whole input as (n, c, h, w); any shape with as many elements in the same order.
        region: which box of it a box of the first output needs.
        layout: how it lies in local memory.
        spread: it has one channel, which is put into each lane that the piece of the output has.
        whole_rows: its rows and columns have to lie without gaps, not within a larger box that another layer needs.
    """

    shape: Dim4
    region: Callable[[Region], Region]
    layout: Layout = Layout.EU_ALIGNED
    spread: bool = False
    whole_rows: bool = False


@dataclass(frozen=True)
class Packed:
    """Coefficients that are brought into a form of their own when the model is compiled.

    Attributes:
        pack: for a box of the first output: (1, c, 1, m), one row for each lane.
        axes: the dimensions of the output on whose span they depend, out of "nchw".
    """

    pack: Callable[[Region], Array]
    axes: str = "c"
    _known: dict[tuple[tuple[int, int], ...], Array] = field(
        default_factory=dict[tuple[tuple[int, int], ...], Array], repr=False, compare=False
    )

    def packed(self, spans: tuple[tuple[int, int], ...], region: Region) -> Array:
        """The coefficients for a box, of which the spans along `axes` are given; made once for equal spans."""
        if spans not in self._known:
            self._known[spans] = self.pack(region)
        return self._known[spans]


@dataclass(frozen=True)
class Piece:
    """A part of a layer's work, all of whose tensors are in local memory.

    Attributes:
        k: the kernel to write to.
        outs: where the results go, in the order of the outputs.
        ins: the inputs that the form feeds, by their number.
        packed: the coefficients.
        region: the box of the first output that is to be computed.
        regions: the box of each fed input that is there, by its number.
    """

    k: Builder
    outs: tuple[Tile, ...]
    ins: Mapping[int, Tile]
    packed: tuple[Tile, ...]
    region: Region
    regions: Mapping[int, Region]

    @property
    def out(self) -> Tile:
        """The first result."""
        return self.outs[0]


@dataclass(frozen=True)
class LocalForm:
    """How a layer computes a box of its outputs in local memory.

    Attributes:
        out: the first output as (n, c, h, w); the others have their natural shapes, see `others`.
        feeds: the inputs that have to be in local memory, by their number; the others are numbers that the form knows.
        tile: computes a piece.
        cut: by dimension (n, c, h, w): pieces may have a multiple of this size; 0 where the output cannot be cut.
        packed: coefficients.
        at_once: largest size of a piece that `tile` takes, by dimension; 0 for any. Larger ones come in several calls.
        scratch: bytes of a lane that `tile` uses besides its operands, for a box.
        cycles: estimated cycles of the tensor unit for a box.
        others: shape (n, c, h, w) and box of each further output for a box of the first.
    """

    out: Dim4
    feeds: Mapping[int, Feed]
    tile: Callable[[Piece], None]
    cut: Dim4 = (1, 64, 1, 1)
    packed: tuple[Packed, ...] = ()
    at_once: Dim4 = (0, 0, 0, 0)
    scratch: Callable[[Region], int] = lambda _: 0
    cycles: Callable[[Region], int] | None = None
    others: tuple[tuple[Dim4, Callable[[Region], Region]], ...] = ()


def lines(region: Region, dtype: Dtype, chip: Chip) -> int:
    """Cycles of one elementwise operation on a box: 64 bytes of a lane in each (measured with the official cost model)."""
    n, c, h, w = region.size
    return n * -(-c // chip.lanes) * -(-h * w * dtype.itemsize // chip.eu_bytes)


class Layer(ABC):
    """An operator. Subclasses are registered with `bmlang.layers.registry.register`.

    Attributes:
        name: `domain::name`, by which graphs, importers and text know it.
        inputs: names of its tensors; one that ends with `?` may be absent.
        defaults: its other arguments with their defaults; `...` where one has to be given.
        dtypes: data types that the TPU computes it in; in other float types it is computed as f32.
        elementwise: each element of the output depends on the elements at its own place in inputs of the same shape, broadcast as in numpy;
            the compiler may then choose other shapes.
        own_lines: messages about its global form name the lines of the form itself, not those where the layer is used.
        alias: the output is the input with another shape: nothing is computed.
    """

    name: str
    inputs: tuple[str, ...] = ("x",)
    defaults: Mapping[str, object] = {}
    dtypes: tuple[Dtype, ...] = FLOATS
    elementwise: bool = False
    alias: bool = False
    own_lines: bool = False

    @abstractmethod
    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec | Sequence[TensorSpec]:
        """Specs of the outputs.

        Raises:
            ShapeError, OperatorDtypeError: the inputs do not fit.
        """

    @abstractmethod
    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Array | Sequence[Array]:
        """The outputs in numpy, as exactly as numpy has it; the compiler rounds them to the data type of the output."""

    def decompose(self, inputs: Sequence[Tensor | None], attrs: Mapping[str, Attribute]) -> Tensor | Sequence[Tensor] | None:
        """The outputs of the layer, made by other layers (with the public functions of `bmlang`); None where it is computed as it is.

        Asked when data types are those that are computed in, where the shape of no input depends on data. What is made here is decomposed
        in turn, and what depends on constants only is computed when the model is compiled.
        """
        return None

    def local(self, call: Call) -> LocalForm | None:
        """The local form; None where there is none for these inputs."""
        return None

    def lies_at(self, call: Call) -> int | None:
        """The first element of the result in the first input, where the result is nothing but elements of it that follow each other."""
        return None

    def joined(self, call: Call) -> Sequence[int] | None:
        """The first element of each input in the result, where that is nothing but the inputs one behind the other.

        `emit` then gets None for inputs that lie there already.
        """
        return None

    def host(self, use: HostUse) -> HostCall | None:
        """The operator of the host that computes the layer; None where the TPU does.

        In a static net it becomes a subnet of its own. Floats stay in the data types that the function has, whatever the mode is.
        """
        return None

    def bounded(self, use: HostUse) -> Sequence[Bounds] | None:
        """For each output the dimensions whose sizes depend on data; None where the layer cannot take inputs that have such dimensions.

        `infer` gives the largest sizes. The commands of a static net are made for these, so that only layers on the host take such inputs.
        """
        return None if any(use.bounds) else [()] * len(use.outputs)

    def expand(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> Graph | None:
        """The layer as a graph of other layers, which the compiler puts in its place; None where it has a form of its own."""
        return None

    def emit(self, k: Builder, outs: Sequence[System], ins: Sequence[System | None], call: Call) -> None:
        """The global form: writes the outputs in system memory.

        Raises:
            NotImplementedError: the layer has only a local form.
        """
        raise NotImplementedError(f"{self.name} has no form for these inputs")


@dataclass
class Registered:
    """A layer and where it comes from."""

    layer: Layer
    origin: str = field(default="bmlang")
