"""Functions of f32 on the tensor unit. Coefficients and working memory are there by themselves.

How exact they are is on the page about the accuracy of the functions; `dst` is never `src`.
"""

from __future__ import annotations

from tpukernel.lang.errors import OperandTypeError
from tpukernel.lang.ir import Attribute
from tpukernel.lang.operations import Operations
from tpukernel.lang.symbols import here
from tpukernel.lang.tensors import Tensor, Tile
from tpukernel.lang.trace import After, Token

__all__ = ["FunctionOps"]


class FunctionOps(Operations):
    """f32 functions: dst = f(src), whole buffers of one shape."""

    def reciprocal(self, dst: Tile, src: Tile, *, iterations: int | None = None, after: After = None) -> Token:
        """dst = 1 / src. `iterations` of Newton's method, 1 to 4, instead of 3."""
        return self._iterated("reciprocal", dst, src, iterations, after)

    def sqrt(self, dst: Tile, src: Tile, *, iterations: int | None = None, after: After = None) -> Token:
        """dst = the square root of src. `iterations` of Newton's method, 1 to 4, instead of 3."""
        return self._iterated("sqrt", dst, src, iterations, after)

    def rsqrt(self, dst: Tile, src: Tile, *, iterations: int | None = None, after: After = None) -> Token:
        """dst = 1 / the square root of src; 0 where that is infinite. `iterations` of Newton's method, 1 to 4, instead of 3."""
        return self._iterated("rsqrt", dst, src, iterations, after)

    def exp(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = e ** src."""
        return self._function("exp", dst, src, after)

    def expm1(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = e ** src - 1."""
        return self._function("expm1", dst, src, after)

    def log(self, dst: Tile, src: Tile, base: float | None = None, *, after: After = None) -> Token:
        """dst = ln(src), or the logarithm to a base above 0."""
        if base is None:
            return self._function("log", dst, src, after)
        return self._emit("log", "tpu_bdc_fp32_logx", {"dst": dst, "src": src}, {"x": base}, after)

    def log1p(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = ln(1 + src)."""
        return self._function("log1p", dst, src, after)

    def sin(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = sin(src)."""
        return self._function("sin", dst, src, after)

    def cos(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = cos(src)."""
        return self._function("cos", dst, src, after)

    def cot(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = 1 / tan(src); src is overwritten."""
        return self._function("cot", dst, src, after)

    def tan(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = tan(src); src is overwritten."""
        return self._function("tan", dst, src, after)

    def arcsin(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = arcsin(src)."""
        return self._function("arcsin", dst, src, after)

    def arccos(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = arccos(src)."""
        return self._function("arccos", dst, src, after)

    def sinh(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = sinh(src)."""
        return self._function("sinh", dst, src, after)

    def cosh(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = cosh(src)."""
        return self._function("cosh", dst, src, after)

    def tanh(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = tanh(src)."""
        return self._function("tanh", dst, src, after)

    def arcsinh(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = arcsinh(src)."""
        return self._function("arcsinh", dst, src, after)

    def arccosh(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = arccosh(src)."""
        return self._function("arccosh", dst, src, after)

    def arctanh(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = arctanh(src)."""
        return self._function("arctanh", dst, src, after)

    def sigmoid(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = 1 / (1 + e ** -src)."""
        return self._function("sigmoid", dst, src, after)

    def log_sigmoid(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = ln(sigmoid(src))."""
        return self._function("log_sigmoid", dst, src, after)

    def silu(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = src * sigmoid(src)."""
        return self._function("silu", dst, src, after)

    def swish(self, dst: Tile, src: Tile, beta: float, *, after: After = None) -> Token:
        """dst = src * sigmoid(beta * src)."""
        return self._function("swish", dst, src, after, beta=beta)

    def softplus(self, dst: Tile, src: Tile, beta: float = 1.0, *, after: After = None) -> Token:
        """dst = ln(1 + e ** (beta * src)) / beta."""
        return self._function("softplus", dst, src, after, beta=beta)

    def softsign(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = src / (1 + `abs(src)`)."""
        return self._function("softsign", dst, src, after)

    def gelu(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = src times the normal distribution at src, with erf."""
        return self._function("gelu", dst, src, after)

    def gelu_fast(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = the approximation of gelu with tanh."""
        return self._function("gelu_fast", dst, src, after)

    def erf(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = erf(src)."""
        return self._function("erf", dst, src, after)

    def erfc(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = 1 - erf(src)."""
        return self._function("erfc", dst, src, after)

    def elu(self, dst: Tile, src: Tile, alpha: float = 1.0, *, after: After = None) -> Token:
        """dst = src where it is above 0, else alpha * (e ** src - 1)."""
        return self._function("elu", dst, src, after, alpha=alpha)

    def selu(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = the scaled exponential linear unit of src."""
        return self._function("selu", dst, src, after)

    def mish(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = src * tanh(softplus(src))."""
        return self._function("mish", dst, src, after)

    def pow(self, dst: Tile, base: Tile | float, exponent: Tile | float, *, after: After = None) -> Token:
        """dst = base ** exponent, one of which may be a number; negative bases count as the smallest normal number."""
        if isinstance(base, Tensor) and isinstance(exponent, Tensor):
            return self._emit("pow", "tpu_bdc_fp32_pow", {"dst": dst, "src0": base, "src1": exponent}, after=after)
        if isinstance(base, Tensor) and not isinstance(exponent, Tensor):
            return self._emit("pow", "tpu_bdc_fp32_pow_C", {"dst": dst, "src": base}, {"C": float(exponent)}, after)
        if not isinstance(exponent, Tensor):
            raise OperandTypeError(
                f"tiu.pow of two numbers, {base!r} and {exponent!r}", position=here(), help="compute it in Python, and use k.tiu.fill"
            )
        number = 0.0 if isinstance(base, Tensor) else float(base)
        return self._emit("pow", "tpu_bdc_fp32_C_pow", {"dst": dst, "src": exponent}, {"C": number}, after)

    # ------------------------------------------------------------------ f32, f16 and bf16

    def hard_sigmoid(self, dst: Tile, src: Tile, alpha: float = 1 / 6, beta: float = 0.5, *, after: After = None) -> Token:
        """dst = alpha * src + beta limited to 0 .. 1; f32, f16 or bf16, each step rounded to the type."""
        return self._emit("hard_sigmoid", "tpu_bdc_fp_hsigmoid", {"dst": dst, "src": src}, {"alpha": alpha, "beta": beta}, after)

    def hard_swish(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = src * (src + 3 limited to 0 .. 6) / 6; f32, f16 or bf16, each step rounded to the type."""
        return self._emit("hard_swish", "tpu_bdc_fp_hswish", {"dst": dst, "src": src}, after=after)

    def is_finite(self, dst: Tile, src: Tile, *, after: After = None) -> Token:
        """dst = 1 where src is finite, 0 for infinities and NaNs; f32, f16 or bf16."""
        return self._emit("is_finite", "tpu_bdc_fp_isfinite", {"dst": dst, "src": src}, after=after)

    def polynomial(self, dst: Tile, src: Tile, coeff: Tile, *, after: After = None) -> Token:
        """dst = coeff[0] + coeff[1] * src + coeff[2] * src ** 2 + ...; f32, f16 or bf16.

        coeff is (1, 64, 1, count), 2 numbers or more: a line of which every lane holds a copy (`k.dma.broadcast`).
        """
        operands = {"dst": dst, "src": src, "coeff": coeff}
        return self._emit("polynomial", "tpu_bdc_fp_taylor", operands, {"num": coeff.view.shape[3]}, after)

    # ------------------------------------------------------------------ parts

    def _iterated(self, name: str, dst: Tile, src: Tile, iterations: int | None, after: After) -> Token:
        if iterations is None:
            return self._function(name, dst, src, after)
        return self._emit(name, f"tpu_bdc_fp32_tunable_{name}", {"dst": dst, "src": src}, {"num_iter": iterations}, after)

    def _function(self, name: str, dst: Tile, src: Tile, after: After, **attributes: Attribute) -> Token:
        return self._emit(name, f"tpu_bdc_fp32_{name}", {"dst": dst, "src": src}, attributes, after)
