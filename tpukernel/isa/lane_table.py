"""Tables of which every lane holds a copy: coefficients of a series, parameters of a gather that all channels share.

As a tensor such a table has one entry per channel and c stride 0: every channel of a lane reads the one copy of its lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from tpukernel.chips.chip import Chip
from tpukernel.chips.tensors import Dim4, Layout, LocalTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa.spec import REQUIRED, DtypeCode, LocalField, Presence, Shape, ShapeRule

if TYPE_CHECKING:
    from tpukernel.isa.format import Bits

__all__ = ["lane_table", "lane_table_operand", "lane_table_strides", "optional_lane_table"]


def lane_table_strides(chip: Chip, shape: Dim4, dtype: Dtype, *, line_aligned: bool = False) -> Dim4:
    """Strides of a table of which every lane holds a copy; `line_aligned`: every line starts at a multiple of the EU bytes."""
    unit = chip.eu_count(dtype) if line_aligned else 1
    return 0, 0, -(-shape[3] // unit) * unit, 1


def lane_table(chip: Chip, address: int, shape: Dim4, dtype: Dtype, *, line_aligned: bool = False) -> LocalTensor:
    """The local tensor of a table of which every lane holds a copy.

    Args:
        chip: the chip.
        address: where it is in the lane of channel 0; in the other lanes it is at the same byte.
        shape: (1, c, h, w), where c is the number of channels that use it.
        dtype: element type.
        line_aligned: every line (h) starts at a multiple of the EU bytes.
    """
    return LocalTensor(address, shape, dtype, Layout.FREE, lane_table_strides(chip, shape, dtype, line_aligned=line_aligned))


class _LaneTableField(LocalField):
    """A local tensor whose layout FREE stands for a copy in every lane."""

    line_aligned = False

    def read_strides(self, bits: Bits, shape: Dim4, dtype: Dtype) -> Dim4:
        return lane_table_strides(bits.chip, shape, dtype, line_aligned=self.line_aligned)


class _LineTableField(_LaneTableField):
    """The same with lines at multiples of the EU bytes."""

    line_aligned = True


def lane_table_operand(
    prefix: str, dtype: DtypeCode, shape: Shape | ShapeRule, *, layouts: Mapping[int, Layout], line_aligned: bool = False
) -> LocalTensor:
    """A tensor in local memory that may be a copy in every lane: `layouts` has FREE at the number in `<prefix>_str` that says so."""
    kind = _LineTableField if line_aligned else _LaneTableField
    return cast("LocalTensor", kind(prefix, dtype, shape, layouts=layouts, default=REQUIRED))


def optional_lane_table(
    prefix: str, dtype: DtypeCode, shape: Shape | ShapeRule, *, present: Presence, default: None = None
) -> LocalTensor | None:
    """A tensor in local memory, always a copy in every lane, that may be absent."""
    return cast("LocalTensor | None", _LaneTableField(prefix, dtype, shape, layout=Layout.FREE, present=present, default=default))
