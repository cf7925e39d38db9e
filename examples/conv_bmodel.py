"""y = relu(conv3x3(x) + bias) + r as a hand-made program, saved as a BModel, run by the runtime, and compared with numpy."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bmlang import Runtime
from bmlang.bmodel import BModel, new_bmodel
from bmlang.bmodel.schema import Net
from bmlang.bmodel.stages import coefficients, io_tensor, static_stage
from tpukernel import BM1684X, f32
from tpukernel.chips.layout import compact_strides, continuous_strides
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.isa import Arith, ArithOp, Conv, DmaTensor, Program
from tpukernel.sim.memory import Array

IN, OUT = (1, 16, 14, 14), (1, 32, 14, 14)
SLOT = 0x8000  # bytes between the tensors in DDR


def load_compact(address: int, shape: Dim4, source: int) -> DmaTensor:
    """Loads a tensor without gaps between its channels; the GDMA wants strides for it."""
    target = LocalTensor(address, shape, f32, Layout.FREE, compact_strides(BM1684X, shape))
    return DmaTensor(dst=target, src=SystemTensor(source, shape, f32, continuous_strides(shape)))


def build(weight: Array, bias: Array) -> BModel:
    """The model for a weight (32, 16, 3, 3) and a bias (32,)."""
    coeff = coefficients(BM1684X, {"weight": weight, "bias": bias})
    weight_at, bias_at = (coeff.address + place.offset for place in coeff.location or ())
    ctx = coeff.address + (coeff.binary_coeff.size if coeff.binary_coeff else 0)
    x_at, r_at, y_at = (ctx + k * SLOT for k in range(3))

    x, r, y = LocalTensor(0x0000, IN, f32), LocalTensor(0x4000, OUT, f32), LocalTensor(0x8000, OUT, f32)
    kernel, shift = LocalTensor(0xC000, (32, 16, 3, 3), f32, Layout.WEIGHT), LocalTensor(0x10000, (1, 32, 1, 1), f32, Layout.COMPACT)

    program = Program(BM1684X)
    with program.parallel():  # loads do not wait for anything
        program.append(DmaTensor(dst=x, src=SystemTensor(x_at, IN, f32)))
        program.append(load_compact(kernel.address, (1, 32, 16, 9), weight_at))  # so the weights of f32 lie in the lanes
        program.append(load_compact(shift.address, shift.shape, bias_at))
        program.append(DmaTensor(dst=r, src=SystemTensor(r_at, OUT, f32)))
    program.append(Conv(dst=y, input=x, weight=kernel, bias=shift, kernel=(3, 3), padding=(1, 1, 1, 1)))
    program.append(Arith(op=ArithOp.MAX, dst=y, src0=y, src1=Constant.of(0.0, f32)))
    program.append(Arith(op=ArithOp.ADD, dst=y, src0=y, src1=r))
    program.append(DmaTensor(dst=SystemTensor(y_at, OUT, f32), src=y))
    program.end()
    program.check()

    inputs = [io_tensor("x", f32, IN, x_at), io_tensor("r", f32, OUT, r_at)]
    outputs = [io_tensor("y", f32, OUT, y_at)]
    stage = static_stage(program, inputs=inputs, outputs=outputs, coeff=coeff, ctx_addr=ctx, ctx_size=3 * SLOT)
    return new_bmodel("BM1684X", [Net(name="block", parameter=(stage,))])


def main() -> None:
    """Small whole numbers: no order of the additions rounds, so that numpy has the same bits."""
    rng = np.random.default_rng(0)
    weight, bias, x, r = (rng.integers(-4, 5, shape).astype("f4") for shape in ((32, 16, 3, 3), 32, IN, OUT))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "block.bmodel"
        build(weight, bias).save(path)
        y = Runtime(path, check=True)["block"](x=x, r=r)["y"]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))
    wanted = np.maximum(np.einsum("nchwij,ocij->nohw", windows, weight) + bias.reshape(1, -1, 1, 1), 0) + r
    print(f"{y.dtype}{y.shape}, equal to numpy: {np.array_equal(y, wanted)}")


if __name__ == "__main__":
    main()
