"""A small data set of random pictures and masks, to be spoilt."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atrous.data.doctor.survey import Survey, list_files, read_files
from atrous.data.labels import LabelScheme

MakeSet = Callable[..., Path]


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    """Return what writes a data set of so many pairs in "train" and "val"."""

    def make(
        pairs: int = 3, values: Sequence[int] = (0, 1, 2), size: tuple[int, int] = (8, 10)
    ) -> Path:
        root, random = tmp_path / "set", np.random.default_rng(0)
        for split in ("train", "val"):
            for kind in ("images", "masks"):
                (root / kind / split).mkdir(parents=True)
            for number in range(pairs):
                name = f"{split}/{number:03d}.png"
                pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / "images" / name)
                mask = np.resize(np.array(values, dtype=np.uint8), size)
                Image.fromarray(mask).save(root / "masks" / name)
        return root

    return make


@pytest.fixture
def scheme() -> LabelScheme:
    """Classes a, b and c of the values 0, 1 and 2."""
    return LabelScheme.from_words(["a", "b", "c"])


@pytest.fixture
def survey_of() -> Callable[[Path], Survey]:
    """Return what reads all files of a data set."""
    return lambda root: read_files(root, list_files(root))
