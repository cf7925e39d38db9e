"""A 3x3 convolution with padding 1. Stripes of rows are loaded with the neighbours that their windows reach into, and computed in tiles.

The first tile of a stripe is loaded alone, so that its computation begins early; results are stored tile by tile while the next one is
computed. Which sizes are best depends on the shape: small tiles overlap better, large ones reach all channels of the DDR; `autotune` tries.
The weights come packed (`tpukernel.packed_weights`), as a compiler would store them: the record of a lane in one piece.
"""

import numpy as np

import tpukernel as tpu
from tpukernel.chips.tensors import Layout


def conv_spec(x: tpu.TensorSpec, _weight: tpu.TensorSpec, bias: tpu.TensorSpec, **_: int) -> tpu.TensorSpec:
    """As many channels as the bias has, and the rows and columns of the input."""
    return tpu.TensorSpec((x.shape[0], bias.shape[0], *x.shape[2:]), x.dtype)


@tpu.autotune(tile=[8, 14, 28, 56], stripe=[56, 112])
@tpu.kernel(infer=conv_spec)
def conv3x3(
    k: tpu.Builder, x: tpu.In, weight: tpu.In, bias: tpu.In, out: tpu.Out, *, stripe: int = 56, tile: int = 8, tile_oc: int = 256
) -> None:
    """out (n, oc, h, w) = x (n, ic, h, w) convolved with weight (oc, record, packed) + bias (oc,) f32; f32, f16 or bf16."""
    (n, ic, h, w), oc = x.shape, out.shape[1]
    for o0 in k.range(0, oc, tile_oc):
        os = tpu.minimum(tile_oc, oc - o0)
        taps = k.local((os, ic, 3, 3), x.dtype, layout=Layout.WEIGHT)
        offsets = k.local((1, os, 1, 1), tpu.f32, layout=Layout.COMPACT)
        k.dma.load(taps, weight[o0 : o0 + os])
        k.dma.load(offsets, bias[o0 : o0 + os])
        for i in k.range(n):
            for s0 in k.range(0, h, stripe):
                end = tpu.minimum(s0 + stripe, h)
                first, last = tpu.maximum(s0 - 1, 0), tpu.minimum(end + 1, h)
                rows = k.local((1, ic, last - first, w), x.dtype)
                head = tpu.minimum(tile + 2, last - first)
                k.dma.load(rows[:, :, :head], x[i : i + 1, :, first : first + head])
                with k.when(first + head < last):
                    k.dma.load(rows[:, :, head:], x[i : i + 1, :, first + head : last])
                for h0 in k.pipeline(s0, end, tile):
                    hs = tpu.minimum(tile, end - h0)
                    top, bottom = tpu.maximum(h0 - 1, 0), tpu.minimum(h0 + hs + 1, h)
                    above, below = top - (h0 - 1), h0 + hs + 1 - bottom  # rows of padding instead of neighbours
                    result = k.local((1, os, hs, w), x.dtype)
                    k.tiu.conv2d(result, rows[:, :, top - first : bottom - first], taps, offsets, padding=(above, below, 1, 1))
                    k.dma.store(out[i : i + 1, o0 : o0 + os, h0 : h0 + hs], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1, 20, 35, 13), np.float32), rng.standard_normal((30, 20, 3, 3), np.float32)
    bias = rng.standard_normal(30, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
    wanted = np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None]
    print(f"largest error: {np.abs(conv3x3(x, tpu.packed_weights(weight), bias, stripe=20, tile=6) - wanted).max():.1e}")
    for dtype in (tpu.f32, tpu.f16):
        taps = tpu.packed_weights(np.zeros((64, 64, 3, 3), dtype.numpy))
        shapes = {"x": (1, 64, 56, 56), "weight": taps.shape, "bias": (64,)}
        print(conv3x3.bench(shapes, {"x": dtype, "weight": dtype}, simulate=0))


if __name__ == "__main__":
    main()
