"""The position of the largest element of each row: compare with the largest one, and look where that holds for the first time."""

import numpy as np

import tpukernel as tpu


def position_spec(x: tpu.TensorSpec, **_: int) -> tpu.TensorSpec:
    """One number for each row."""
    return tpu.TensorSpec((*x.shape[:3], 1), tpu.i32)


@tpu.kernel(infer=position_spec)
def argmax(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, tile_h: int = 8) -> None:
    """out[n, c, h, 0] = the first position of the largest element of x[n, c, h], w finite numbers, w up to 2 ** 24; f32, f16 or bf16."""
    (n, channels, h, w), lanes = x.shape, k.chip.lanes
    counted, left = k.local((1, lanes, 1, w), tpu.i32), k.local((1, lanes, 1, w), tpu.f32)
    k.tiu.iota(counted, start=int(w), step=-1)  # how many elements are left from here on: largest for the first one
    k.tiu.cast(left, counted)
    for i in k.range(n):
        for c0 in k.range(0, channels, lanes):
            cs = tpu.minimum(lanes, channels - c0)
            for h0 in k.pipeline(0, h, tile_h):
                hs = tpu.minimum(tile_h, h - h0)
                tile, row = (1, cs, hs, w), (1, cs, hs, 1)
                a, result = k.local(tile, x.dtype), k.local(row, tpu.i32)
                wide, here, places = (k.scratch(tile, tpu.f32) for _ in range(3))
                largest, most, first = (k.scratch(row, tpu.f32) for _ in range(3))
                k.dma.load(a, x[i : i + 1, c0 : c0 + cs, h0 : h0 + hs])
                k.tiu.cast(wide, a)
                k.tiu.reduce_max(largest, wide)
                k.tiu.greater_equal(here, wide, largest)
                k.tiu.mul(places, here, left[:, :cs])
                k.tiu.reduce_max(most, places)
                k.tiu.sub(first, float(w), most)
                k.tiu.cast(result, first)
                k.dma.store(out[i : i + 1, c0 : c0 + cs, h0 : h0 + hs], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    x = np.random.default_rng(0).standard_normal((1, 70, 3, 100), np.float32)
    print(f"as numpy: {np.array_equal(argmax(x), x.argmax(3)[..., None])}")
    print(argmax.bench({"x": (1, 64, 256, 512)}, simulate=0))


if __name__ == "__main__":
    main()
