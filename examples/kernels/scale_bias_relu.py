"""out = max(x * scale + bias, 0) with a scale and a bias for each channel, as behind a batch normalisation."""

import numpy as np

import tpukernel as tpu
from tpukernel.chips.tensors import Layout


@tpu.kernel
def scale_bias_relu(k: tpu.Builder, x: tpu.In, scale: tpu.In, bias: tpu.In, out: tpu.Out, *, tile_h: int = 28, tile_w: int = 384) -> None:
    """out = max(x * scale + bias, 0): x (n, channels, h, w), scale and bias (channels,); f32, f16 or bf16."""
    n, channels, h, w = x.shape
    for c0 in k.range(0, channels, k.chip.lanes):
        cs = tpu.minimum(k.chip.lanes, channels - c0)
        factors, offsets = (k.local((1, cs, 1, 1), x.dtype, layout=Layout.COMPACT) for _ in range(2))
        k.dma.load(factors, scale[c0 : c0 + cs])
        k.dma.load(offsets, bias[c0 : c0 + cs])
        for i in k.range(n):
            for h0 in k.range(0, h, tile_h):
                hs = tpu.minimum(tile_h, h - h0)
                for w0 in k.pipeline(0, w, tile_w):
                    ws = tpu.minimum(tile_w, w - w0)
                    tile = (1, cs, hs, ws)
                    a, result, scaled = k.local(tile, x.dtype), k.local(tile, x.dtype), k.scratch(tile, x.dtype)
                    k.dma.load(a, x[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws])
                    k.tiu.scale_bias(scaled, a, factors, offsets)
                    k.tiu.relu(result, scaled)
                    k.dma.store(out[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    rng = np.random.default_rng(0)
    x, scale, bias = (rng.standard_normal(shape, np.float32) for shape in ((2, 70, 9, 100), (70,), (70,)))
    wanted = np.maximum(x * scale[:, None, None] + bias[:, None, None], 0)
    print(f"largest error: {np.abs(scale_bias_relu(x, scale, bias) - wanted).max():.1e}")
    print(scale_bias_relu.bench({"x": (4, 64, 112, 112), "scale": (64,), "bias": (64,)}, simulate=0))


if __name__ == "__main__":
    main()
