"""Pictures a second with the embedded model: a file of 480 x 360 in, its label map out.

Each picture is read and decoded, goes through the network, and becomes a full-size label map: one
after the other; `listed` in one call with all of them; `written` also stores the masks, by
`atrous.predict.batch`, which `atrous predict` calls. JPEG and PNG are timed apart; ratios are to
the first way. In 8 bits it is a file of `atrous.export`, tuned on those pictures.

`python -m benchmarks.pictures_per_second [FOLDER] [--rounds N]`: the pictures of FOLDER (such as
those of CamVid, whatever their size) are brought to 480 x 360; else the examples of the project.
"""

import argparse
import os
import tempfile

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `atrous bench` does

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from atrous.data.images import find_images, read_image
from atrous.errors import AtrousError
from atrous.export import export
from atrous.kernels.label_map import label_map
from atrous.predict import Segmenter
from atrous.predict.batch import run_jobs
from atrous.predict.outputs import plan_jobs
from atrous.weights import load_model
from benchmarks.interleaved import compare, publish

_EXAMPLES = Path(__file__).parents[1] / "examples" / "photos"
_SIZE = (480, 360)  # columns and rows
_PICTURES, _WARM = 30, 3  # of a round, and before it
_ENGINES = (
    ("optimized", "fp32"),
    ("optimized", "bf16"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
)


def _prepare(source: Path, folder: Path, suffix: str) -> list[Path]:
    """Write the pictures of a round into a folder, and return their names."""
    found = find_images([source])
    photos = [Image.fromarray(read_image(photo.path)).resize(_SIZE) for photo in found[:_PICTURES]]
    files = [folder / f"{number:03}.{suffix}" for number in range(_PICTURES)]
    for number, file in enumerate(files):
        photos[number % len(photos)].save(file, quality=95)
    return files


def _segment(segmenter: Segmenter, files: list[Path]) -> None:
    for file in files:
        segmenter(file)


def _segment_list(segmenter: Segmenter, files: list[Path]) -> None:
    segmenter(files)


def _predict(segmenter: Segmenter, files: list[Path], out: Path) -> None:
    for _ in run_jobs(segmenter, plan_jobs(find_images(files), out, ["mask"]), out):
        pass


def _open(engine: str, precision: str, files: list[Path], scratch: Path) -> Segmenter:
    if precision != "int8":
        return Segmenter("camvid-lite0", engine=engine, precision=precision)
    file = scratch / "int8.xml"
    if not file.exists():
        pictures = [read_image(one) for one in files]
        words = {"to": engine, "outputs": "coarse_logits", "precision": precision}
        export(load_model("camvid-lite0"), file, calibration=pictures, **words)
    return Segmenter(file)


def _ways(source: Path, scratch: Path) -> dict[str, Callable[[], object]]:
    ways: dict[str, Callable[[], object]] = {}
    for suffix in ("jpg", "png"):
        (scratch / suffix).mkdir()
        files = _prepare(source, scratch / suffix, suffix)
        for engine, precision in _ENGINES:
            name = f"{engine} {precision}, {suffix}"
            try:
                segmenter = _open(engine, precision, files, scratch)
            except AtrousError as error:
                print(f"{name}: left out, {error}")
                continue
            _segment(segmenter, files[:_WARM])
            ways[name] = partial(_segment, segmenter, files)
            ways[f"{name}, listed"] = partial(_segment_list, segmenter, files)
            out = scratch / f"out-{suffix}"
            ways[f"{name}, written"] = partial(_predict, segmenter, files, out)
    return ways


def main() -> None:
    """Time the ways in turn, and publish the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=_EXAMPLES)
    parser.add_argument("--rounds", type=int, default=5)
    words = parser.parse_args()
    torch.set_num_threads(2)
    label_map(torch.zeros(1, 11, 90, 120), size=(3100, 3100))  # so large that the kernel is loaded
    with tempfile.TemporaryDirectory() as scratch:
        table: dict[str, Any] = compare(_ways(words.folder, Path(scratch)), rounds=words.rounds)
    for name, row in table.items():
        row["pictures_a_second"] = round(_PICTURES / row["seconds"], 1)
        print(f"{name}: {row['pictures_a_second']} a second")
    title = f"camvid-lite0, files of 480 x 360 to label maps; seconds for {_PICTURES}"
    publish("pictures_per_second", title, table)


if __name__ == "__main__":
    main()
