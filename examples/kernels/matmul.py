"""out = left @ right, in pieces that fit into local memory: while one piece along the depth is multiplied, the next one is loaded.

f16 and bf16 use the matrix unit with the rows over the lanes. f32 has no such unit: there the product is a convolution with 1x1 kernels,
whose input is the right matrix (the depth are its channels) and whose weights are the left one (the rows are the output channels). That is
twice as fast as the vector-matrix instruction of `k.tiu.matmul`, and nothing has to be transposed.
"""

import numpy as np

import tpukernel as tpu
from tpukernel.chips.tensors import Layout


def product_spec(left: tpu.TensorSpec, right: tpu.TensorSpec, **_: int) -> tpu.TensorSpec:
    """(m, depth) @ (depth, n) is (m, n), of the same type."""
    return tpu.TensorSpec((left.shape[0], right.shape[1]), left.dtype)


@tpu.autotune(tile_m=[512, 1024], tile_n=[512, 1024])
@tpu.kernel(infer=product_spec)
def matmul(k: tpu.Builder, left: tpu.In, right: tpu.In, out: tpu.Out, *, tile_m: int = 512, tile_n: int = 512, tile_k: int = 128) -> None:
    """out (m, n) = left (m, depth) @ right (depth, n); f32, f16 or bf16, added up in f32."""
    (m, depth), (_, n), dtype = left.shape, right.shape, left.dtype
    for m0 in k.range(0, m, tile_m):
        ms = tpu.minimum(tile_m, m - m0)
        for n0 in k.range(0, n, tile_n):
            ns = tpu.minimum(tile_n, n - n0)
            total = k.local((1, ms, 1, ns), tpu.f32)
            for k0 in k.pipeline(0, depth, tile_k):
                ks = tpu.minimum(tile_k, depth - k0)
                b = k.local((1, ks, 1, ns), dtype)
                a = k.local((ms, ks, 1, 1), dtype, layout=Layout.WEIGHT) if dtype == tpu.f32 else k.local((1, ms, 1, ks), dtype)
                k.dma.load(a, left[m0 : m0 + ms, k0 : k0 + ks])
                k.dma.load(b, right[k0 : k0 + ks, n0 : n0 + ns])
                if dtype == tpu.f32:
                    k.tiu.conv2d(total, b, a, accumulate=k0 > 0)
                else:
                    k.tiu.matmul(total, a, b, accumulate=k0 > 0)
            place = out[m0 : m0 + ms, n0 : n0 + ns]
            if dtype == tpu.f32:
                k.dma.store(place, total)
            else:
                narrow = k.local((1, ms, 1, ns), dtype)
                k.tiu.cast(narrow, total)
                k.dma.store(place, narrow)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((200, 300), np.float32), rng.standard_normal((300, 150), np.float32)
    print(f"largest error: {np.abs(matmul(left, right) - left @ right).max():.1e}")
    for dtype in (tpu.f32, tpu.f16):
        print(matmul.bench({"left": (512, 512), "right": (512, 512)}, dtype, simulate=0))


if __name__ == "__main__":
    main()
