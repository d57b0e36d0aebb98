"""A small real model file, photographs, and a data set in files."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atrous.models import create_model
from atrous.weights import save_model


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network of classes sky, road and car, as it is before any training."""
    colors = ((70, 130, 180), (128, 64, 128), (0, 0, 142))
    network = create_model(
        "deeplabv3", backbone="test_efficientnet", classes=("sky", "road", "car"), palette=colors
    )
    folder = tmp_path_factory.mktemp("models")
    return os.fspath(save_model(network, folder / "small.safetensors"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with `street.jpg` (90 x 60) and `trip/hill.png` (31 x 47)."""
    root = tmp_path / "photos"
    (root / "trip").mkdir(parents=True)
    Image.effect_noise((90, 60), 80).convert("RGB").save(root / "street.jpg")
    Image.effect_noise((31, 47), 80).convert("RGB").save(root / "trip" / "hill.png")
    return root


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A data set of two pairs in `val`: values 0 to 2 are classes, 9 is to be ignored."""
    root = tmp_path / "dataset"
    for kind in ("images", "masks"):
        (root / kind / "val").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        image = random.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        mask = random.choice(np.array([0, 1, 2, 9], dtype=np.uint8), (40, 60))
        Image.fromarray(image).save(root / "images" / "val" / f"{name}.png")
        Image.fromarray(mask).save(root / "masks" / "val" / f"{name}.png")
    (root / "dataset.yaml").write_text(
        "name: streets\n"
        "classes: [{name: sky, value: 0}, {name: road, value: 1}, {name: car, value: 2}]\n"
        "ignore: [9]\n"
    )
    return root
