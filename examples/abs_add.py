"""abs(x) + c as kernels are written in C: loads, computations and stores of successive pieces run side by side on two engines.

The operator is the abs-add sample of tpu-mlir's custom layers (customlayer/src/tpu_impl_absadd.c): the same functions in the same order
with the same arguments, so that the commands are those of the compiled C kernel, byte for byte. Where C and Python differ:

| C | Python |
|---|---|
| `&shape`, `NULL` | a tuple, `None` |
| `DT_FP32`, `RM_HALF_AWAY_FROM_ZERO` | `f32`, `Rounding.HALF_AWAY` |
| `scalar_t c = {.f32 = 1.2f}` | `1.2` |
| a kernel that the chip runs | a kernel that is called inside `with recording(chip) as program:` |
"""

from math import prod

import numpy as np

from tpukernel import BM1684X, f16, f32
from tpukernel.api import (
    recording,
    tpu_bank_num,
    tpu_bdc_abs,
    tpu_bdc_fp_add_C,
    tpu_data_type_size,
    tpu_eu_num,
    tpu_fp_cast,
    tpu_gdma_matrix_L2S,
    tpu_gdma_matrix_S2L,
    tpu_local_mem_size_per_npu,
    tpu_npu_num,
    tpu_parallel_end,
    tpu_parallel_start,
)
from tpukernel.chips.tensors import Dim4, SystemTensor
from tpukernel.dtypes import Dtype
from tpukernel.isa import Program, Rounding
from tpukernel.sim import Machine


def div_up(a: int, b: int) -> int:
    """How many pieces of b cover a."""
    return -(-a // b)


def shift(stages: list[int]) -> None:
    """What was loaded is computed next, what was computed is stored next."""
    stages[1:] = stages[:-1]


def absadd_local(input_addr: int, output_addr: int, buffer_addr: int, shape: Dim4, c: float, dtype: Dtype) -> None:
    """output = abs(input) + c for tensors in local memory."""
    tpu_bdc_abs(buffer_addr, input_addr, shape, None, None, dtype)
    tpu_bdc_fp_add_C(output_addr, buffer_addr, tpu_fp_cast(c, dtype, f32, Rounding.HALF_AWAY), shape, None, None, dtype)


def absadd_global(input_addr: int, output_addr: int, shape: Dim4, c: float, dtype: Dtype) -> None:
    """output = abs(input) + c for tensors in system memory."""
    # Local memory: two banks for input, two for output, in turns, and the rest for what is between. A bank serves one engine at a time.
    bank = tpu_local_mem_size_per_npu() // tpu_bank_num()
    inputs, outputs, buffer_addr = (0, bank), (2 * bank, 3 * bank), 4 * bank

    # Pieces: matrices with rows of `row` elements, of which every lane has `width`, and at most as many rows as fit into a bank.
    size, length = tpu_data_type_size(dtype), prod(shape)
    width = max(div_up(min(length, bank // size), tpu_npu_num()), div_up(128, tpu_eu_num(dtype) * size))
    row = min(length, tpu_npu_num() * width, bank // size)
    pieces = max(div_up(div_up(length, row), bank // (width * size)), 2)  # two at least, so that something runs side by side
    piece_rows = div_up(div_up(length, row), pieces)

    # Stages: while the engine for copies stores piece i - 2 and loads piece i, the other one computes piece i - 1.
    start, rows, cols = [0, 0, 0], [0, 0, 0], [0, 0, 0]  # of the piece that is loaded, computed, stored
    step, draining = 0, 0
    while start[2] < length:
        tpu_parallel_start()
        if draining < 1:
            left = min(length - start[0], piece_rows * row)
            cols[0] = min(left, row)
            rows[0] = max(1, left // cols[0])
        if step > 1:
            tpu_gdma_matrix_L2S(output_addr + start[2] * size, outputs[step & 1], rows[2], cols[2], width, cols[2], dtype)
        if draining < 1:
            tpu_gdma_matrix_S2L(inputs[step & 1], input_addr + start[0] * size, rows[0], cols[0], width, cols[0], dtype)
        if step > 0 and draining < 2:
            piece = (rows[1], div_up(cols[1], width), 1, width)
            absadd_local(inputs[(step - 1) & 1], outputs[(step - 1) & 1], buffer_addr, piece, c, dtype)
        tpu_parallel_end()
        for stages in (start, rows, cols):
            shift(stages)
        if draining < 1:
            start[0] += rows[0] * cols[0]
        if draining or start[0] >= length:
            draining += 1
        step += 1


def build(input_addr: int, output_addr: int, shape: Dim4, c: float, dtype: Dtype) -> Program:
    """The program that the kernel records."""
    with recording(BM1684X) as program:
        absadd_global(input_addr, output_addr, shape, c, dtype)
    program.end()
    return program


def main() -> None:
    """The sample's tensor, and a longer one whose last row is not full."""
    rng, ddr = np.random.default_rng(0), BM1684X.regions["ddr"].base
    for shape, dtype in (((1, 32, 1, 1024), f32), ((4, 33, 71, 97), f32), ((4, 33, 71, 97), f16)):
        x = rng.standard_normal(shape).astype(dtype.numpy)
        source, target = SystemTensor(ddr, shape, dtype), SystemTensor(ddr + x.nbytes, shape, dtype)
        program = build(source.address, target.address, shape, 1.2, dtype)
        machine = Machine(BM1684X)
        machine.load(source, x)
        machine.run(program)
        same = np.array_equal(machine.dump(target), np.abs(x) + dtype.numpy.type(1.2))
        print(f"{shape} {dtype.name}: {program.statistics().commands}, as numpy: {same}")
        if x.size < 100_000:
            print(program.listing())
        if not same:
            raise SystemExit("the simulator does not compute what numpy does")


if __name__ == "__main__":
    main()
