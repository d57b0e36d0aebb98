"""One picture with its labels."""

from typing import NamedTuple

import numpy as np


class Sample(NamedTuple):
    """One picture with its labels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, class numbers 0, 1, ... and 255 for pixels to ignore.
        name: Names the sample within its split, in the form of a path without suffix.
    """

    image: np.ndarray
    labels: np.ndarray
    name: str
