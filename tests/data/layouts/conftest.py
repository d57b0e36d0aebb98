from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZE = (8, 10)  # rows and columns of every picture


@pytest.fixture
def write_picture() -> Callable[[Path], Path]:
    """Write a picture of noise, its format by the suffix; return its path."""

    def write(path: Path, *, orientation: int = 1) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = orientation
        size = SIZE[::-1] if orientation > 4 else SIZE
        pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, exif=exif)
        return path

    return write


@pytest.fixture
def write_mask() -> Callable[[Path, np.ndarray], Path]:
    """Write the values of a mask as grey levels, or colours where there are three."""

    def write(path: Path, values: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(values, dtype=np.uint8)).save(path)
        return path

    return write


@pytest.fixture
def drawn() -> Callable[..., np.ndarray]:
    """Return a picture's values drawn at random from some, each at least once."""

    def draw(values: list[int], seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        rest = random.choice(values, SIZE[0] * SIZE[1] - len(values))
        return random.permutation([*values, *rest]).reshape(SIZE).astype(np.uint8)

    return draw
