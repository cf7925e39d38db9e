"""Images at places that another tensor says, on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bmlang.graph.graph import Array, Attribute
from bmlang.host import CPU_OPERATORS, OWN
from bmlang.host.sampling import GRID_SAMPLE, METHODS, PADDINGS, GridSample
from bmlang.layers.base import FLOATS
from bmlang.layers.errors import OperatorArgumentError, ShapeError
from bmlang.layers.host import HostOperator, wanted_dtype
from bmlang.layers.registry import register
from bmlang.layers.tensor import Operand, Tensor, apply, here
from tpukernel.dtypes import f32
from tpukernel.lang.signature import TensorSpec

__all__ = ["grid_sample"]


@register
class GridSampleLayer(HostOperator):
    """x at the places of a grid."""

    name = "bm::grid_sample"
    inputs = ("x", "grid")
    defaults: Mapping[str, object] = {"method": "bilinear", "padding": "zeros", "align_corners": False}
    operator, official = OWN + GRID_SAMPLE, (f32, f32)
    dtypes = FLOATS

    def infer(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> TensorSpec:
        x, grid = (spec for spec in inputs if spec is not None)
        for name, spec in (("x", x), ("grid", grid)):
            wanted_dtype(f"{name} of grid_sample", spec, *FLOATS)
        if len(x.shape) != 4 or len(grid.shape) != 4 or grid.shape[::3] != (x.shape[0], 2):
            raise ShapeError(
                f"grid_sample of x {list(x.shape)} with a grid {list(grid.shape)}",
                position=here(),
                help="x is (batch, channels, rows, columns), the grid (batch, height, width, 2)",
            )
        for name, known in (("method", METHODS), ("padding", PADDINGS)):
            if attrs[name] not in known:
                raise OperatorArgumentError(f"{name} of grid_sample is {attrs[name]!r}", position=here(), help=f"choose from {known}")
        return TensorSpec((*x.shape[:2], *grid.shape[1:3]), x.dtype)

    def parameters(self, inputs: Sequence[TensorSpec | None], attrs: Mapping[str, Attribute]) -> bytes:
        method, padding = METHODS.index(str(attrs["method"])), PADDINGS.index(str(attrs["padding"]))
        return GridSample(method, padding, bool(attrs["align_corners"])).data()

    def reference(self, inputs: Sequence[Array | None], attrs: Mapping[str, Attribute]) -> Sequence[Array]:
        return CPU_OPERATORS[self.operator](self.parameters((), attrs), [array for array in inputs if array is not None])


def grid_sample(x: Operand, grid: Operand, *, method: str = "bilinear", padding: str = "zeros", align_corners: bool = False) -> Tensor:
    """x at places that a grid says. On the host.

    Args:
        x: floats (batch, channels, rows, columns).
        grid: floats (batch, height, width, 2): column and row, each from -1 at the first pixel to 1 at the last.
        method: "bilinear", or "nearest" (halves away from 0).
        padding: what lies outside: "zeros", the "border", or a "reflection" of x.
        align_corners: -1 and 1 are the centres of the outermost pixels, not their outer edges.

    Returns:
        (batch, channels, height, width) in the data type of x, computed in f32.
    """
    return apply("bm::grid_sample", x, grid, method=method, padding=padding, align_corners=align_corners)
