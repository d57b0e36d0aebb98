"""Training augmentation: random scale, crop, flip and colour, the same for the same seed.

The labels follow the geometry of the image. All random numbers come from a generator made from
the seed of the sample, none from a global one, so that neither the number of workers nor what ran
before changes a pixel.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.utils import data
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from atrous.data.dataset import Dataset
from atrous.data.labels import IGNORE_INDEX
from atrous.data.order import seed_for


@final
@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random scale, crop, flip and colour of an image and its labels.

    Args:
        crop_size: (height, width) of the result in pixels; None keeps the size of each image.
        scale: Range of the factor by which the image is enlarged, drawn uniformly.
        flip: Probability of a left-right flip.
        brightness: The factor is drawn from [1 - brightness, 1 + brightness]; 0 leaves it out.
        contrast: Likewise.
        saturation: Likewise.
        hue: The shift is drawn from [-hue, hue], in turns of the colour circle, at most 0.5.

    Raises:
        ValueError: A value is out of range.

    Example:
        >>> augmentation = Augmentation(crop_size=(32, 48))
        >>> image = torch.zeros(3, 40, 40, dtype=torch.uint8)
        >>> labels = torch.zeros(40, 40, dtype=torch.uint8)
        >>> [part.shape for part in augmentation(image, labels, seed=7)]
        [torch.Size([3, 32, 48]), torch.Size([32, 48])]
    """

    crop_size: tuple[int, int] | None = None
    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        if self.crop_size is not None and min(self.crop_size) < 1:
            raise ValueError(f"crop_size needs at least 1 x 1 pixels, got {self.crop_size}")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be (low, high) with 0 < low <= high, got {self.scale}")
        for name, most in _MOST.items():
            if not 0 <= (value := getattr(self, name)) <= most:
                raise ValueError(f"{name} must be 0 to {most}, got {value}")

    def __call__(self, image: Tensor, labels: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
        """Return the image and labels as this seed changes them.

        Args:
            image: (3, H, W) uint8.
            labels: (H, W) uint8.
            seed: The only source of randomness, 0 or more.

        Returns:
            Image (3, h, w) uint8 and labels (h, w) uint8 of the crop size. Where the scaled image
            is smaller than the crop it lies somewhere inside, the rest being 255 in the labels and
            the mean colour of the image, which says the least to a network.
        """
        random = np.random.default_rng(seed)
        crop_size = self.crop_size or (image.shape[-2], image.shape[-1])
        image, labels = _scaled(image, labels, random.uniform(*self.scale))
        image, labels = _cropped(image, labels, crop_size, random)
        if random.random() < self.flip:
            image, labels = image.flip(-1), labels.flip(-1)
        return self._recolored(image, random), labels

    def _recolored(self, image: Tensor, random: np.random.Generator) -> Tensor:
        """Change brightness, contrast, saturation and hue, in random order."""
        for name in random.permutation(list(_ADJUST)):
            strength = getattr(self, name)
            middle = 0 if name == "hue" else 1
            amount = random.uniform(middle - strength, middle + strength)
            if strength > 0:
                image = _ADJUST[name](image, amount)
        return image


class TrainingSamples(data.Dataset[tuple[Tensor, Tensor]]):
    """Augmented samples of a data set, found by (epoch, index).

    Args:
        dataset: Where pictures and labels come from.
        augmentation: What is done to them.
        seed: Of the run; a sample is a pure function of (seed, epoch, index).
    """

    def __init__(self, dataset: Dataset, augmentation: Augmentation, *, seed: int) -> None:
        self.dataset = dataset
        self.augmentation = augmentation
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return image (3, h, w) uint8 and labels (h, w) uint8."""
        epoch, number = index
        sample = self.dataset[number]
        image = torch.from_numpy(sample.image).permute(2, 0, 1).contiguous()
        labels = torch.from_numpy(sample.labels)
        return self.augmentation(image, labels, seed=seed_for(self.seed, epoch, number))


_ADJUST = {
    "brightness": F.adjust_brightness,
    "contrast": F.adjust_contrast,
    "saturation": F.adjust_saturation,
    "hue": F.adjust_hue,
}
_MOST = {"flip": 1, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}


def _scaled(image: Tensor, labels: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Enlarge by a factor, to whole pixels: the image bilinearly, the labels to the nearest."""
    # At least two pixels, since torch 2.15 fails an assertion when it shrinks to a single one.
    size = [max(2, round(side * factor)) for side in labels.shape]
    nearest = InterpolationMode.NEAREST_EXACT
    return F.resize(image, size, antialias=True), F.resize(labels[None], size, nearest)[0]


def _cropped(
    image: Tensor, labels: Tensor, size: tuple[int, int], random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Take a random window; the parts of it outside of the image are padding."""
    (top, bottom, above), (left, right, before) = (
        _window(have, want, random) for have, want in zip(labels.shape, size, strict=True)
    )
    mean = image.float().mean(dim=(-2, -1), keepdim=True).round().to(image.dtype)
    canvas = mean.expand(-1, *size).clone()
    marks = torch.full(size, IGNORE_INDEX, dtype=labels.dtype)
    place = (slice(above, above + bottom - top), slice(before, before + right - left))
    canvas[:, *place] = image[:, top:bottom, left:right]
    marks[place] = labels[top:bottom, left:right]
    return canvas, marks


def _window(have: int, want: int, random: np.random.Generator) -> tuple[int, int, int]:
    """Draw, along one side, what part [start, stop) of it is taken, and where that part begins."""
    slack = have - want
    offset = int(random.integers(min(slack, 0), max(slack, 0) + 1))
    start = max(offset, 0)
    return start, min(start + want, have), max(-offset, 0)
