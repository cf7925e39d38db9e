"""out = alpha * x + y."""

import numpy as np

import tpukernel as tpu


@tpu.kernel
def axpy(k: tpu.Builder, x: tpu.In, y: tpu.In, out: tpu.Out, *, alpha: float, tile_h: int = 28, tile_w: int = 280) -> None:
    """out = alpha * x + y, (n, channels, h, w); f32, f16 or bf16."""
    n, channels, h, w = x.shape
    for i in k.range(n):
        for c0 in k.range(0, channels, k.chip.lanes):
            cs = tpu.minimum(k.chip.lanes, channels - c0)
            for h0 in k.range(0, h, tile_h):
                hs = tpu.minimum(tile_h, h - h0)
                for w0 in k.pipeline(0, w, tile_w):
                    ws = tpu.minimum(tile_w, w - w0)
                    tile = (1, cs, hs, ws)
                    a, b, result = (k.local(tile, x.dtype) for _ in range(3))
                    scaled = k.scratch(tile, x.dtype)
                    k.dma.load(a, x[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws])
                    k.dma.load(b, y[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws])
                    k.tiu.mul(scaled, a, alpha)
                    k.tiu.add(result, scaled, b)
                    k.dma.store(out[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    x, y = (np.random.default_rng(seed).standard_normal((2, 70, 9, 100), np.float32) for seed in (0, 1))
    print(f"largest error: {np.abs(axpy(x, y, alpha=2.5) - (np.float32(2.5) * x + y)).max():.1e}")
    print(axpy.bench({"x": (4, 64, 112, 112), "y": (4, 64, 112, 112)}, alpha=2.5, simulate=0))


if __name__ == "__main__":
    main()
