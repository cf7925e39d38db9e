"""A program of TpuLang, unchanged but for the import: a quantised convolution, its head in floats, and a reference for each step.

Run it from any folder; the files of the net are written to a temporary one.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

import bmlang.tpulang as tpul

os.chdir(tempfile.mkdtemp())
random = np.random.default_rng(0)
tpul.init("BM1684X")

# The program.
image = random.standard_normal((1, 3, 32, 32), np.float32)
x = tpul.Tensor(dtype="float32", shape=[1, 3, 32, 32], name="x", data=image)
kernel = tpul.Tensor(dtype="int8", shape=[16, 3, 3, 3], ttype="coeff", data=random.integers(-127, 128, (16, 3, 3, 3)).astype(np.int8))
weight = tpul.Tensor(dtype="float32", shape=[10, 16, 3, 3], ttype="coeff", data=0.1 * random.standard_normal((10, 16, 3, 3), np.float32))
bias = tpul.Tensor(dtype="float32", shape=[10], ttype="coeff", data=random.standard_normal(10, np.float32))

bytes_ = tpul.requant_fp_to_int(x, 0.03, 0, 0, "int8", out_name="bytes")
sums = tpul.conv_int(bytes_, kernel, None, stride=[2, 2], pad=[1, 1, 1, 1], input_zp=0, weight_zp=0, out_dtype="int32")
narrow = tpul.requant_int(sums, [1 << 30] * 16, [-39] * 16, 0, 2, "int8", out_name="narrow", round_mode="half_away_from_zero")
positive = tpul.relu(narrow, out_name="positive")
numbers = tpul.dequant_int_to_fp(positive, 0.05, 0)
features = tpul.add(numbers, 1.0, out_name="features")
scores = tpul.conv(features, weight, bias, stride=[2, 2], pad=[1, 1, 1, 1])
means = tpul.reduce(scores, "ReduceMean", [2, 3], keep_dims=False)
probabilities = tpul.softmax(means, axis=1, out_name="probabilities")

# What some of the tensors have to be.
expected = np.clip(np.trunc(image / 0.03 + np.copysign(0.5, image)), -128, 127).astype(np.int8)
tpul.compile("example", [x], [probabilities], refs={"bytes": expected})
tpul.deinit()
print(*sorted(path.name for path in Path().iterdir()))
