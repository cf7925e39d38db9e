"""An operator of one's own, from the first line to a BModel: written, tested against numpy, compiled for two sizes, run on an image."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

import bmlang as bm
import tpukernel as tpu
from bmlang.cli.tpu_model import main as tpu_model

IMAGE = Path(__file__).with_name("lake.ppm")
BLUR = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32) / 256


def contrast_in_numpy(x: NDArray[np.float64], *, gain: float) -> NDArray[np.float64]:
    """What the operator means."""
    return np.clip((x - 0.5) * gain + 0.5, 0, 1)


@bm.layer("quickstart::contrast", reference=contrast_in_numpy)
@tpu.kernel
def contrast(k: tpu.Builder, x: tpu.In, out: tpu.Out, *, gain: float) -> None:
    """What the TPU does: pieces of 16 rows and 256 columns of all channels, loaded, computed and stored at one time."""
    n, c, h, w = x.shape
    for picture in range(n):
        for row in k.range(0, h, 16):
            rows = tpu.minimum(16, h - row)
            for column in k.pipeline(0, w, 256):
                columns = tpu.minimum(256, w - column)
                a, scaled, moved, limited = (k.local((1, c, rows, columns), x.dtype) for _ in range(4))
                piece = np.s_[picture : picture + 1, :, row : row + rows, column : column + columns]
                k.dma.load(a, x[piece])
                k.tiu.mul(scaled, a, gain)
                k.tiu.add(moved, scaled, 0.5 - 0.5 * gain)
                k.tiu.max(limited, moved, 0.0)
                k.tiu.min(scaled, limited, 1.0)
                k.dma.store(out[piece], scaled)


@bm.function
def sharpen(image: bm.Tensor, *, amount: float = 0.8, gain: float = 1.25) -> bm.Tensor:
    """Edges of a picture (n, 3, h, w) of numbers from 0 to 1 made clearer, then contrast."""
    kernels = np.zeros((3, 3, 5, 5), np.float32)
    kernels[range(3), range(3)] = BLUR
    blurred = bm.conv(image, kernels, pad=2)
    return contrast(bm.clamp(image + (image - blurred) * amount, 0.0, 1.0), gain=gain)


def read_image(path: Path) -> NDArray[np.float32]:
    """A PPM image as (1, 3, h, w), 0 to 1."""
    magic, size, largest, data = path.read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    if magic != b"P6" or largest != b"255" or len(data) != 3 * width * height:
        raise SystemExit(f"{path} is no binary PPM image with 255 levels")
    pixels = np.frombuffer(data, np.uint8).reshape(height, width, 3)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def pixels_of(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(1, 3, h, w) as bytes (h, w, 3)."""
    return np.rint(image[0].transpose(1, 2, 0) * 255).astype(np.uint8)


def show(image: NDArray[np.uint8], columns: int = 72) -> None:
    """An image in a terminal, two pixels to a character; its average colours where nobody is looking."""
    height, width, _ = image.shape
    if not sys.stdout.isatty():
        print(f"{width} x {height} pixels, average colour {image.mean((0, 1)).round(1).tolist()}")
        return
    step = max(width // columns, 1)
    small = (
        image[: height // step * step, : width // step * step]
        .reshape(height // step, step, width // step, step, 3)
        .mean((1, 3))
        .astype(int)
    )
    for upper, lower in zip(small[0::2], small[1::2], strict=False):
        line = (f"\x1b[38;2;{a};{b};{c}m\x1b[48;2;{d};{e};{f}m▀" for (a, b, c), (d, e, f) in zip(upper, lower, strict=True))
        print("".join(line) + "\x1b[0m")


def main() -> None:
    """The whole way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="?", type=Path, default=IMAGE, help="a binary PPM image")
    parser.add_argument("--output", type=Path, help="where to write the sharpened image")
    given = parser.parse_args()

    print("1. the operator against numpy, on both engines, compiled, and read back from a file")
    print(bm.layer_check(contrast, shapes=[(1, 3, 5, 7), (2, 3, 65, 1030)], attrs={"gain": 1.25}, atol=1e-6))

    image = read_image(given.image)
    smaller = image[:, :, ::2, ::2].copy()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sharpen.bmodel"
        print("\n2. the function compiled for two sizes")
        model = bm.compile(sharpen, stages=[{"image": image.shape}, {"image": smaller.shape}])
        model.save(path)
        for stage in model.stages:
            print(f"{list(stage.graph.specs['image'].shape)}: {stage.timeline().cycles} cycles")
        print("\n3. what tpu_model says of the file")
        tpu_model(["--info", str(path)])
        print("\n4. run on an image")
        runtime = bm.Runtime(path, check=True)["sharpen"]
        sharpened, _ = (np.asarray(runtime(image=each)["output"], np.float32) for each in (image, smaller))
    wanted = sharpen.reference(image)["output"]
    print(f"largest difference from numpy: {np.abs(sharpened - wanted).max():.2e}")
    show(pixels_of(sharpened))
    if given.output is not None:
        height, width = sharpened.shape[2:]
        given.output.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + pixels_of(sharpened).tobytes())


if __name__ == "__main__":
    main()
