"""A confusion matrix as a picture: what was taken for what, in percent of the true class."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from atrous.data.palettes import Color

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

_WHITE, _INK, _LINE = (255, 255, 255), (33, 37, 41), (222, 226, 230)
_FULL = (8, 48, 107)  # the colour of 100 %; that of 0 % is white
_GAP = 14  # px between the parts of the picture


def draw_confusion(
    matrix: np.ndarray, classes: Sequence[str], palette: Sequence[Color], *, title: str = ""
) -> Image.Image:
    """Draw a confusion matrix, each row divided by its sum.

    The row of a class without pixels stays blank. Beyond 40 classes the cells are too small for
    numbers and hold none.

    Args:
        matrix: (K, K) pixel counts, rows the true class, columns the predicted one.
        classes: Names of the K classes.
        palette: One RGB colour for each class, shown beside its name.
        title: A line above the picture.

    Returns:
        An RGB image.

    Example:
        >>> draw_confusion(np.eye(2), ("road", "car"), ((128, 64, 128), (64, 0, 128))).mode
        'RGB'
    """
    cell = 54 if len(classes) <= 20 else 36 if len(classes) <= 40 else 16
    font = ImageFont.load_default(max(10.0, 0.29 * cell))
    cells = _draw_cells(_shares(matrix), cell, font)
    names = _draw_names(classes, palette, cell, font)
    rows = _text("true class", font).rotate(90, expand=True)
    columns = _text("predicted class, in percent of the true class", font)
    heading = _text(title, ImageFont.load_default(18.0))

    left = _GAP + rows.width + _GAP + names.width
    top = _GAP + (heading.height + _GAP if title else 0)
    bottom = top + cells.height
    width = left + max(cells.width, heading.width, columns.width) + _GAP
    picture = Image.new("RGB", (width, bottom + names.width + columns.height + 2 * _GAP), _WHITE)
    picture.paste(heading, (left, _GAP))
    picture.paste(rows, (_GAP, top + (cells.height - rows.height) // 2))
    picture.paste(names, (left - names.width, top))
    picture.paste(cells, (left, top))
    picture.paste(names.rotate(90, expand=True), (left, bottom))
    middle = left + max(0, cells.width - columns.width) // 2
    picture.paste(columns, (middle, bottom + names.width + _GAP))
    return picture


def _shares(matrix: np.ndarray) -> np.ndarray:
    """Divide each row by its sum; a row of zeros stays one."""
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def _draw_cells(shares: np.ndarray, cell: int, font: Font) -> Image.Image:
    side = len(shares) * cell + 1
    image = Image.new("RGB", (side, side), _WHITE)
    draw = ImageDraw.Draw(image)
    for (row, column), share in np.ndenumerate(shares):
        x, y = column * cell, row * cell
        draw.rectangle((x, y, x + cell, y + cell), fill=_shade(share), outline=_LINE)
        if len(shares) <= 40 and share >= 0.005:
            ink = _WHITE if share > 0.5 else _INK
            place = (x + cell / 2, y + cell / 2)
            draw.text(place, f"{100 * share:.0f}", fill=ink, font=font, anchor="mm")
    return image


def _draw_names(
    classes: Sequence[str], palette: Sequence[Color], cell: int, font: Font
) -> Image.Image:
    """Draw the names, one per cell from top to bottom, each before a block of its colour."""
    block = cell // 3
    right = max(int(font.getbbox(name)[2]) for name in classes) + _GAP // 2
    image = Image.new("RGB", (right + 2 * _GAP // 2 + block, len(classes) * cell), _WHITE)
    draw = ImageDraw.Draw(image)
    for number, (name, color) in enumerate(zip(classes, palette, strict=True)):
        y = number * cell + cell // 2
        draw.text((right - _GAP // 2, y), name, fill=_INK, font=font, anchor="rm")
        draw.rectangle((right, y - block // 2, right + block, y + block // 2), fill=color)
    return image


def _text(text: str, font: Font) -> Image.Image:
    _, _, width, height = font.getbbox(text)
    image = Image.new("RGB", (int(width) + 1, int(height) + 1), _WHITE)
    ImageDraw.Draw(image).text((0, 0), text, fill=_INK, font=font)
    return image


def _shade(share: float) -> Color:
    red, green, blue = (
        round(white + share * (full - white)) for white, full in zip(_WHITE, _FULL, strict=True)
    )
    return red, green, blue
