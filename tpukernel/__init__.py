"""TPUKernel: kernels, instructions, chips and simulator of the Sophon TPUs."""

from tpukernel.chips import BM1684, BM1684X
from tpukernel.dtypes import Dtype, bf16, f16, f32, i8, i16, i32, u8, u16, u32

__version__ = "0.1.0"
__all__ = ["BM1684", "BM1684X", "Dtype", "bf16", "f16", "f32", "i8", "i16", "i32", "u8", "u16", "u32"]
