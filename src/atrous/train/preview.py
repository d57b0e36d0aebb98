"""Preview pictures: photo, truth and prediction side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from atrous.data import IGNORE_INDEX, Sample
from atrous.files import write_atomically

_GAP = 8  # white pixels between the three


def write_preview(
    folder: Path, sample: Sample, prediction: np.ndarray, *, palette: Sequence[tuple[int, int, int]]
) -> np.ndarray:
    """Write `folder/NAME.png`, and return the picture as (H, 3W + gaps, 3) uint8.

    Args:
        folder: Where previews are kept.
        sample: The photo (H, W, 3) and its true labels (H, W).
        prediction: Labels (H, W) of the network.
        palette: One colour for each class; ignored pixels are black.
    """
    colors = np.zeros((256, 3), dtype=np.uint8)
    colors[: len(palette)] = palette
    colors[IGNORE_INDEX] = 0
    gap = np.full((len(sample.image), _GAP, 3), 255, dtype=np.uint8)
    parts = [sample.image, gap, colors[sample.labels], gap, colors[prediction]]
    picture = np.concatenate(parts, axis=1)
    file = folder / f"{sample.name.replace('/', '-')}.png"
    write_atomically(file, lambda stream: Image.fromarray(picture).save(stream, "PNG"))
    return picture
