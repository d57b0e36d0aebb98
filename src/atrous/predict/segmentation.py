"""What a photograph became: a class for every pixel, and ways to look at it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from atrous.data.palettes import Color
from atrous.errors import UsageError
from atrous.files import write_atomically


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A photograph and the class of each of its pixels.

    Attributes:
        image: The photograph, (H, W, 3) uint8 RGB, upright.
        labels: Its class numbers, (H, W) uint8, or uint16 from 256 classes on: positions in
            `classes`.
        classes: Names of the classes.
        palette: One RGB colour for each class, 0 to 255.

    Example:
        >>> image, labels = np.zeros((1, 4, 3), np.uint8), np.array([[0, 0, 0, 1]], np.uint8)
        >>> Segmentation(image, labels, ("road", "car"), ((9, 9, 9), (0, 0, 255))).shares()
        {'road': 0.75, 'car': 0.25}
    """

    image: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    palette: tuple[Color, ...]

    def shares(self) -> dict[str, float]:
        """Return the fraction of the picture that each class covers, in the order of `classes`."""
        counts = np.bincount(self.labels.reshape(-1), minlength=len(self.classes))
        return dict(zip(self.classes, (counts / self.labels.size).tolist(), strict=True))

    def mask(self) -> Image.Image:
        """Return the class numbers as an image of the photograph's size.

        It has the classes' colours as its palette. From 256 classes on, for which no palette has
        room, it is grey of 16 bits.
        """
        if self.labels.dtype != np.uint8:
            return Image.fromarray(self.labels.astype(np.uint16))
        mask = Image.fromarray(self.labels)
        mask.putpalette([channel for color in self.palette for channel in color])
        return mask

    def overlay(self, alpha: float = 0.5) -> Image.Image:
        """Return the photograph under the colours of its classes, with white lines between them.

        Args:
            alpha: Opacity of the colours, 0 (the photograph alone) to 1 (the colours alone).

        Raises:
            UsageError: `alpha` is outside 0 to 1.
        """
        if not 0 <= alpha <= 1:
            raise UsageError(f"alpha must be 0 to 1, got {alpha}")
        colors = np.array(self.palette, dtype=np.uint8)[self.labels]
        picture = Image.blend(Image.fromarray(self.image), Image.fromarray(colors), alpha)
        lines = (_borders(self.labels) * (255 * min(1, 1.6 * alpha))).astype(np.uint8)
        picture.paste((255, 255, 255), mask=Image.fromarray(lines))
        return picture

    def save(self, path: str | Path) -> Path:
        """Write the mask as PNG: complete or not at all.

        Returns:
            The path.

        Raises:
            UsageError: The name does not end in `.png`; other formats can alter class numbers.
            ResourceError: The file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise UsageError(f"{path}: a mask is saved as PNG; name it {path.with_suffix('.png')}")
        return write_png(self.mask(), path)


def write_png(image: Image.Image, path: Path) -> Path:
    """Write an image as PNG: complete or not at all."""
    # Level 3 takes less than half the time of Pillow's usual 6, for a file a fifth larger.
    return write_atomically(path, lambda file: image.save(file, "PNG", compress_level=3))


def _borders(labels: np.ndarray) -> np.ndarray:
    """Mark the pixels right of and below another class, one wide, or more in large pictures."""
    width = 1 + min(labels.shape) // 1000
    borders = np.zeros(labels.shape, dtype=bool)
    borders[width:] |= labels[width:] != labels[:-width]
    borders[:, width:] |= labels[:, width:] != labels[:, :-width]
    return borders
