"""Root mean square normalisation over the last axis: x / sqrt(mean(x ** 2) + epsilon) * gamma."""

import numpy as np

import tpukernel as tpu


@tpu.kernel
def rms_norm(k: tpu.Builder, x: tpu.In, gamma: tpu.In, out: tpu.Out, *, epsilon: float = 1e-6, tile_h: int = 8) -> None:
    """out[n, c, h] = the normalised row x[n, c, h] of w elements; gamma is (1, w). f32, f16 or bf16, both of one type."""
    (n, channels, h, w), lanes = x.shape, k.chip.lanes
    copies, factors = k.local((1, lanes, 1, w), x.dtype), k.local((1, lanes, 1, w), tpu.f32)
    k.dma.broadcast(copies, gamma)  # every lane has a copy
    k.tiu.cast(factors, copies)
    for i in k.range(n):
        for c0 in k.range(0, channels, lanes):
            cs = tpu.minimum(lanes, channels - c0)
            for h0 in k.pipeline(0, h, tile_h):
                hs = tpu.minimum(tile_h, h - h0)
                tile, row = (1, cs, hs, w), (1, cs, hs, 1)
                a, result = k.local(tile, x.dtype), k.local(tile, x.dtype)
                wide, other = k.scratch(tile, tpu.f32), k.scratch(tile, tpu.f32)
                mean, shifted, inverse = (k.scratch(row, tpu.f32) for _ in range(3))
                k.dma.load(a, x[i : i + 1, c0 : c0 + cs, h0 : h0 + hs])
                k.tiu.cast(wide, a)
                k.tiu.square(other, wide)
                k.tiu.reduce_sum(mean, other, scale=1 / float(w))
                k.tiu.add(shifted, mean, epsilon)
                k.tiu.rsqrt(inverse, shifted)
                k.tiu.mul(other, wide, inverse)
                k.tiu.mul(wide, other, factors[:, :cs])
                k.tiu.cast(result, wide)
                k.dma.store(out[i : i + 1, c0 : c0 + cs, h0 : h0 + hs], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    rng = np.random.default_rng(0)
    x, gamma = rng.standard_normal((1, 70, 3, 100), np.float32), rng.standard_normal((1, 100), np.float32)
    wanted = x / np.sqrt((x**2).mean(3, keepdims=True) + 1e-6) * gamma[0]
    print(f"largest error: {np.abs(rms_norm(x, gamma) - wanted).max():.1e}")
    print(rms_norm.bench({"x": (1, 64, 128, 768), "gamma": (1, 768)}, simulate=0))


if __name__ == "__main__":
    main()
