"""The validation images that went best and worst, small enough to be put into a page."""

import math
from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from atrous.data import IGNORE_INDEX, Sample
from atrous.data.palettes import Color
from atrous.metrics import ConfusionMatrix
from atrous.page.picture import photo_address, png_address

_BOX = (288, 216)  # px (width, height) that a picture is shrunk into; twelve times three < 3 MB


class RankedImage(NamedTuple):
    """A validation image with its score; the pictures are `data:` addresses.

    Attributes:
        name: As in its sample.
        iou: Mean IoU over the classes that occur in this image's truth or prediction.
        photo: The image.
        truth: Its labels in the colours of the classes; ignored pixels are transparent.
        prediction: The network's labels likewise.
    """

    name: str
    iou: float
    photo: str
    truth: str
    prediction: str


class ImageRanking:
    """Keeps the worst and the best of any number of images, and forgets the others.

    Images without a single pixel to judge by are not ranked.

    Args:
        palette: One RGB colour for each class.
        best: How many of the best to keep.
        worst: How many of the worst to keep, which are none of the best.
    """

    def __init__(self, palette: Sequence[Color], *, best: int = 4, worst: int = 8) -> None:
        self._palette = palette
        self._most_best, self._most_worst = best, worst
        self._kept: list[RankedImage] = []  # from the worst to the best

    def add(self, sample: Sample, labels: Tensor) -> None:
        """Rank an image by its predicted labels, (H, W) uint8; what `evaluate` calls `on_image`."""
        labels = labels.cpu()
        confusion = ConfusionMatrix(len(self._palette))
        confusion.update(labels, torch.tensor(np.ascontiguousarray(sample.labels)))
        iou = confusion.compute().mean_iou
        if math.isnan(iou):
            return
        image = RankedImage(
            sample.name,
            iou,
            photo_address(sample.image, _BOX),
            _labels_address(sample.labels, self._palette),
            _labels_address(labels.numpy(), self._palette),
        )
        insort(self._kept, image, key=lambda image: image.iou)
        if len(self._kept) > self._most_best + self._most_worst:
            del self._kept[self._most_worst]

    @property
    def best(self) -> list[RankedImage]:
        """The best images, the very best first."""
        return self._kept[::-1][: self._most_best]

    @property
    def worst(self) -> list[RankedImage]:
        """The worst of the other images, the very worst first."""
        others = len(self._kept) - self._most_best
        return self._kept[: max(0, min(others, self._most_worst))]


def _labels_address(labels: np.ndarray, palette: Sequence[Color]) -> str:
    colors = np.zeros((256, 3), dtype=np.uint8)  # all of them, or 255 would not fit into the PNG
    colors[: len(palette)] = palette
    picture = Image.fromarray(labels)
    picture.putpalette(colors.tobytes())
    picture.thumbnail(_BOX, Image.Resampling.NEAREST)
    return png_address(picture, transparency=IGNORE_INDEX)
