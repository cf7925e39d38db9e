"""Makes the BModel fixtures of `tests/data/bmodels` from the corpus of recorded models: `python -m tests.support.make_bmodel_fixtures`.

The models were compiled from programs of our own by the official compiler (one was written by hand) and have no module in them. Beside them
the corpus has what the official tool prints for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.bmodels import FOLDER, MODELS
from tests.support.model_tool import corpus_folder

NAMES = (
    "bm1684_f32_conv_topk_static_plus_cpusubnet",
    "bm1684x_f32_add_dynamic",
    "bm1684x_f32_add_multistage3",
    "bm1684x_f32_add_static",
    "bm1684x_f32_conv3x3_relu_static",
    "bm1684x_f32_conv_topk_static_plus_dynamic_subnets",
    "bm1684x_f32_matmul_bias_static",
    "bm1684x_f32_onnx_conv_fc_static_ioreloc",
    "handmade_bm1684x_f32_mulsubmax_static",
)
PRINTED = (NAMES[0], NAMES[3], NAMES[7])
"""Models with a recorded text of `--print`."""


def main() -> None:
    """Write the models into one compressed archive, and the recorded texts."""
    corpus = corpus_folder()
    FOLDER.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {name: np.fromfile(corpus / f"{name}.bmodel", np.uint8) for name in NAMES}
    np.savez_compressed(MODELS, **arrays)
    for name in NAMES:
        for kind in ("info", "print") if name in PRINTED else ("info",):
            (FOLDER / f"{name}.{kind}.txt").write_text((corpus / "txt" / f"{name}.{kind}.txt").read_text())


if __name__ == "__main__":
    main()
