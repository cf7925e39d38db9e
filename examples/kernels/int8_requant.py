"""out = saturate(round(x * multiplier * 2 ** shift) + offset): 32-bit sums to 8 bits, with numbers of each channel."""

import numpy as np

import tpukernel as tpu


def narrow_spec(x: tpu.TensorSpec, _numbers: tpu.TensorSpec, **_: int) -> tpu.TensorSpec:
    """As large as the input, i8."""
    return tpu.TensorSpec(x.shape, tpu.i8)


@tpu.kernel(infer=narrow_spec)
def int8_requant(k: tpu.Builder, x: tpu.In, numbers: tpu.In, out: tpu.Out, *, tile_h: int = 128, tile_w: int = 128) -> None:
    """x (n, channels, h, w) i32, numbers (channels, 3) i32: multiplier, shift (negative: to the right), offset; out is i8."""
    n, channels, h, w = x.shape
    for c0 in k.range(0, channels, k.chip.lanes):
        cs = tpu.minimum(k.chip.lanes, channels - c0)
        table = k.local((1, cs, 1, 3), tpu.i32)
        k.dma.load(table, numbers[c0 : c0 + cs])
        for i in k.range(n):
            for h0 in k.range(0, h, tile_h):
                hs = tpu.minimum(tile_h, h - h0)
                for w0 in k.pipeline(0, w, tile_w):
                    ws = tpu.minimum(tile_w, w - w0)
                    a, result = k.local((1, cs, hs, ws), tpu.i32), k.local((1, cs, hs, ws), tpu.i8)
                    k.dma.load(a, x[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws])
                    k.tiu.requant_int_channels(result, a, table)
                    k.dma.store(out[i : i + 1, c0 : c0 + cs, h0 : h0 + hs, w0 : w0 + ws], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    rng = np.random.default_rng(0)
    x = rng.integers(-(2**20), 2**20, (2, 70, 9, 100), np.int32)
    numbers = np.stack([rng.integers(1, 2**14, 70), np.full(70, -27), rng.integers(-9, 9, 70)], 1).astype(np.int32)
    product = x.astype(np.int64) * numbers[:, 0, None, None]
    rounded = np.sign(product) * ((np.abs(product) + 2**26) >> 27)  # half away from zero
    wanted = np.clip(rounded + numbers[:, 2, None, None], -128, 127)
    print(f"as numpy: {np.array_equal(int8_requant(x, numbers), wanted)}")
    shapes = {"x": (4, 64, 112, 112), "numbers": (64, 3)}
    print(int8_requant.bench(shapes, tpu.i32, simulate=0))


if __name__ == "__main__":
    main()
