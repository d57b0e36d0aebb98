"""The pictures that are computed: photographs where the weights know some, else noise."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from atrous.data.images import find_images, read_image

_EXAMPLES = Path(__file__).parents[3] / "examples" / "photos"  # of a checkout


class Pictures(NamedTuple):
    """Pictures of one size, in batches.

    Attributes:
        batches: Each (B, H, W, 3) uint8 RGB; the last one begins with the first pictures again
            where they do not fill it.
        what: What they are, in words.
    """

    batches: list[np.ndarray]
    what: str


def open_pictures(
    photos: Sequence[str], *, size: tuple[int, int], batch: int, noise: bool
) -> Pictures:
    """Return photographs brought to one size, or noise.

    Args:
        photos: Files, folders or patterns; none for the examples that come with the project.
        size: Rows and columns to bring them to.
        batch: How many pictures at once.
        noise: Whether to take noise all the same.

    Raises:
        DataError: A photograph is missing, or cannot be read.

    Example:
        >>> pictures = open_pictures((), size=(30, 40), batch=2, noise=True)
        >>> pictures.what, [one.shape for one in pictures.batches]
        ('noise', [(2, 30, 40, 3)])
    """
    if noise:
        return _noise(size, batch, "noise")
    if not photos and not _EXAMPLES.is_dir():
        return _noise(size, batch, "noise, as no photographs are here: name some with --photo")
    files = [photo.path for photo in find_images(photos or [str(_EXAMPLES)])]
    images = [_resized(read_image(file), size) for file in files]
    number = -(-len(images) // batch) * batch
    filled = np.stack([images[i % len(images)] for i in range(number)])
    noun = "photograph" if len(files) == 1 else "photographs"
    return Pictures(list(filled.reshape(-1, batch, *filled.shape[1:])), f"{len(files)} {noun}")


def _noise(size: tuple[int, int], batch: int, what: str) -> Pictures:
    shape = (batch, *size, 3)
    return Pictures([np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)], what)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture)
