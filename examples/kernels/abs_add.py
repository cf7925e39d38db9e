"""out = abs(x) + c: the smallest kernel with tiles, and a pipeline that loads, computes and stores at one time."""

import numpy as np

import tpukernel as tpu


@tpu.kernel
def abs_add(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, c: float, tile_h: int = 28, tile_w: int = 384) -> None:
    """out = abs(x) + c, (n, channels, h, w); f32, f16 or bf16."""
    n, channels, h, w = x.shape
    for i in k.range(n):
        for c0 in k.range(0, channels, k.chip.lanes):
            cs = tpu.minimum(k.chip.lanes, channels - c0)
            for h0 in k.range(0, h, tile_h):
                hs = tpu.minimum(tile_h, h - h0)
                for w0 in k.pipeline(0, w, tile_w):
                    ws = tpu.minimum(tile_w, w - w0)
                    tile = (1, cs, hs, ws)
                    a, result, positive = k.local(tile, x.dtype), k.local(tile, x.dtype), k.scratch(tile, x.dtype)
                    k.dma.load(a, x[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws])
                    k.tiu.abs(positive, a)
                    k.tiu.add(result, positive, c)
                    k.dma.store(out[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    x = np.random.default_rng(0).standard_normal((2, 70, 9, 100), np.float32)
    print(f"as numpy: {np.array_equal(abs_add(x, c=1.5), np.abs(x) + np.float32(1.5))}")
    print(abs_add.bench({"x": (4, 64, 112, 112)}, c=1.5, simulate=0))


if __name__ == "__main__":
    main()
