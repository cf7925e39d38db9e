"""One head of attention: out = softmax(q @ k.T * scale) @ v, in tiles of queries; keys and values stay in local memory.

The products are those of 16-bit types with f32 sums; the softmax between them is f32.
"""

import numpy as np

import tpukernel as tpu


@tpu.kernel
def attention(k: tpu.Builder, query: tpu.In, key: tpu.In, value: tpu.In, out: tpu.Out, *, tile: int = 64) -> None:
    """out (queries, d) = softmax(query @ key.T / sqrt(d)) @ value: query (queries, d), key and value (keys, d); f16 or bf16."""
    (queries, d), keys, dtype = query.shape, key.shape[0], query.dtype
    keys_there, values_there = k.local((1, keys, 1, d), dtype), k.local((1, keys, 1, d), dtype)
    k.dma.load(keys_there, key)
    k.dma.load(values_there, value)
    for q0 in k.pipeline(0, queries, tile):
        qs = tpu.minimum(tile, queries - q0)
        a, result = k.local((1, qs, 1, d), dtype), k.local((1, qs, 1, d), dtype)
        scores, shifted = k.scratch((1, qs, 1, keys), tpu.f32), k.scratch((1, qs, 1, keys), tpu.f32)
        largest, total, inverse = (k.scratch((1, qs, 1, 1), tpu.f32) for _ in range(3))
        weights, mixed, scaled = k.scratch((1, qs, 1, keys), dtype), k.scratch((1, qs, 1, d), tpu.f32), k.scratch((1, qs, 1, d), tpu.f32)
        k.dma.load(a, query[q0 : q0 + qs])
        k.tiu.matmul(scores, a, keys_there, transpose_right=True)
        k.tiu.reduce_max(largest, scores)
        k.tiu.sub(shifted, scores, largest)
        k.tiu.mul(scores, shifted, float(d) ** -0.5)
        k.tiu.exp(shifted, scores)
        k.tiu.reduce_sum(total, shifted)
        k.tiu.reciprocal(inverse, total)
        k.tiu.cast(weights, shifted)
        k.tiu.matmul(mixed, weights, values_there)
        k.tiu.mul(scaled, mixed, inverse)
        k.tiu.cast(result, scaled)
        k.dma.store(out[q0 : q0 + qs], result)


def main() -> None:
    """Check against numpy, and what the cost model says."""
    rng = np.random.default_rng(0)
    query, key, value = (rng.standard_normal(shape).astype(np.float16) for shape in ((150, 64), (200, 64), (200, 64)))
    scores = query.astype(np.float64) @ key.T.astype(np.float64) / 8
    powers = np.exp(scores - scores.max(1, keepdims=True))
    wanted = powers / powers.sum(1, keepdims=True) @ value.astype(np.float64)
    print(f"largest error: {np.abs(attention(query, key, value) - wanted).max():.1e}")
    print(attention.bench(dict.fromkeys(("query", "key", "value"), (1024, 64)), tpu.f16, simulate=0))


if __name__ == "__main__":
    main()
