"""Operations of the tensor unit with one number per channel."""

from __future__ import annotations

from tpukernel.lang.operations import Operations
from tpukernel.lang.tensors import Tensor, Tile
from tpukernel.lang.trace import After, Token

__all__ = ["ChannelOps"]


class ChannelOps(Operations):
    """dst = a function of src and one number per channel, or of src and constants; floats, whole buffers of one shape.

    Numbers per channel are (1, c, 1, 1) of layout COMPACT and of the type of src.
    """

    def scale(self, dst: Tile, src: Tile, scale: Tile, *, after: After = None) -> Token:
        """dst = src * scale; scale is (1, c, 1, 1) of layout COMPACT."""
        return self._emit("scale", "tpu_bdc_fp_scale", {"dst": dst, "src": src, "scale": scale}, after=after)

    def bias(self, dst: Tile, src: Tile, bias: Tile, *, after: After = None) -> Token:
        """dst = src + bias; bias is (1, c, 1, 1) of layout COMPACT."""
        return self._emit("bias", "tpu_bdc_fp_bias", {"dst": dst, "src": src, "bias": bias}, after=after)

    def scale_bias(self, dst: Tile, src: Tile, scale: Tile, bias: Tile, *, after: After = None) -> Token:
        """dst = src * scale + bias; scale and bias are (1, c, 1, 1) of layout COMPACT. The product is rounded before the sum."""
        operands = {"dst": dst, "src": src, "scale": scale, "bias": bias}
        return self._emit("scale_bias", "tpu_bdc_fp_scale_bias", operands, after=after)

    def scale_bias_constant(self, dst: Tile, src: Tile, scale: float, bias: float, *, after: After = None) -> Token:
        """dst = src * scale + bias with numbers, in one command. The product is rounded to the type before the sum."""
        return self._emit("scale_bias_constant", "tpu_bdc_fp_scale_bias_C", {"dst": dst, "src": src}, {"scale": scale, "bias": bias}, after)

    def add_square(self, dst: Tile, src: Tile, bias: Tile | float, *, after: After = None) -> Token:
        """dst = (src + bias) ** 2 with a bias per channel, (1, c, 1, 1) of layout COMPACT, or a number. The sum is rounded first."""
        return self._squared("add_square", "add", dst, src, bias, after)

    def sub_square(self, dst: Tile, src: Tile, bias: Tile | float, *, after: After = None) -> Token:
        """dst = (src - bias) ** 2 with a bias per channel, (1, c, 1, 1) of layout COMPACT, or a number. The difference is rounded first."""
        return self._squared("sub_square", "sub", dst, src, bias, after)

    def prelu(self, dst: Tile, src: Tile, alpha: float, *, after: After = None) -> Token:
        """dst = src where it is above 0, else alpha * src."""
        return self._emit("prelu", "tpu_bdc_prelu", {"dst": dst, "src": src}, {"alpha": alpha}, after)

    def _squared(self, name: str, kind: str, dst: Tile, src: Tile, bias: Tile | float, after: After) -> Token:
        if isinstance(bias, Tensor):
            return self._emit(name, f"tpu_bdc_fp_{kind}_bias_sqr", {"dst": dst, "src": src, "bias": bias}, after=after)
        return self._emit(name, f"tpu_bdc_fp_{kind}_C_sqr", {"dst": dst, "src": src}, {"C": bias}, after)
