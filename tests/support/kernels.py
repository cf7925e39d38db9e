"""Correct programs to check, to run and to spoil: tiled elementwise kernels as an engineer writes them, of random size and order."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tpukernel import BM1684X, Dtype, f16, f32
from tpukernel.chips.layout import aligned_strides
from tpukernel.chips.tensors import Constant, Dim4, Layout, LocalTensor, SystemTensor
from tpukernel.isa import Arith, ArithOp, DmaTensor, Program

DDR = BM1684X.regions["ddr"].base


@dataclass(frozen=True)
class Kernel:
    """A program, and the DDR ranges (offset, size) that must hold something before it runs and those that hold its results."""

    program: Program
    inputs: tuple[tuple[int, int], ...]
    outputs: tuple[tuple[int, int], ...]


def random_kernel(seed: int) -> Kernel:
    """`y = (a * 2) + b` over tiles: one after the other, or as a pipeline in which loads and stores run beside the computation."""
    source = random.Random(seed)
    dtype = source.choice([f32, f16])
    shape = (source.randint(1, 3), source.choice([1, 3, 63, 64, 65, 100]), source.randint(1, 5), source.randint(1, 40))
    tiles = source.randint(1, 5)
    size = -(-shape[0] * shape[1] * shape[2] * shape[3] * dtype.itemsize // 64) * 64
    lane = source.choice([0, 0, 1, 7, 60])
    tile_bytes = _lane_bytes(shape, dtype, lane)
    program = Program(BM1684X)
    bases = [DDR + place * tiles * size for place in range(3)]

    def local(place: int, step: int) -> LocalTensor:
        return LocalTensor(lane * BM1684X.lane_bytes + (4 * (step % 2) + place) * tile_bytes, shape, dtype)

    def system(place: int, step: int) -> SystemTensor:
        return SystemTensor(bases[place] + step * size, shape, dtype)

    def load(step: int) -> None:
        for place in range(2):
            program.append(copy(local(place, step), system(place, step)))

    def compute(step: int) -> None:
        a, b, scaled, y = (local(place, step) for place in range(4))
        program.append(Arith(op=ArithOp.MUL, dst=scaled, src0=a, src1=Constant.of(2.0, dtype)))
        program.append(Arith(op=ArithOp.ADD, dst=y, src0=scaled, src1=b))

    def store(step: int) -> None:
        program.append(copy(system(2, step), local(3, step)))

    if source.random() < 0.5:
        for step in range(tiles):
            load(step)
            compute(step)
            store(step)
    else:
        for step in range(tiles + 2):
            with program.parallel():
                for work, at in ((store, step - 2), (compute, step - 1), (load, step)):
                    if 0 <= at < tiles:
                        work(at)
    program.end()
    spans = [(base - DDR, tiles * size) for base in bases]
    return Kernel(program, tuple(spans[:2]), tuple(spans[2:]))


def _lane_bytes(shape: Dim4, dtype: Dtype, lane: int) -> int:
    return shape[0] * aligned_strides(BM1684X, shape, dtype, start=lane)[0] * dtype.itemsize


def copy(dst: LocalTensor | SystemTensor, src: LocalTensor | SystemTensor) -> DmaTensor:
    """A copy with the strides written out, as the official library does."""
    return DmaTensor(dst=_strided(dst), src=_strided(src), one_shape=True)


def _strided(tensor: LocalTensor | SystemTensor) -> LocalTensor | SystemTensor:
    _, c, h, w = tensor.shape
    if isinstance(tensor, SystemTensor):
        return SystemTensor(tensor.address, tensor.shape, tensor.dtype, (c * h * w, h * w, w, 1))
    start = tensor.address // BM1684X.lane_bytes
    strides = aligned_strides(BM1684X, tensor.shape, tensor.dtype, start=start)
    return LocalTensor(tensor.address, tensor.shape, tensor.dtype, Layout.FREE, strides)
