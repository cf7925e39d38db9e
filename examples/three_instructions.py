"""Load a tensor, double it, store it: three instructions assembled, encoded and listed."""

from tpukernel import BM1684X, f32
from tpukernel.chips.tensors import Constant, LocalTensor, SystemTensor
from tpukernel.isa import Arith, ArithOp, DmaTensor, Program

SHAPE = (1, 64, 7, 7)
DDR = BM1684X.regions["ddr"].base

source, target = SystemTensor(DDR, SHAPE, f32), SystemTensor(DDR + 0x4000, SHAPE, f32)
x, y = LocalTensor(0x0, SHAPE, f32), LocalTensor(0x100, SHAPE, f32)

program = Program(BM1684X)
program.append(DmaTensor(dst=x, src=source))
program.append(Arith(op=ArithOp.MUL, dst=y, src0=x, src1=Constant.of(2.0, f32)))
program.append(DmaTensor(dst=target, src=y))
program.end()
program.check()

streams = program.streams()
print(program.listing())
print({engine: len(data) for engine, data in streams.items()}, "bytes")
print("first TIU command:", streams["tiu"][:16].hex(" ", 4), "...")
print("read back the same:", Program.from_streams(BM1684X, **streams).streams() == streams)
