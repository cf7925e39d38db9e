"""Layer normalisation over the last axis: (x - mean) / sqrt(variance + epsilon) * gamma + beta.

gamma and beta belong to places in a row, so every lane gets a copy of them. Sums are those of f32.
"""

import numpy as np

import tpukernel as tpu


@tpu.kernel
def layer_norm(k: tpu.Builder, x: tpu.In, gamma: tpu.In, beta: tpu.In, out: tpu.Out, *, epsilon: float = 1e-5, tile_h: int = 8) -> None:
    """out[n, c, h] = the normalised row x[n, c, h] of w elements; gamma and beta are (1, w). f32, f16 or bf16, all of one type."""
    (n, channels, h, w), lanes = x.shape, k.chip.lanes
    factors, offsets = (_in_all_lanes(k, numbers) for numbers in (gamma, beta))
    for i in k.range(n):
        for c0 in k.range(0, channels, lanes):
            cs = tpu.minimum(lanes, channels - c0)
            for h0 in k.pipeline(0, h, tile_h):
                hs = tpu.minimum(tile_h, h - h0)
                tile, row = (1, cs, hs, w), (1, cs, hs, 1)
                a, result = k.local(tile, x.dtype), k.local(tile, x.dtype)
                centred, other = k.scratch(tile, tpu.f32), k.scratch(tile, tpu.f32)
                mean, variance, inverse = (k.scratch(row, tpu.f32) for _ in range(3))
                k.dma.load(a, x[i : i + 1, c0 : c0 + cs, h0 : h0 + hs])
                wide = a
                if x.dtype != tpu.f32:
                    wide = other
                    k.tiu.cast(wide, a)
                k.tiu.reduce_sum(mean, wide, scale=1 / float(w))
                k.tiu.sub(centred, wide, mean)
                k.tiu.square(other, centred)
                k.tiu.reduce_sum(variance, other, scale=1 / float(w))
                k.tiu.add(mean, variance, epsilon)
                k.tiu.rsqrt(inverse, mean)
                k.tiu.mul(other, centred, inverse)
                k.tiu.mul(centred, other, factors[:, :cs])
                if x.dtype == tpu.f32:
                    k.tiu.add(result, centred, offsets[:, :cs])
                else:
                    k.tiu.add(other, centred, offsets[:, :cs])
                    k.tiu.cast(result, other)
                k.dma.store(out[i : i + 1, c0 : c0 + cs, h0 : h0 + hs], result)


def _in_all_lanes(k: tpu.Builder, numbers: tpu.In) -> tpu.Tile:
    """A row (1, w) of system memory in each lane, as f32."""
    shape = (1, k.chip.lanes, 1, numbers.shape[1])
    copies = k.local(shape, numbers.dtype)
    k.dma.broadcast(copies, numbers)
    if numbers.dtype == tpu.f32:
        return copies
    wide = k.local(shape, tpu.f32)
    k.tiu.cast(wide, copies)
    return wide


def main() -> None:
    """Check against numpy, and what the cost model says."""
    rng = np.random.default_rng(0)
    x, gamma, beta = (rng.standard_normal(shape, np.float32) for shape in ((1, 70, 3, 100), (1, 100), (1, 100)))
    centred = x - x.mean(3, keepdims=True)
    wanted = centred / np.sqrt((centred**2).mean(3, keepdims=True) + 1e-5) * gamma[0] + beta[0]
    print(f"largest error: {np.abs(layer_norm(x, gamma, beta) - wanted).max():.1e}")
    print(layer_norm.bench({"x": (1, 64, 128, 768), "gamma": (1, 768), "beta": (1, 768)}, simulate=0))


if __name__ == "__main__":
    main()
