"""Bodies of kernels as text, with one mistake each."""

from __future__ import annotations

from collections.abc import Mapping

HEAD = "kernel f(in x: f32[n, c, h, w], out out: f32[n, c, h, w]) {\n"

BODIES: Mapping[str, str] = {
    "unknown name": "  let a = local<f32>[n, c, h, w];\n  dma.load(a, y);\n",
    "misspelt name": "  let first = local<f32>[n, c, h, w];\n  dma.load(frist, x);\n",
    "name of another block": "  for i in 0 .. n {\n    let a = local<f32>[1, c, h, w];\n  }\n  dma.load(a, x);\n",
    "name given twice": "  let a = n;\n  let a = c;\n",
    "word of the language": "  let f32 = local<f32>[n, c, h, w];\n",
    "unknown data type": "  let a = local<f64>[n, c, h, w];\n",
    "no data type": "  let a = local<n>[n, c, h, w];\n",
    "other data type": "  let a = local<f32>[n, c, h, w];\n  let b = local<f16>[n, c, h, w];\n  tiu.add(b, a, a);\n",
    "other shape": (
        "  pipeline w0 in 0 .. w step 4 {\n    let a = local<f32>[n, c, h, 4];\n    let b = local<f32>[n, c, h, 3];\n"
        "    dma.load(a, x[:, :, :, w0:+4]);\n    tiu.abs(b, a);\n  }\n"
    ),
    "system memory": "  let a = local<f32>[n, c, h, w];\n  tiu.abs(a, x);\n",
    "too much local memory": "  let a, b = local<f32>[n, 64, 128, 300];\n  tiu.fill(a, 0);\n  tiu.abs(b, a);\n",
    "too large a dimension": "  let a = local<f32>[1, 64, 1, 100000];\n  tiu.fill(a, 0);\n",
    "empty buffer": "  for w0 in 0 .. w {\n    let a = local<f32>[n, c, h, w - 1 - w0];\n    tiu.fill(a, 0);\n  }\n",
    "out of bounds": "  for w0 in 0 .. w step 3 {\n    let a = local<f32>[n, c, h, 3];\n    dma.load(a, x[:, :, :, w0:+3]);\n  }\n",
    "too many indices": "  let a = local<f32>[n, c, h, w];\n  dma.load(a, x[0, 0, 0, 0, 0]);\n",
    "race": (
        "  let a, b = local<f32>[n, c, h, w];\n  dma.load(a, x);\n  tiu.fill(b, 0);\n"
        "  parallel {\n    tiu.abs(b, a);\n    dma.store(out, b);\n  }\n"
    ),
    "steps that cannot overlap": (
        "  let a = local<f32>[n, c, h, 2];\n  pipeline w0 in 0 .. w step 2 {\n    dma.load(a, x[:, :, :, w0:+2]);\n"
        "    tiu.add(a, a, 1);\n    dma.store(out[:, :, :, w0:+2], a);\n  }\n"
    ),
    "read of nothing": "  let a, b = local<f32>[n, c, h, w];\n  tiu.abs(b, a);\n  dma.store(out, b);\n",
    "unwritten output": "  let a = local<f32>[n, c, h, 6];\n  dma.load(a, x[:, :, :, :6]);\n  dma.store(out[:, :, :, :6], a);\n",
    "size as a number": "  let a = local<f32>[n, c, h, w];\n  for i in 0 .. n {\n    tiu.fill(a, i);\n  }\n",
    "number as a size": "  let a = local<f32>[n, c, h, w / 2];\n",
    "tensor as a size": "  let a = local<f32>[n, c, h, x];\n",
    "size as a condition": "  when n {\n  }\n",
    "condition as a size": "  let a = local<f32>[n, c, h, w > 2];\n",
    "division by zero": "  let a = local<f32>[n, c, h, w // 0];\n",
    "unknown operation": "  let a = local<f32>[n, c, h, w];\n  tiu.sigmiod(a, a);\n",
    "unknown group": "  let a = local<f32>[n, c, h, w];\n  tpu.abs(a, a);\n",
    "unknown function": "  let a = local<f32>[n, c, h, mni(w, 4)];\n",
    "unknown fact of the chip": "  let a = local<f32>[n, chip.lane, h, w];\n",
    "missing argument": "  let a = local<f32>[n, c, h, w];\n  tiu.add(a, a);\n",
    "unknown argument": "  let a = local<f32>[n, c, h, w];\n  tiu.add(a, a, 1, scale=2);\n",
    "too many arguments": "  let a = local<f32>[n, c, h, w];\n  tiu.abs(a, a, a);\n",
    "unknown label": "  let a = local<f32>[n, c, h, w];\n  dma.load(a, x) after %first;\n",
    "option that it has not": "  let a = scratch<f32>[n, c, h, w] bank 3;\n",
    "unknown layout": "  let a = local<f32>[n, c, h, w] layout packed;\n",
    "step of zero": "  for i in 0 .. n step 0 {\n  }\n",
    "statement that is false": '  assert w > 100, "many columns";\n',
    "missing semicolon": "  let a = local<f32>[n, c, h, w]\n  dma.load(a, x);\n",
    "missing bracket": "  let a = local<f32>[n, c, h, w;\n",
    "wrong keyword": "  while i in 0 .. n {\n  }\n",
    "if": "  if n > 2 {\n  }\n",
    "loop as in Python": "  for i in range(n) {\n  }\n",
    "assignment": "  a = local<f32>[n, c, h, w];\n",
    "strange character": "  let a = local<f32>[n, c, h, w] ? 2;\n",
    "no end": "  for i in 0 .. n {\n",
}
"""What stands between the head and the last bracket."""


def text_of(name: str) -> str:
    """The whole text of a mistake."""
    return HEAD + BODIES[name] + "}\n"
