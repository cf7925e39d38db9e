"""y = relu(conv3x3(x) + bias) + r as a hand-made program, saved as a BModel, run by the runtime, and compared with numpy."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bmlang import Runtime
from bmlang.bmodel import BModel, new_bmodel
from bmlang.bmodel.stages import StageBuilder
from tpukernel import BM1684X, f32
from tpukernel.chips.layout import with_strides
from tpukernel.chips.tensors import Constant, Layout, LocalTensor
from tpukernel.isa import Arith, ArithOp, Conv, DmaTensor, Program
from tpukernel.sim.memory import Array

IN, OUT = (1, 16, 14, 14), (1, 32, 14, 14)


def build(weight: Array, bias: Array) -> BModel:
    """The model for a weight (32, 16, 3, 3) and a bias (32,)."""
    stage = StageBuilder(BM1684X, {"weight": weight.reshape(1, 32, 16, 9), "bias": bias.reshape(1, 32, 1, 1)})
    x, r, y = LocalTensor(0x0000, IN, f32), LocalTensor(0x4000, OUT, f32), LocalTensor(0x8000, OUT, f32)
    kernel, shift = LocalTensor(0xC000, (32, 16, 3, 3), f32, Layout.WEIGHT), LocalTensor(0x10000, (1, 32, 1, 1), f32, Layout.COMPACT)

    program = Program(BM1684X)
    with program.parallel():  # loads do not wait for anything
        program.append(DmaTensor(dst=x, src=stage.input("x", IN, f32)))
        program.append(DmaTensor(dst=r, src=stage.input("r", OUT, f32)))
        for target, source in zip((kernel, shift), stage.coefficients.values(), strict=True):
            compact = LocalTensor(target.address, source.shape, f32, Layout.COMPACT)  # so the weights of f32 lie in the lanes, too
            program.append(DmaTensor(dst=with_strides(BM1684X, compact), src=with_strides(BM1684X, source)))
    program.append(Conv(dst=y, input=x, weight=kernel, bias=shift, kernel=(3, 3), padding=(1, 1, 1, 1)))
    program.append(Arith(op=ArithOp.MAX, dst=y, src0=y, src1=Constant.of(0.0, f32)))
    program.append(Arith(op=ArithOp.ADD, dst=y, src0=y, src1=r))
    program.append(DmaTensor(dst=stage.output("y", OUT, f32), src=y))
    return new_bmodel("BM1684X", [stage.net("block", program.end())])


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
