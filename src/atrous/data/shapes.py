"""A data set without files: objects of five shapes at many scales on textured ground.

The ground is dull and rough, objects are vivid and smooth. Discs and rings have warm colours,
squares and crosses cool ones, triangles either: colour halves the choice, and only the outline
decides. A sample is drawn from (seed, split, index) and the size alone, and always with the same
bytes.
"""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from atrous.data.palettes import Color
from atrous.data.sample import Sample
from atrous.errors import DataError

DEFAULT_SIZE = (96, 128)
DEFAULT_LENGTHS = {"train": 2000, "val": 100, "test": 100}

Field = np.ndarray  # (h, w) float32

_NUM_OBJECTS = (3, 7)  # from, to below
_RELATIVE_DIAMETERS = (0.06, 0.6)  # of the short side of the image
_LARGEST_TURN = math.radians(25)
_HALF_TRIANGLE = math.sqrt(3) / 2


def _disc(u: Field, v: Field) -> Field:
    return np.sqrt(u * u + v * v) - 1


def _square(u: Field, v: Field) -> Field:
    return np.maximum(abs(u), abs(v)) - 0.8


def _triangle(u: Field, v: Field) -> Field:
    return np.maximum(_HALF_TRIANGLE * abs(u) - v / 2, v) - 0.6


def _ring(u: Field, v: Field) -> Field:
    return abs(np.sqrt(u * u + v * v) - 0.75) - 0.25


def _cross(u: Field, v: Field) -> Field:
    return np.maximum(np.minimum(abs(u), abs(v)) - 0.3, np.maximum(abs(u), abs(v)) - 1)


# Each is negative inside the shape, and changes by about one per unit of length across its edge;
# the unit is the radius of the object.
_SHAPES: dict[str, Callable[[Field, Field], Field]] = {
    "disc": _disc,
    "square": _square,
    "triangle": _triangle,
    "ring": _ring,
    "cross": _cross,
}
_WARM_SHARES = {"disc": 1.0, "square": 0.0, "triangle": 0.5, "ring": 1.0, "cross": 0.0}
_PALETTE = (
    *((60, 60, 60), (230, 80, 60), (70, 140, 230)),
    *((240, 190, 50), (120, 200, 90), (170, 90, 200)),
)


class ShapesDataset:
    """Objects of five shapes on textured ground, drawn when asked for.

    Args:
        split: "train", "val" or "test"; no two have a sample in common.
        length: How many samples; by default 2,000 for training and 100 for the others.
        size: (height, width) of the pictures in pixels, at least 16 x 16.
        seed: Draws another data set of the same kind, 0 or more.

    Raises:
        DataError: There is no such split.
        ValueError: The length or size is too small.

    Example:
        >>> sample = ShapesDataset("val", size=(48, 64))[3]
        >>> sample.image.shape, sample.labels.dtype, sample.name
        ((48, 64, 3), dtype('uint8'), 'val-000003')
    """

    name = "shapes"
    classes: tuple[str, ...] = ("ground", *_SHAPES)
    palette: tuple[Color, ...] = _PALETTE

    def __init__(
        self,
        split: str,
        *,
        length: int | None = None,
        size: tuple[int, int] = DEFAULT_SIZE,
        seed: int = 0,
    ) -> None:
        if split not in DEFAULT_LENGTHS:
            raise DataError(f"shapes: no split '{split}'; there is {', '.join(DEFAULT_LENGTHS)}")
        if min(size) < 16:
            raise ValueError(f"size needs at least 16 x 16 pixels, got {size}")
        if length is not None and length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        self.split, self.size, self.seed = split, size, seed
        self._length = length or DEFAULT_LENGTHS[split]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        """Draw a sample: image (H, W, 3) uint8 and labels (H, W) uint8."""
        if not 0 <= index < self._length:
            raise IndexError(f"index must be 0 to {self._length - 1}, got {index}")
        key = (list(DEFAULT_LENGTHS).index(self.split), index)
        random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
        image, labels = _scene(random, *self.size)
        return Sample(image, labels, f"{self.split}-{index:06d}")


def _scene(random: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Paint ground and objects, the large objects first so that the small ones show."""
    dull = random.uniform(70, 185) + random.uniform(-25, 25, size=3)
    image = _texture(random, dull, height, width, roughness=0.4)
    labels = np.zeros((height, width), dtype=np.uint8)
    diameters = random.uniform(*_RELATIVE_DIAMETERS, size=random.integers(*_NUM_OBJECTS))
    for diameter in sorted((diameters * min(height, width)).tolist(), reverse=True):
        _paint_object(random, image, labels, radius=diameter / 2)
    grain = np.frombuffer(random.bytes(image.size), dtype=np.int8).reshape(image.shape)
    return np.clip(image + grain * np.float32(0.08), 0, 255).astype(np.uint8), labels


def _paint_object(
    random: np.random.Generator, image: np.ndarray, labels: np.ndarray, *, radius: float
) -> None:
    """Paint one object with a soft edge over the image, and its class over the labels."""
    kind = int(random.integers(len(_SHAPES)))
    shown, reach = 0.6 * radius, 1.5 * radius + 1
    center = random.uniform(shown, np.subtract(labels.shape, shown))
    rows, columns = (
        slice(max(int(middle - reach), 0), min(int(middle + reach) + 1, side))
        for middle, side in zip(center.tolist(), labels.shape, strict=True)
    )
    u, v = _turned_grid(rows, columns, center, random.uniform(-_LARGEST_TURN, _LARGEST_TURN))
    outside = tuple(_SHAPES.values())[kind](u / radius, v / radius) * radius  # pixels
    cover = np.clip(0.5 - outside, 0, 1)[:, :, None]
    vivid = _vivid_color(random, warm=random.random() < tuple(_WARM_SHARES.values())[kind])
    ground = image[rows, columns]
    ground += cover * (_texture(random, vivid, *outside.shape, roughness=0.1) - ground)
    labels[rows, columns][outside < 0] = kind + 1


def _vivid_color(random: np.random.Generator, *, warm: bool) -> np.ndarray:
    """Return a colour from red to yellow if warm, else one from blue to cyan."""
    color = random.uniform((180, 0, 0), (255, 255, 75))
    return color if warm else color[::-1]


def _turned_grid(
    rows: slice, columns: slice, center: np.ndarray, angle: float
) -> tuple[Field, Field]:
    """Return the coordinates of the pixels of a window, in the turned frame of an object."""
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - center[0])
    x = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - center[1])
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def _texture(
    random: np.random.Generator, color: np.ndarray, height: int, width: int, *, roughness: float
) -> np.ndarray:
    """Return (height, width, 3) float32: a colour with shading and noise at two scales."""
    texture = np.broadcast_to(color.astype(np.float32), (height, width, 3))
    for cell, strongest in ((max(height, width), 0.3), (12, roughness), (4, roughness)):
        strength = random.uniform(strongest / 2, strongest)
        grid = (height // cell + 2, width // cell + 2, 3)
        noise = Image.fromarray(random.integers(0, 256, size=grid, dtype=np.uint8))
        smooth = noise.resize((width, height), Image.Resampling.BILINEAR)
        texture = texture + np.float32(strength) * (np.asarray(smooth, dtype=np.float32) - 127.5)
    return texture
