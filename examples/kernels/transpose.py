"""out = x transposed, in square tiles: the tensor unit exchanges lanes and columns, so that both engines move long runs."""

import numpy as np

import tpukernel as tpu


def transposed_spec(x: tpu.TensorSpec, **_: int) -> tpu.TensorSpec:
    """(rows, columns) becomes (columns, rows)."""
    return tpu.TensorSpec((x.shape[1], x.shape[0]), x.dtype)


@tpu.kernel(infer=transposed_spec)
def transpose(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, tile: int = 512) -> None:
    """out (columns, rows) = x (rows, columns), of any type."""
    rows, columns = x.shape
    for r0 in k.range(0, rows, tile):
        rs = tpu.minimum(tile, rows - r0)
        for c0 in k.pipeline(0, columns, tile):
            cs = tpu.minimum(tile, columns - c0)
            a, result = k.local((1, rs, 1, cs), x.dtype), k.local((1, cs, 1, rs), x.dtype)
            k.dma.load(a, x[r0 : r0 + rs, c0 : c0 + cs])
            k.tiu.wc_transpose(result, a)
            k.dma.store(out[c0 : c0 + cs, r0 : r0 + rs], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    x = np.random.default_rng(0).standard_normal((300, 170), np.float32)
    print(f"as numpy: {np.array_equal(transpose(x, tile=100), x.T)}")
    print(transpose.bench({"x": (960, 960)}, simulate=0))


if __name__ == "__main__":
    main()
