from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atrous.data.palettes import default_palette
from atrous.recipe import load_recipe
from atrous.train import loop
from atrous.train.interruption import Interruption
from atrous.train.loop import Training
from atrous.train.progress import SilentProgress

SIZE = (24, 40)  # rows and columns of every picture
SPLITS = {"train": ("a", "b"), "val": ("c",)}
# All else, the network, its losses, rates and stages, is the recipe's own.
SMALLER = (
    *("data.crop_size=[33, 33]", "data.workers=0", "model.pretrained_backbone=false"),
    *("train.max_steps=2", "train.batch_size=2", "train.precision=fp32", "train.device=cpu"),
    *("train.validate_every=2", "train.previews=0"),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Callable[[str], str]:
    """Return a function that makes a tiny data set in a layout, and returns its --data."""

    def make(layout: str) -> str:
        root = tmp_path_factory.mktemp(layout)
        _LAYOUTS[layout](root)
        return f"{layout}={root}"

    return make


@pytest.fixture
def take_two_steps(tmp_path, monkeypatch) -> Callable[[str, str], Training]:
    """Return a function that trains a recipe for two steps on a data set, without saving."""

    def take(name: str, source: str) -> Training:
        monkeypatch.setattr(loop, "save_checkpoint", lambda *_, **__: None)
        monkeypatch.setattr(loop, "save_model", lambda *_, **__: None)
        recipe = load_recipe(name, [*SMALLER, f"data.source={source}"])
        training = Training(recipe, tmp_path, SilentProgress())
        with Interruption() as interruption:
            training.run(interruption)
        assert training.finite_steps.in_a_row == 0  # each step was followed
        return training

    return take


def _picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def _mask(path: Path, values: list[int], seed: int, *, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).choice(values, (SIZE[0] // 8, SIZE[1] // 8))
    mask = Image.fromarray(cells.repeat(8, 0).repeat(8, 1).astype(np.uint8), mode=mode)
    if mode == "P":
        mask.putpalette([channel for color in default_palette(256) for channel in color])
    mask.save(path)


def _voc(root: Path) -> None:
    for split, names in {"trainaug": ("a", "b"), "val": ("c",)}.items():
        listing = root / f"ImageSets/Segmentation/{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("\n".join(names))
        for seed, name in enumerate(names):
            _picture(root / f"JPEGImages/{name}.jpg", seed)
            _mask(root / f"SegmentationClass/{name}.png", [0, 15, 20, 255], seed, mode="P")


def _cityscapes(root: Path) -> None:
    for split, names in SPLITS.items():
        for seed, name in enumerate(names):
            _picture(root / f"leftImg8bit/{split}/ulm/{name}_leftImg8bit.png", seed)
            _mask(root / f"gtFine/{split}/ulm/{name}_gtFine_labelIds.png", [0, 7, 11, 33], seed)


def _ade20k(root: Path) -> None:
    for split, folder in {"train": "training", "val": "validation"}.items():
        for seed, name in enumerate(SPLITS[split]):
            _picture(root / f"images/{folder}/{name}.jpg", seed)
            _mask(root / f"annotations/{folder}/{name}.png", [0, 1, 75, 150], seed)


def _camvid(root: Path) -> None:
    for split, names in SPLITS.items():
        for seed, name in enumerate(names):
            _picture(root / f"{split}/{name}.png", seed)
            _mask(root / f"{split}annot/{name}.png", [0, 4, 10, 11], seed)


_LAYOUTS = {"voc": _voc, "cityscapes": _cityscapes, "ade20k": _ade20k, "camvid": _camvid}
