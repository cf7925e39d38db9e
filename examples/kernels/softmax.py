"""Softmax over the last axis: exponentials of the differences to the largest element, over their sum.

A lane computes whole rows. The functions of the tensor unit work on f32; other types are converted on the way in and out.
"""

import numpy as np

import tpukernel as tpu


@tpu.kernel
def softmax(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, tile_h: int = 8) -> None:
    """out[n, c, h] = softmax(x[n, c, h]), rows of w elements; f32, f16 or bf16. `tile_h` rows are in a lane at one time."""
    n, channels, h, w = x.shape
    for i in k.range(n):
        for c0 in k.range(0, channels, k.chip.lanes):
            cs = tpu.minimum(k.chip.lanes, channels - c0)
            for h0 in k.pipeline(0, h, tile_h):
                hs = tpu.minimum(tile_h, h - h0)
                tile, row = (1, cs, hs, w), (1, cs, hs, 1)
                a, result = k.local(tile, x.dtype), k.local(tile, x.dtype)
                shifted, powers = k.scratch(tile, tpu.f32), k.scratch(tile, tpu.f32)
                largest, total, inverse = (k.scratch(row, tpu.f32) for _ in range(3))
                k.dma.load(a, x[i : i + 1, c0 : c0 + cs, h0 : h0 + hs])
                wide = a
                if x.dtype != tpu.f32:
                    wide = powers
                    k.tiu.cast(wide, a)
                k.tiu.reduce_max(largest, wide)
                k.tiu.sub(shifted, wide, largest)
                k.tiu.exp(powers, shifted)
                k.tiu.reduce_sum(total, powers)
                k.tiu.reciprocal(inverse, total)
                if x.dtype == tpu.f32:
                    k.tiu.mul(result, powers, inverse)
                else:
                    k.tiu.mul(shifted, powers, inverse)
                    k.tiu.cast(result, shifted)
                k.dma.store(out[i : i + 1, c0 : c0 + cs, h0 : h0 + hs], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    x = np.random.default_rng(0).standard_normal((1, 70, 3, 100), np.float32)
    powers = np.exp(x - x.max(3, keepdims=True))
    print(f"largest error: {np.abs(softmax(x) - powers / powers.sum(3, keepdims=True)).max():.1e}")
    print(softmax.bench({"x": (1, 64, 256, 512)}, simulate=0))


if __name__ == "__main__":
    main()
