"""Functions with one number per channel."""

from __future__ import annotations

from tests.support.builders.common import Builder, Params, dims, dtype, numbered, scalar, tensor
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.isa import Instruction, Linear, LinearOp


def _builder(op: LinearOp, *sources: tuple[str, bool] | float) -> Builder:
    """`sources` are (parameter, whether it is a scalar), or a number."""

    def operand(params: Params, source: tuple[str, bool] | float) -> LocalTensor | Constant:
        kind = dtype(params)
        if not isinstance(source, tuple):
            return Constant.of(source, kind)
        name, is_scalar = source
        return scalar(params, name, kind) if is_scalar else tensor(params, name, (1, dims(params)[1], 1, 1), kind, Layout.COMPACT)

    def build(params: Params) -> list[Instruction]:
        dst, src = (tensor(params, name, dims(params), dtype(params)) for name in ("dst", "src"))
        src1, *more = (operand(params, source) for source in sources)
        return numbered(Linear(op=op, dst=dst, src0=src, src1=src1, src2=more[0] if more else None))

    return build


BUILDERS: dict[str, Builder] = {
    "tpu_bdc_fp_bias": _builder(LinearOp.MAC, 1.0, ("bias", False)),
    "tpu_bdc_fp_scale": _builder(LinearOp.MAC, ("scale", False), 0.0),
    "tpu_bdc_fp_scale_bias": _builder(LinearOp.MAC, ("scale", False), ("bias", False)),
    "tpu_bdc_fp_scale_bias_C": _builder(LinearOp.MAC, ("scale", True), ("bias", True)),
    "tpu_bdc_fp_add_bias_sqr": _builder(LinearOp.SQUARE_SUM, ("bias", False)),
    "tpu_bdc_fp_sub_bias_sqr": _builder(LinearOp.SQUARE_DIFF, ("bias", False)),
    "tpu_bdc_fp_add_C_sqr": _builder(LinearOp.SQUARE_SUM, ("C", True)),
    "tpu_bdc_fp_sub_C_sqr": _builder(LinearOp.SQUARE_DIFF, ("C", True)),
}
