"""Label maps at full size from coarse logits: `label_map` against upsampling and argmax.

Logits of pure noise, where nothing can be skipped; smooth ones with small noise, like those of
streets; and those of the embedded model on the photographs of `examples/photos`, as they are and at
1024x2048, in both layouts: with the channels last the plain way is faster. All is timed as in the
midst of a folder: the first calls, which load what was compiled, are timed by themselves.

`python -m benchmarks.label_map` leaves out 150 classes; `python -m benchmarks.label_map all` does
not.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from atrous.data.images import read_image
from atrous.kernels.label_map import label_map, plain_label_map
from atrous.weights import load_model
from benchmarks.interleaved import compare, publish

_PHOTOS = Path(__file__).parents[1] / "examples" / "photos"


def _synthetic(every: bool) -> Iterator[tuple[str, Tensor, tuple[int, int]]]:
    for classes in (19, 150) if every else (19,):
        for height, width in ((513, 513), (1024, 2048)):
            for stride in (4, 16):
                grid = (-(-height // stride), -(-width // stride))
                noise = torch.randn(1, classes, *grid)
                coarse = 4 * torch.randn(1, classes, max(2, height // 128), max(2, width // 128))
                street = F.interpolate(coarse, size=grid, mode="bicubic") + 0.3 * noise
                last = street.contiguous(memory_format=torch.channels_last)
                case = f"{classes} classes, {height}x{width}, stride {stride}"
                yield f"{case}, noise", noise, (height, width)
                yield f"{case}, smooth", street, (height, width)
                if stride == 4:
                    yield f"{case}, smooth, channels last", last, (height, width)


@torch.inference_mode()
def _of_model() -> Iterator[tuple[str, Tensor, tuple[int, int]]]:
    model = load_model("camvid-lite0")
    for file in sorted(_PHOTOS.glob("*.jpg")):
        photo = Image.fromarray(read_image(file))
        for size in ((photo.height, photo.width), (1024, 2048)):
            image = np.array(photo.resize(size[::-1], Image.Resampling.BICUBIC))
            pixels = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0)
            logits = model.coarse_logits(model.preprocessing(pixels))
            case = f"camvid-lite0, {file.stem}, {size[0]}x{size[1]}"
            yield case, logits.contiguous(), size
            last = logits.contiguous(memory_format=torch.channels_last)
            yield f"{case}, channels last", last, size


def _row(logits: Tensor, size: tuple[int, int]) -> dict[str, Any]:
    ways = {
        "plain": lambda: plain_label_map(logits, size=size),
        "label_map": lambda: label_map(logits, size=size),
    }
    table = compare(ways, rounds=5)
    different = (ways["plain"]() != ways["label_map"]()).float().mean().item()
    row = table["label_map"] | {"plain_seconds": table["plain"]["seconds"]}
    return row | {"different_labels": different}


def main() -> None:
    """Time each case, and publish the table."""
    torch.manual_seed(0)
    logits = torch.randn(1, 19, 8, 8)
    for layout in (torch.contiguous_format, torch.channels_last):
        many = logits.contiguous(memory_format=layout)
        started = time.perf_counter()
        label_map(many, size=(2400, 2400))  # large enough to wait for the kernel
        print(f"first call, {layout}: {time.perf_counter() - started:.2f} s")
    every = "all" in sys.argv[1:]
    cases = [*_synthetic(every), *_of_model()]
    table = {case: _row(logits, size) for case, logits, size in cases}
    name = "label_map" if every else "small/label_map"
    publish(name, "label_map against upsampling and argmax", table)


if __name__ == "__main__":
    main()
