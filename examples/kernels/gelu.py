"""The Gaussian error linear unit, x times the normal distribution at x, with the error function of the tensor unit."""

from math import erf

import numpy as np

import tpukernel as tpu


@tpu.kernel
def gelu(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, tile_h: int = 28, tile_w: int = 240) -> None:
    """out = gelu(x), (n, channels, h, w); f32, f16 or bf16, computed in f32."""
    n, channels, h, w = x.shape
    for i in k.range(n):
        for c0 in k.range(0, channels, k.chip.lanes):
            cs = tpu.minimum(k.chip.lanes, channels - c0)
            for h0 in k.range(0, h, tile_h):
                hs = tpu.minimum(tile_h, h - h0)
                for w0 in k.pipeline(0, w, tile_w):
                    ws = tpu.minimum(tile_w, w - w0)
                    tile = (1, cs, hs, ws)
                    a, result = k.local(tile, x.dtype), k.local(tile, x.dtype)
                    k.dma.load(a, x[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws])
                    if x.dtype == tpu.f32:
                        k.tiu.gelu(result, a)
                    else:
                        wide, activated = k.scratch(tile, tpu.f32), k.scratch(tile, tpu.f32)
                        k.tiu.cast(wide, a)
                        k.tiu.gelu(activated, wide)
                        k.tiu.cast(result, activated)
                    k.dma.store(out[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    x = np.random.default_rng(0).standard_normal((2, 70, 9, 100), np.float32)
    wanted = x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2
    print(f"largest error: {np.abs(gelu(x) - wanted).max():.1e}")
    print(gelu.bench({"x": (4, 64, 112, 112)}, simulate=0))


if __name__ == "__main__":
    main()
