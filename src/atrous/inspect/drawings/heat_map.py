"""Maps of numbers as pictures that suit a light and a dark page: strength is opacity."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from atrous.page.markup import Markup, tag
from atrous.page.picture import png_address

_HOT, _COLD = (226, 88, 34), (45, 110, 210)  # RGB, to be told apart on white and on black
_LONGEST = 512  # values along each side that a picture keeps


def heat_map(
    values: np.ndarray,
    *,
    label: str,
    squares: Mapping[str, int] | None = None,
    under: str | None = None,
    span: float | None = None,
) -> Markup:
    """Draw a map: the further from 0 a value, the stronger its colour; below 0 it is blue.

    Args:
        values: (H, W), finite.
        label: What it shows, for those who cannot see it.
        squares: Sides of squares about the middle to outline, in cells of the map, by their names.
        under: Address of a picture to lay under it, stretched to the map.
        span: The value of full strength; by default the largest there is, whatever its sign.

    Raises:
        ValueError: `values` is no map, or holds a value that is not finite.

    Example:
        >>> heat_map(np.eye(3), label="eye", squares={"half": 2}).count("<rect")
        2
    """
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"expected finite values (H, W), got shape {values.shape}")
    height, width = values.shape
    whole = {"x": 0, "y": 0, "width": width, "height": height, "preserveAspectRatio": "none"}
    return tag(
        "svg",
        tag("image", href=under, **whole) if under else None,
        tag("image", href=png_address(heat_picture(values, span)), class_="heat", **whole),
        *(_square(name, side, height, width) for name, side in (squares or {}).items()),
        tag("rect", x=0, y=0, width=width, height=height, class_="edge"),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
        class_="map",
    )


def heat_picture(values: np.ndarray, span: float | None = None) -> Image.Image:
    """Return a map (H, W) as a picture with transparency, means of neighbours where it is large.

    Example:
        >>> np.array(heat_picture(np.array([[0.0, 2.0, -1.0]])))[..., 3].tolist()
        [[0, 255, 128]]
    """
    values = _shrunk(np.asarray(values, dtype=np.float64))
    most = span or np.abs(values).max() or 1.0
    strength = np.minimum(np.abs(values) / most, 1)
    pixels = np.zeros((*values.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where((values < 0)[..., None], _COLD, _HOT)
    pixels[..., 3] = (255 * strength).round()
    return Image.fromarray(pixels)


def _shrunk(values: np.ndarray) -> np.ndarray:
    for axis in (0, 1):
        if values.shape[axis] > _LONGEST:
            groups = np.array_split(values, _LONGEST, axis=axis)
            values = np.stack([group.mean(axis=axis) for group in groups], axis=axis)
    return values


def _square(name: str, side: int, height: int, width: int) -> Markup:
    """Outline a square about the middle, as much of it as the map has."""
    high, wide = min(side, height), min(side, width)
    return tag(
        "rect",
        tag("title", f"{name}: {side}"),
        x=(width - wide) / 2,
        y=(height - high) / 2,
        width=wide,
        height=high,
        class_="square",
    )
