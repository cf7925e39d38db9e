"""Quantization: integers of many bits to few, to floats, and from floats; with constants for all channels, or of each channel."""

from __future__ import annotations

from tpukernel.dtypes import Dtype, f32, i8, i16, i32, u8, u16
from tpukernel.isa.rounding import Rounding
from tpukernel.lang.operations import Operations
from tpukernel.lang.tensors import Tile
from tpukernel.lang.trace import After, Token

__all__ = ["QuantizationOps"]

NARROW = (i8, u8, i16, u16)
SUMS = (i16, u16, i32)


class QuantizationOps(Operations):
    """dst = src in another scale, whole buffers of one shape; every result saturates.

    Tables of numbers per channel are (1, c, 1, count) of the layout EU_ALIGNED. 16 numbers are computed per lane and cycle, half of that
    in place.
    """

    def requant_int(
        self,
        dst: Tile,
        src: Tile,
        multiplier: int,
        shift: int,
        offset: int = 0,
        *,
        rounding: Rounding = Rounding.HALF_AWAY,
        after: After = None,
    ) -> Token:
        """dst = round(src * multiplier * 2 ** shift) + offset.

        Args:
            dst: 8 or 16 bits.
            src: i16, u16 or i32.
            multiplier: signed, 32 bits.
            shift: -128 to 127; negative to the right, rounded.
            offset: 16 bits, signed as dst is.
            rounding: of the shift.
            after: operations to wait for.
        """
        self._between("requant_int", dst, NARROW, src, SUMS)
        attributes = {"multiplier": multiplier, "shift": shift, "offset": offset, "rounding_mode": rounding}
        return self._emit("requant_int", "tpu_bdc_int_requant", {"dst": dst, "src": src}, attributes, after)

    def requant_int_channels(
        self, dst: Tile, src: Tile, table: Tile, *, rounding: Rounding = Rounding.HALF_AWAY, after: After = None
    ) -> Token:
        """As `requant_int`, with numbers of each channel: table is (1, c, 1, 3) i32: multiplier, shift, offset."""
        self._between("requant_int_channels", dst, NARROW, src, SUMS)
        self._need_dtype("requant_int_channels", "table", table, i32)
        operands = {"dst": dst, "src": src, "quant": table}
        return self._emit("requant_int_channels", "tpu_bdc_int_pc_requant", operands, {"rounding_mode": rounding}, after)

    def requant(
        self,
        dst: Tile,
        src: Tile,
        scale: float,
        offset: float = 0.0,
        *,
        rounding: Rounding = Rounding.HALF_EVEN,
        src_rounding: Rounding = Rounding.HALF_EVEN,
        after: After = None,
    ) -> Token:
        """dst = round(f32(src) * scale + offset); i16, u16 or i32 to integers of 8 or 16 bits.

        `src_rounding` is that of the conversion to f32. Neither may be HALF_UP or HALF_DOWN.
        """
        self._between("requant", dst, NARROW, src, SUMS)
        attributes = {"scale": scale, "offset": offset, "dst_rounding_mode": rounding, "src_rounding_mode": src_rounding}
        return self._emit("requant", "tpu_bdc_fp32_requant", {"dst": dst, "src": src}, attributes, after)

    def requant_channels(
        self,
        dst: Tile,
        src: Tile,
        table: Tile,
        *,
        rounding: Rounding = Rounding.HALF_EVEN,
        src_rounding: Rounding = Rounding.HALF_EVEN,
        after: After = None,
    ) -> Token:
        """As `requant`, with numbers of each channel: table is (1, c, 1, 2) f32: scale, offset."""
        self._between("requant_channels", dst, NARROW, src, SUMS)
        self._need_dtype("requant_channels", "table", table, f32)
        operands = {"dst": dst, "src": src, "quant": table}
        attributes = {"dst_rounding_mode": rounding, "src_rounding_mode": src_rounding}
        return self._emit("requant_channels", "tpu_bdc_fp32_pc_requant", operands, attributes, after)

    def dequant_int(
        self,
        dst: Tile,
        src: Tile,
        offset: int,
        multiplier: int,
        shift: int,
        *,
        rounding: Rounding = Rounding.HALF_AWAY,
        after: After = None,
    ) -> Token:
        """dst = round((src - offset) * multiplier * 2 ** shift), integers of 8 or 16 bits to i16, u16 or i32.

        offset has 16 bits, signed as src is; a negative shift goes to the right and rounds.
        """
        self._between("dequant_int", dst, SUMS, src, NARROW)
        attributes = {"offset": offset, "multiplier": multiplier, "shift": shift, "rounding_mode": rounding}
        return self._emit("dequant_int", "tpu_bdc_int_dequant", {"dst": dst, "src": src}, attributes, after)

    def dequant_int_channels(
        self, dst: Tile, src: Tile, table: Tile, *, rounding: Rounding = Rounding.HALF_AWAY, after: After = None
    ) -> Token:
        """As `dequant_int`, with numbers of each channel: table is (1, c, 1, 3) i32: offset, multiplier, shift."""
        self._between("dequant_int_channels", dst, SUMS, src, NARROW)
        self._need_dtype("dequant_int_channels", "table", table, i32)
        operands = {"dst": dst, "src": src, "quant": table}
        return self._emit("dequant_int_channels", "tpu_bdc_int_pc_dequant", operands, {"rounding_mode": rounding}, after)

    def dequant(
        self, dst: Tile, src: Tile, offset: int, scale: float, *, rounding: Rounding = Rounding.HALF_EVEN, after: After = None
    ) -> Token:
        """dst = f32(src - offset) * scale, f32, from integers of 8 or 16 bits; offset has 16 bits, signed as src is.

        rounding is that of the conversion to f32, not HALF_UP or HALF_DOWN.
        """
        self._between("dequant", dst, (f32,), src, NARROW)
        attributes = {"offset": offset, "scale": scale, "rounding_mode": rounding}
        return self._emit("dequant", "tpu_bdc_fp32_dequant", {"dst": dst, "src": src}, attributes, after)

    def dequant_channels(self, dst: Tile, src: Tile, table: Tile, *, rounding: Rounding = Rounding.HALF_EVEN, after: After = None) -> Token:
        """As `dequant`, with numbers of each channel: table is (1, c, 1, 2) i32: offset, and the bits of the f32 scale."""
        self._between("dequant_channels", dst, (f32,), src, NARROW)
        self._need_dtype("dequant_channels", "table", table, i32, f32)
        operands = {"dst": dst, "src": src, "quant": table}
        return self._emit("dequant_channels", "tpu_bdc_fp32_pc_dequant", operands, {"rounding_mode": rounding}, after)

    def _between(self, name: str, dst: Tile, results: tuple[Dtype, ...], src: Tile, sources: tuple[Dtype, ...]) -> None:
        self._need_dtype(name, "dst", dst, *results)
        self._need_dtype(name, "src", src, *sources)
